package gatewayapp_test

import (
	"context"
	"errors"
	"math/big"
	"net/http"
	"testing"
	"time"

	ethereum "github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// brokenPair is a gateway in front of a chain that is reached by two ways, of
// which the first can be killed.
type brokenPair struct {
	chain  *realChain
	app    *gatewayapp.App
	http   *devnet.Proxy
	socket *socketProxy
}

func newBrokenPair(t *testing.T) *brokenPair {
	t.Helper()
	c := newRealChain(t)
	first, err := devnet.NewProxy(c.HTTPURL())
	require.NoError(t, err)
	second, err := devnet.NewProxy(c.HTTPURL())
	require.NoError(t, err)
	lifecycletest.Start(t, first.Run)
	lifecycletest.Start(t, second.Run)
	socket := newSocketProxy(t, c.WSURL())
	app := start(t, realConfig(
		upstreams.Endpoint{ID: "first", URL: secret.New(first.URL()), WebSocketURL: secret.New(socket.url())},
		upstreams.Endpoint{ID: "second", URL: secret.New(second.URL()), WebSocketURL: secret.New(newSocketProxy(t, c.WSURL()).url())},
	))
	return &brokenPair{chain: c, app: app, http: first, socket: socket}
}

func (p *brokenPair) kill() {
	p.http.Set(devnet.Refuse)
	p.socket.refuse(true)
}

// requireBatch reads the blocks up to a number, and something nobody knows, in one batch.
func requireBatch(t *testing.T, c *realChain, client *rpc.Client, last uint64) {
	t.Helper()
	heads := make([]types.Header, last+1)
	batch := make([]rpc.BatchElem, 0, len(heads)+1)
	for number := range heads {
		batch = append(batch, rpc.BatchElem{Method: "eth_getBlockByNumber", Args: []any{hexutil.Uint64(number), false}, Result: &heads[number]})
	}
	batch = append(batch, rpc.BatchElem{Method: "eth_noSuchMethod", Result: new(string)})
	require.NoError(t, client.BatchCallContext(t.Context(), batch))
	for number := range heads {
		require.NoError(t, batch[number].Error)
		want, err := c.client.HeaderByNumber(t.Context(), big.NewInt(int64(number)))
		require.NoError(t, err)
		require.Equal(t, want.Hash(), heads[number].Hash())
	}
	var refused rpc.Error
	require.ErrorAs(t, batch[len(heads)].Error, &refused)
	// What nobody knows might be a write: it is not sent again when the node that
	// had it in hand dies, and then has no answer.
	require.Contains(t, []int{-32601, -32002}, refused.ErrorCode())
}

func TestEthclient_BatchesWhileANodeDies(t *testing.T) {
	t.Parallel()

	for _, scheme := range []string{"http", "ws"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()

			p := newBrokenPair(t)
			client, err := rpc.DialContext(t.Context(), scheme+"://"+p.app.Addr())
			require.NoError(t, err)
			defer client.Close()
			for number := range uint64(20) {
				p.chain.mine(t)
				if number == 10 {
					p.kill()
				}
				requireBatch(t, p.chain, client, number+1)
			}
		})
	}
}

// application keeps heads and logs complete the way one written with
// go-ethereum does: after a lost connection it subscribes anew, and reads what
// it missed up to the newest block there is then.
type application struct {
	t       *testing.T
	url     string
	client  *ethclient.Client
	heads   chan *types.Header
	logs    chan types.Log
	errs    [2]<-chan error
	filter  ethereum.FilterQuery
	head    *types.Header
	read    uint64              // up to this block it has read, not been told
	hashes  []common.Hash       // of the blocks, in order
	byBlock map[common.Hash]int // how many logs
}

func (a *application) subscribe(ctx context.Context) {
	var err error
	a.client, err = ethclient.DialContext(ctx, a.url)
	require.NoError(a.t, err)
	a.heads, a.logs = make(chan *types.Header, 1000), make(chan types.Log, 1000)
	heads, err := a.client.SubscribeNewHead(ctx, a.heads)
	require.NoError(a.t, err)
	logs, err := a.client.SubscribeFilterLogs(ctx, a.filter, a.logs)
	require.NoError(a.t, err)
	a.errs = [2]<-chan error{heads.Err(), logs.Err()}
}

// catchUp reads what came after the last known head. The subscriptions that began
// before may tell of it too.
func (a *application) catchUp(ctx context.Context) {
	latest, err := a.client.BlockNumber(ctx)
	require.NoError(a.t, err)
	a.read = latest
	filter := a.filter
	filter.FromBlock = new(big.Int).Add(a.head.Number, common.Big1)
	filter.ToBlock = new(big.Int).SetUint64(latest)
	for number := filter.FromBlock.Uint64(); number <= latest; number++ {
		head, err := a.client.HeaderByNumber(ctx, new(big.Int).SetUint64(number))
		require.NoError(a.t, err)
		a.add(head)
	}
	if filter.FromBlock.Cmp(filter.ToBlock) > 0 {
		return
	}
	logs, err := a.client.FilterLogs(ctx, filter)
	require.NoError(a.t, err)
	for i := range logs {
		a.byBlock[logs[i].BlockHash]++
	}
}

func (a *application) add(head *types.Header) {
	require.Equal(a.t, a.head.Hash(), head.ParentHash, "block %d", head.Number)
	a.head = head
	a.hashes = append(a.hashes, head.Hash())
}

// follow takes heads and logs in until they have reached a block.
func (a *application) follow(to uint64) {
	for a.head.Number.Uint64() < to {
		head := next(a.t, a.heads)
		if head.Number.Uint64() <= a.read {
			require.Equal(a.t, a.hashes[head.Number.Uint64()-1], head.Hash())
			continue
		}
		a.add(head)
	}
	for a.byBlock[a.head.Hash()] == 0 {
		log := next(a.t, a.logs)
		require.False(a.t, log.Removed)
		if log.BlockNumber > a.read {
			a.byBlock[log.BlockHash]++
		}
	}
}

func TestEthclient_SubscriptionsSurviveALostConnectionAndADeadNode(t *testing.T) {
	t.Parallel()

	p := newBrokenPair(t)
	front := newSocketProxy(t, "ws://"+p.app.Addr())
	genesis, err := p.chain.client.HeaderByNumber(t.Context(), new(big.Int))
	require.NoError(t, err)
	a := &application{
		t: t, url: front.url(), head: genesis, byBlock: map[common.Hash]int{},
		filter: ethereum.FilterQuery{Topics: [][]common.Hash{{common.BigToHash(big.NewInt(0x2a))}}},
	}
	a.subscribe(t.Context())
	mined := uint64(0)
	mine := func(n uint64) {
		for range n {
			p.chain.mine(t)
		}
		mined += n
	}

	for round := range 4 {
		mine(5)
		a.follow(mined)
		front.cut(round%2 == 0)
		for _, lost := range a.errs {
			require.Error(t, next(t, lost))
		}
		a.client.Close()
		mine(3) // nobody is there
		if round == 1 {
			p.kill()
		}
		a.subscribe(t.Context())
		a.catchUp(t.Context())
		require.Equal(t, mined, a.head.Number.Uint64(), "what can be read is up to date")
	}
	mine(5)
	a.follow(mined)
	a.client.Close()

	require.Len(t, a.hashes, int(mined))
	require.Len(t, a.byBlock, int(mined))
	for _, hash := range a.hashes {
		require.Equal(t, 1, a.byBlock[hash], "each log once")
	}
}

// Filters live in one node. Here both upstreams lead to it, so that they are there
// after the death of the first, too: no change is lost or told twice.
func TestEthclient_Filters(t *testing.T) {
	t.Parallel()

	p := newBrokenPair(t)
	client, err := rpc.DialContext(t.Context(), "http://"+p.app.Addr())
	require.NoError(t, err)
	defer client.Close()
	install := func() (blocks, logs string) {
		require.NoError(t, client.CallContext(t.Context(), &blocks, "eth_newBlockFilter"))
		require.NoError(t, client.CallContext(t.Context(), &logs, "eth_newFilter", map[string]any{"topics": []any{common.BigToHash(big.NewInt(0x2a))}}))
		return blocks, logs
	}
	// A poll empties the filter, so one that was sent to a node which then died is not
	// sent again: its client is told. The next poll goes to the other node.
	unanswered := 0
	poll := func(into any, filter string) {
		err := client.CallContext(t.Context(), into, "eth_getFilterChanges", filter)
		var unavailable rpc.HTTPError
		if errors.As(err, &unavailable) && unavailable.StatusCode == http.StatusServiceUnavailable {
			unanswered++
			return
		}
		require.NoError(t, err)
	}
	// changes polls until a block and its log were told of.
	changes := func(blocks, logs string, until common.Hash) (hashes, logged []common.Hash) {
		has := func(all []common.Hash) bool { return len(all) > 0 && all[len(all)-1] == until }
		require.Eventually(t, func() bool {
			var newHashes []common.Hash
			var newLogs []types.Log
			poll(&newHashes, blocks)
			poll(&newLogs, logs)
			hashes = append(hashes, newHashes...)
			for i := range newLogs {
				logged = append(logged, newLogs[i].BlockHash)
			}
			return has(hashes) && has(logged)
		}, 20*time.Second, 10*time.Millisecond)
		return hashes, logged
	}
	mine := func() (hashes []common.Hash) {
		for range 7 {
			p.chain.mine(t)
			head, err := p.chain.client.HeaderByNumber(t.Context(), nil)
			require.NoError(t, err)
			hashes = append(hashes, head.Hash())
		}
		return hashes
	}
	requireTold := func(blocks, logs string) {
		want := mine()
		hashes, logged := changes(blocks, logs, want[len(want)-1])
		require.Equal(t, want, hashes)
		require.Equal(t, want, logged)
	}

	blocks, logs := install()
	requireTold(blocks, logs)
	requireTold(blocks, logs)
	require.Zero(t, unanswered)
	p.kill()
	requireTold(blocks, logs)
	require.LessOrEqual(t, unanswered, 2, "a poll of each filter may have been in the dead node's hands")
	blocks, logs = install()
	requireTold(blocks, logs)
	var isGone bool
	require.NoError(t, client.CallContext(t.Context(), &isGone, "eth_uninstallFilter", logs))
	require.True(t, isGone)
	var none []types.Log
	var refused rpc.Error
	require.ErrorAs(t, client.CallContext(t.Context(), &none, "eth_getFilterChanges", logs), &refused)
	require.Contains(t, refused.Error(), "filter not found")
}
