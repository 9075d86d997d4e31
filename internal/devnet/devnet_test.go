package devnet

import (
	"context"
	"crypto/ecdsa"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/stretchr/testify/require"
)

const testChainID = 53771311147

// ether is what the test account owns at the start.
func ether() *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil) }

// testKey is the key of the funded account.
func testKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := crypto.HexToECDSA("8f2a55949038a9610f50fb23b5883af3b4ecb3c3bb792cbcefbd1542c692be63")
	require.NoError(t, err)
	return key
}

func testConfig(t *testing.T) Config {
	t.Helper()
	return Config{
		ChainID: testChainID, BlockTime: Manual,
		Alloc: map[common.Address]*big.Int{crypto.PubkeyToAddress(testKey(t).PublicKey): ether()},
	}
}

// start runs a chain until stop or the end of the test.
func start(t *testing.T, cfg Config) (chain *Chain, client *ethclient.Client, stop func()) {
	t.Helper()
	chain, err := New(cfg)
	require.NoError(t, err)
	stop, err = run(t, chain.Run)
	require.NoError(t, err)
	client, err = ethclient.DialContext(t.Context(), chain.HTTPURL())
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return chain, client, stop
}

// run starts a component and waits until it is ready.
func run(t *testing.T, component func(context.Context, func()) error) (stop func(), err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- component(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		return nil, err
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-done)
		}
	}
	t.Cleanup(stop)
	return stop, nil
}

func send(t *testing.T, client *ethclient.Client, tx types.TxData) common.Hash {
	t.Helper()
	signed := types.MustSignNewTx(testKey(t), types.LatestSignerForChainID(big.NewInt(testChainID)), tx)
	require.NoError(t, client.SendTransaction(t.Context(), signed))
	return signed.Hash()
}

func transfer(nonce uint64) *types.LegacyTx {
	return &types.LegacyTx{Nonce: nonce, To: &common.Address{1}, Value: big.NewInt(1), Gas: 21000, GasPrice: new(big.Int)}
}

func TestChain_MinesTransactionsThatPayNothing(t *testing.T) {
	t.Parallel()
	chain, client, _ := start(t, testConfig(t))
	to := common.Address{1}

	legacy := send(t, client, &types.LegacyTx{Nonce: 0, To: &to, Value: big.NewInt(1), Gas: 21000, GasPrice: new(big.Int)})
	dynamic := send(t, client, &types.DynamicFeeTx{
		ChainID: big.NewInt(testChainID), Nonce: 1, To: &to, Value: big.NewInt(1), Gas: 21000, GasTipCap: new(big.Int), GasFeeCap: new(big.Int),
	})
	block, err := chain.Commit()
	require.NoError(t, err)

	for _, hash := range []common.Hash{legacy, dynamic} {
		receipt, err := client.TransactionReceipt(t.Context(), hash)
		require.NoError(t, err)
		require.Equal(t, block, receipt.BlockHash)
		require.Zero(t, receipt.EffectiveGasPrice.Sign())
	}
	left, err := client.BalanceAt(t.Context(), crypto.PubkeyToAddress(testKey(t).PublicKey), nil)
	require.NoError(t, err)
	require.Equal(t, new(big.Int).Sub(ether(), big.NewInt(2)), left)

	price, err := client.SuggestGasPrice(t.Context())
	require.NoError(t, err)
	require.Zero(t, price.Sign())
	tip, err := client.SuggestGasTipCap(t.Context())
	require.NoError(t, err)
	require.Zero(t, tip.Sign())
}

func TestChain_BaseFeeStaysZeroUnderLoad(t *testing.T) {
	t.Parallel()
	chain, client, _ := start(t, testConfig(t))

	for nonce := range uint64(300) {
		send(t, client, transfer(nonce))
	}
	_, err := chain.Commit()
	require.NoError(t, err)
	_, err = chain.Commit()
	require.NoError(t, err)

	full, err := client.BlockByNumber(t.Context(), big.NewInt(1))
	require.NoError(t, err)
	require.Len(t, full.Transactions(), 300)
	next, err := client.HeaderByNumber(t.Context(), nil)
	require.NoError(t, err)
	require.Zero(t, next.BaseFee.Sign())
}

func TestChain_GasCanHaveAPrice(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.BaseFee = big.NewInt(1000)
	chain, client, _ := start(t, cfg)

	_, err := chain.Commit()
	require.NoError(t, err)
	head, err := client.HeaderByNumber(t.Context(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 875, head.BaseFee.Uint64(), "an eighth less after an empty block")
}

func TestChain_IsTheChainItWasAskedToBe(t *testing.T) {
	t.Parallel()
	chain, client, _ := start(t, testConfig(t))

	id, err := client.ChainID(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(testChainID), id.Uint64())
	genesis, err := client.HeaderByNumber(t.Context(), new(big.Int))
	require.NoError(t, err)
	require.Equal(t, chain.Genesis(), genesis.Hash())

	other := testConfig(t)
	other.ChainID = 1
	otherChain, err := New(other)
	require.NoError(t, err)
	require.NotEqual(t, chain.Genesis(), otherChain.Genesis())
}

func TestChain_MakesBlocksByItselfFasterThanASecondAndAnnouncesThem(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.BlockTime = 20 * time.Millisecond
	chain, _, _ := start(t, cfg)
	ws, err := ethclient.DialContext(t.Context(), chain.WSURL())
	require.NoError(t, err)
	t.Cleanup(ws.Close)
	heads := make(chan *types.Header)
	subscription, err := ws.SubscribeNewHead(t.Context(), heads)
	require.NoError(t, err)
	t.Cleanup(subscription.Unsubscribe)

	previous := receive(t, heads)
	for range 10 {
		head := receive(t, heads)
		require.Equal(t, previous.Hash(), head.ParentHash)
		require.Greater(t, head.Time, previous.Time)
		previous = head
	}
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(10 * time.Second):
		require.Fail(t, "nothing arrived")
		panic("unreachable")
	}
}

func TestChain_GoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Dir = filepath.Join(t.TempDir(), "chain")
	chain, client, stop := start(t, cfg)
	hash := send(t, client, transfer(0))
	block, err := chain.Commit()
	require.NoError(t, err)
	stop()

	began := time.Now()
	chain, client, _ = start(t, cfg)
	require.Less(t, time.Since(began), 3*time.Second)

	receipt, err := client.TransactionReceipt(t.Context(), hash)
	require.NoError(t, err)
	require.Equal(t, block, receipt.BlockHash)
	_, err = chain.Commit()
	require.NoError(t, err)
	head, err := client.HeaderByNumber(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, block, head.ParentHash)
	// The state of every block stays, also that of the genesis block.
	old, err := client.BalanceAt(t.Context(), crypto.PubkeyToAddress(testKey(t).PublicKey), new(big.Int))
	require.NoError(t, err)
	require.Equal(t, ether(), old)
}

func TestChain_TakesOverABlockThatWasSealedButNotYetTheHead(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Dir = filepath.Join(t.TempDir(), "chain")
	chain, _, stop := start(t, cfg)
	block, err := chain.node.build(time.Now(), Mark{})
	require.NoError(t, err)
	_, err = chain.node.eth.BlockChain().InsertBlockWithoutSetHead(t.Context(), block, false)
	require.NoError(t, err)
	stop()

	_, client, _ := start(t, cfg)

	head, err := client.HeaderByNumber(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, block.Hash(), head.Hash())
}

func TestChain_RefusesTheFolderOfAnotherChain(t *testing.T) { //nolint:tparallel // the cases need the chain that runs
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "chain")
	cfg := testConfig(t)
	cfg.Dir = dir
	_, _, stop := start(t, cfg)

	cases := map[string]struct {
		change func(*Config)
		stop   bool
		want   string
	}{
		"another chain id": {change: func(c *Config) { c.ChainID = 7 }, want: "has chain id 53771311147, not 7"},
		"another genesis":  {change: func(c *Config) { c.GasLimit = 30_000_000 }, want: "was started with another genesis"},
		"in use":           {change: func(*Config) {}, want: "is in use by another process"},
	}
	for name, c := range cases { //nolint:paralleltest // see above
		t.Run(name, func(t *testing.T) {
			other := cfg
			c.change(&other)
			chain, err := New(other)
			require.NoError(t, err)
			_, err = run(t, chain.Run)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}

	stop()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "chain.json"), []byte("{"), 0o600))
	chain, err := New(cfg)
	require.NoError(t, err)
	_, err = run(t, chain.Run)
	require.ErrorContains(t, err, "state folder of the chain is broken")
}

func TestChain_RefusesABusyPort(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	cfg := testConfig(t)
	cfg.HTTPAddr = taken.Addr().String()
	chain, err := New(cfg)
	require.NoError(t, err)

	_, err = run(t, chain.Run)

	require.ErrorContains(t, err, "address already in use")
}

func TestNew_RejectsNonsense(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{}, {ChainID: 1, HTTPAddr: "nowhere"}, {ChainID: 1, WSAddr: "127.0.0.1:high"}, {ChainID: 1, WSAddr: "example.org:1"}} {
		_, err := New(cfg)
		require.ErrorContains(t, err, "embedded chain: ")
	}
}

func TestQuiet_TakesWarningsForDebuggingAndErrorsAsErrors(t *testing.T) {
	t.Parallel()
	debug := quiet(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})))
	warn := quiet(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))

	require.False(t, debug.Enabled(t.Context(), slog.LevelInfo))
	require.True(t, debug.Enabled(t.Context(), slog.LevelWarn))
	require.False(t, warn.Enabled(t.Context(), slog.LevelWarn))
	require.True(t, warn.Enabled(t.Context(), slog.LevelError))
}
