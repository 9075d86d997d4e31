package gatewayapp_test

import (
	"context"
	"crypto/ecdsa"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	ethereum "github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

const realChainID = 53771311147

// realChain is a chain whose blocks the test makes, each with one transaction
// that leaves one log.
type realChain struct {
	*devnet.Chain
	client *ethclient.Client
	nonce  uint64
}

func newRealChain(t *testing.T) *realChain {
	t.Helper()
	key := realKey(t)
	c, err := devnet.New(devnet.Config{ChainID: realChainID, BlockTime: devnet.Manual, Alloc: map[common.Address]*big.Int{
		crypto.PubkeyToAddress(key.PublicKey): big.NewInt(1), // accounts that exist may send more than one transaction at a time
	}})
	require.NoError(t, err)
	lifecycletest.Start(t, c.Run)
	client, err := ethclient.DialContext(t.Context(), c.HTTPURL())
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &realChain{Chain: c, client: client}
}

func realKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := crypto.HexToECDSA("8f2a55949038a9610f50fb23b5883af3b4ecb3c3bb792cbcefbd1542c692be63")
	require.NoError(t, err)
	return key
}

// mine makes a block. Its transaction creates a contract without code, whose
// creation leaves an empty log with topic 0x2a.
func (c *realChain) mine(t *testing.T) {
	t.Helper()
	c.send(t)
	_, err := c.Commit()
	require.NoError(t, err)
}

func (c *realChain) send(t *testing.T) common.Hash {
	t.Helper()
	tx := types.MustSignNewTx(realKey(t), types.LatestSignerForChainID(big.NewInt(realChainID)), &types.LegacyTx{
		Nonce: c.nonce, Gas: 200_000, GasPrice: new(big.Int), Data: common.FromHex("602a60006000a100"), // LOG1(0, 0, 0x2a)
	})
	c.nonce++
	require.NoError(t, c.client.SendTransaction(t.Context(), tx))
	return tx.Hash()
}

// realConfig is a gateway in front of endpoints of a chain.
func realConfig(endpoints ...upstreams.Endpoint) gatewayapp.Config {
	cfg := gatewayapp.Default()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Pool().ChainID = realChainID
	cfg.Pool().Finality = chain.Finality{Mode: chain.Instant}
	cfg.Pool().PollInterval = 50 * time.Millisecond
	cfg.Pool().Upstreams = endpoints
	cfg.Subscriptions.StallAfter = 200 * time.Millisecond
	return cfg
}

// watcher collects what go-ethereum's client is told.
type watcher struct {
	heads chan *types.Header
	logs  chan types.Log
	errs  []<-chan error
}

func watch(t *testing.T, app *gatewayapp.App) *watcher {
	t.Helper()
	client, err := ethclient.DialContext(t.Context(), "ws://"+app.Addr()+"/main/evm/53771311147")
	require.NoError(t, err)
	t.Cleanup(client.Close)
	w := &watcher{heads: make(chan *types.Header, 1000), logs: make(chan types.Log, 1000)}
	heads, err := client.SubscribeNewHead(t.Context(), w.heads)
	require.NoError(t, err)
	logs, err := client.SubscribeFilterLogs(t.Context(), ethereum.FilterQuery{Topics: [][]common.Hash{{common.BigToHash(big.NewInt(0x2a))}}}, w.logs)
	require.NoError(t, err)
	w.errs = []<-chan error{heads.Err(), logs.Err()}
	return w
}

func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

// require checks that exactly the next blocks came, linked, each with its log.
func (w *watcher) require(t *testing.T, c *realChain, from, to uint64) {
	t.Helper()
	for number := from; number <= to; number++ {
		want, err := c.client.HeaderByNumber(t.Context(), new(big.Int).SetUint64(number))
		require.NoError(t, err)
		head := next(t, w.heads)
		require.Equal(t, number, head.Number.Uint64())
		require.Equal(t, want.Hash(), head.Hash(), "the header is complete")
		log := next(t, w.logs)
		require.Equal(t, want.Hash(), log.BlockHash)
		require.False(t, log.Removed)
	}
	require.Empty(t, w.heads)
	require.Empty(t, w.logs)
	for _, errs := range w.errs {
		require.Empty(t, errs, "the client has noticed something")
	}
}

func TestSubscriptions_ABreakingNodeIsInvisible(t *testing.T) {
	t.Parallel()

	for name, fault := range map[string]struct{ breakIt, repair func(*socketProxy) }{
		"killed": {func(p *socketProxy) { p.refuse(true) }, func(p *socketProxy) { p.refuse(false) }},
		"hangs":  {func(p *socketProxy) { p.hang(true) }, func(p *socketProxy) { p.hang(false) }},
		"reset":  {func(p *socketProxy) { p.cut(true) }, func(*socketProxy) {}},
		"closed": {func(p *socketProxy) { p.cut(false) }, func(*socketProxy) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := newRealChain(t)
			first, second := newSocketProxy(t, c.WSURL()), newSocketProxy(t, c.WSURL())
			app := start(t, realConfig(
				upstreams.Endpoint{ID: "first", URL: secret.New(c.HTTPURL()), WebSocketURL: secret.New(first.url())},
				upstreams.Endpoint{ID: "second", URL: secret.New(c.HTTPURL()), WebSocketURL: secret.New(second.url())},
			))
			w := watch(t, app)
			mined := uint64(0)
			mine := func(n uint64) {
				for range n {
					c.mine(t)
				}
				w.require(t, c, mined+1, mined+n)
				mined += n
			}

			mine(7)
			fault.breakIt(first)
			mine(1)
			mine(7)
			require.Eventually(t, func() bool { return second.connections() > 0 }, 10*time.Second, 10*time.Millisecond, "the other node is followed")
			fault.repair(first)
			fault.breakIt(second)
			mine(1)
			mine(7)
			fault.breakIt(first) // now both: the nodes are polled
			mine(7)
			fault.repair(first)
			fault.repair(second)
			mine(7)
		})
	}
}

func TestSubscriptions_OverHTTPOnlyUpstreams(t *testing.T) {
	t.Parallel()

	c := newRealChain(t)
	first, err := devnet.NewProxy(c.HTTPURL())
	require.NoError(t, err)
	lifecycletest.Start(t, first.Run)
	app := start(t, realConfig(upstreams.Endpoint{ID: "first", URL: secret.New(first.URL())}, upstreams.Endpoint{ID: "second", URL: secret.New(c.HTTPURL())}))
	w := watch(t, app)
	for range 10 {
		c.mine(t)
	}
	w.require(t, c, 1, 10)
	first.Set(devnet.Refuse)
	for range 10 {
		c.mine(t)
	}
	w.require(t, c, 11, 20)
}

func TestSubscriptions_PendingTransactions(t *testing.T) {
	t.Parallel()

	for name, withSocket := range map[string]bool{"followed": true, "polled": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := newRealChain(t)
			endpoint := upstreams.Endpoint{ID: "only", URL: secret.New(c.HTTPURL())}
			if withSocket {
				endpoint.WebSocketURL = secret.New(c.WSURL())
			}
			app := start(t, realConfig(endpoint))
			client, err := ethclient.DialContext(t.Context(), "ws://"+app.Addr())
			require.NoError(t, err)
			defer client.Close()
			hashes, whole := make(chan common.Hash, 10), make(chan *types.Transaction, 10)
			one, err := client.Client().EthSubscribe(t.Context(), hashes, "newPendingTransactions")
			require.NoError(t, err)
			defer one.Unsubscribe()
			two, err := client.Client().EthSubscribe(t.Context(), whole, "newPendingTransactions", true)
			require.NoError(t, err)
			defer two.Unsubscribe()
			for range 3 {
				want := c.send(t)
				require.Equal(t, want, next(t, hashes))
				require.Equal(t, want, next(t, whole).Hash())
			}
		})
	}
}

func TestSubscriptions_SurviveANewConfiguration(t *testing.T) {
	t.Parallel()

	c := newRealChain(t)
	cfg := realConfig(upstreams.Endpoint{ID: "old", URL: secret.New(c.HTTPURL()), WebSocketURL: secret.New(c.WSURL())})
	app := start(t, cfg)
	w := watch(t, app)
	c.mine(t)
	w.require(t, c, 1, 1)

	proxy := newSocketProxy(t, c.WSURL())
	next := realConfig(upstreams.Endpoint{ID: "new", URL: secret.New(c.HTTPURL()), WebSocketURL: secret.New(proxy.url())})
	require.NoError(t, app.Reload(t.Context(), next))
	for range 5 {
		c.mine(t)
	}
	w.require(t, c, 2, 6)
	require.Eventually(t, func() bool { return proxy.connections() == 1 }, 10*time.Second, 10*time.Millisecond, "the new node is followed")
}

func TestSubscriptions_AtTheStopClientsAreTold(t *testing.T) {
	t.Parallel()

	c := newRealChain(t)
	app, stop := startStoppable(t, realConfig(upstreams.Endpoint{URL: secret.New(c.HTTPURL())}))
	conn, response, err := websocket.Dial(t.Context(), "ws://"+app.Addr(), nil) //nolint:bodyclose // the library closes it
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	defer func() { _ = conn.CloseNow() }()
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"id":1,"method":"eth_subscribe","params":["newHeads"]}`)))
	_, _, err = conn.Read(t.Context())
	require.NoError(t, err)

	ended := make(chan error, 1)
	go func() {
		_, _, err := conn.Read(context.WithoutCancel(t.Context()))
		ended <- err
	}()
	begin := time.Now()
	stop()
	require.Equal(t, websocket.StatusServiceRestart, websocket.CloseStatus(next(t, ended)))
	require.Less(t, time.Since(begin), 5*time.Second)
}
