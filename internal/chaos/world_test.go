package chaos

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/lifecycle"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

const (
	phrase   = "test test test test test test test test test test test junk"
	chainID  = 53771311147
	manual   = devnet.Manual
	patience = 30 * time.Second // for what must happen soon, on a busy machine
	tick     = 20 * time.Millisecond
)

// options describe a world; the zero value is a free-gas chain with a block
// every 200 ms, two senders, and nothing between its parts.
type options struct {
	blockTime time.Duration
	accounts  int
	// onDisk keeps the chain in a folder, so that it survives a restart.
	onDisk bool
	// front and back put a fault proxy before the gateway and before the node.
	front, back fault
	// finalityDepth, if set, tells the gateway that blocks are final only then.
	finalityDepth uint64
	// node is a node somewhere else, in place of the embedded chain.
	node string
	// dsn is the database, if it is not to be a new one of the tests' server.
	dsn string
	// queue changes keys of the section queue of the signer's file.
	queue map[string]any
}

// world is everything between a client and the chain.
type world struct {
	opts        options
	client      *http.Client
	chain       *devnet.Chain
	stop        func() // the chain
	chainDir    string
	gateway     string // where the signer sends to
	listen      string // where the gateway listens
	stopGateway func()
	dsn         string
	db          *pgxpool.Pool
	file        string // the signer's configuration
	counter     common.Address
	senders     []common.Address
	replicas    []*replica
}

func newWorld(t *testing.T, opts options) *world {
	t.Helper()
	if opts.blockTime == 0 {
		opts.blockTime = 200 * time.Millisecond
	}
	if opts.accounts == 0 {
		opts.accounts = 2
	}
	w := &world{opts: opts, client: newClient(t), dsn: opts.dsn}
	w.deriveKeys(t)
	if opts.node == "" {
		if opts.onDisk {
			w.chainDir = t.TempDir()
		}
		w.startChain(t, w.alloc(t), "")
	}
	w.counter = w.deployCounter(t)
	w.startGateway(t)
	if w.dsn == "" {
		w.dsn = pgtest.DSN(t)
	}
	var err error
	w.db, err = pgxpool.New(t.Context(), w.dsn)
	require.NoError(t, err)
	t.Cleanup(w.db.Close)
	w.writeFile(t)
	return w
}

func newClient(t *testing.T) *http.Client {
	t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func (w *world) deriveKeys(t *testing.T) {
	t.Helper()
	signers, err := local.Accounts(local.Config{Mnemonic: secret.New(phrase), Accounts: w.opts.accounts})
	require.NoError(t, err)
	for _, s := range signers {
		w.senders = append(w.senders, s.Address())
	}
}

// alloc gives everybody something: go-ethereum lets an account that does not
// exist have one transaction in its pool.
func (w *world) alloc(t *testing.T) map[common.Address]*big.Int {
	t.Helper()
	alloc := map[common.Address]*big.Int{}
	for _, a := range append(slices.Clone(w.senders), crypto.PubkeyToAddress(deployer(t).PublicKey)) {
		alloc[a] = new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)
	}
	return alloc
}

// price is what transactions of the tests pay.
func (w *world) price() *big.Int {
	if w.opts.node != "" {
		return big.NewInt(10_000_000_000)
	}
	return new(big.Int)
}

// startChain starts the embedded chain, at a given address when it is to be
// the successor of another one.
func (w *world) startChain(t *testing.T, alloc map[common.Address]*big.Int, address string) {
	t.Helper()
	var err error
	w.chain, err = devnet.New(devnet.Config{ChainID: chainID, BlockTime: w.opts.blockTime, Alloc: alloc, Dir: w.chainDir, HTTPAddr: address, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	w.stop = run(t, w.chain.Run)
}

// run runs a component until the test or the returned function ends it.
func run(t *testing.T, component lifecycle.Run) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- component(ctx, func() { close(ready) }) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	select {
	case <-ready:
	case err := <-done:
		cancel()
		require.FailNow(t, "a component did not start", "%v", err)
	}
	t.Cleanup(stop)
	return stop
}

// restartChain stops the node and starts it again with what it has on disk: its
// pool is gone.
func (w *world) restartChain(t *testing.T) {
	t.Helper()
	address := strings.TrimPrefix(w.chain.HTTPURL(), "http://")
	w.stop()
	w.startChain(t, w.alloc(t), address)
}

func (w *world) startGateway(t *testing.T) {
	t.Helper()
	node := w.nodeURL()
	if w.opts.back != nil {
		node = startProxy(t, node, w.opts.back)
	}
	cfg := gatewayapp.Default()
	if w.listen == "" {
		w.listen = freeAddress(t) // the same after a restart
	}
	cfg.Listen, cfg.AdminListen = w.listen, "127.0.0.1:0"
	cfg.Pool().ChainID, cfg.Pool().Finality.Mode = chainID, chain.Instant
	if w.opts.finalityDepth > 0 {
		cfg.Pool().Finality = chain.Finality{Mode: chain.ByDepth, Depth: w.opts.finalityDepth}
	}
	cfg.Pool().Upstreams = []upstreams.Endpoint{{URL: secret.New(node)}}
	gateway, err := gatewayapp.New(cfg, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	w.stopGateway = run(t, gateway.Run)
	w.gateway = "http://" + w.listen
	if w.opts.front != nil {
		w.gateway = startProxy(t, w.gateway, w.opts.front)
	}
}

// writeFile writes the signer's configuration.
func (w *world) writeFile(t *testing.T) {
	t.Helper()
	queue := map[string]any{
		"chainId": chainID, "leaseTtl": "1s", "headPoll": "50ms", "resendAfter": "1s", "stolenAfter": "1s",
	}
	for key, value := range w.opts.queue {
		queue[key] = value
	}
	text, err := json.Marshal(map[string]any{ // JSON is YAML
		"dev": true, "gatewayUrl": w.gateway, "databaseUrl": w.dsn, "databaseConns": 8, "drainTimeout": "1s",
		"keys": map[string]any{"mnemonic": phrase, "accounts": w.opts.accounts}, "queue": queue,
	})
	require.NoError(t, err)
	w.file = filepath.Join(t.TempDir(), "signer.yaml")
	require.NoError(t, os.WriteFile(w.file, text, 0o600))
}

// nodeURL is the node itself, with nothing in between.
func (w *world) nodeURL() string {
	if w.opts.node != "" {
		return w.opts.node
	}
	return w.chain.HTTPURL()
}

// seal makes a block where none comes by itself.
func (w *world) seal(t *testing.T) {
	t.Helper()
	switch {
	case w.opts.blockTime != manual:
	case w.opts.node != "":
		_, err := w.call(w.opts.node, "evm_mine")
		require.NoError(t, err)
	default:
		_, err := w.chain.Commit()
		require.NoError(t, err)
	}
}

// call makes one call and returns its result.
func (w *world) call(url, method string, params ...any) (json.RawMessage, error) {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	resp, err := w.client.Post(url, "application/json", bytes.NewReader(body)) //nolint:noctx // the client has a timeout
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct{ Result, Error json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: HTTP %d: %w", method, resp.StatusCode, err)
	}
	if answer.Error != nil {
		return nil, fmt.Errorf("%s: %s", method, answer.Error)
	}
	return answer.Result, nil
}

func (w *world) rpc(t *testing.T, url string, into any, method string, params ...any) {
	t.Helper()
	result, err := w.call(url, method, params...)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(result, into), "%s: %s", method, result)
}

func sign(t *testing.T, key *ecdsa.PrivateKey, data types.TxData) []byte {
	t.Helper()
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(chainID)), data)
	require.NoError(t, err)
	raw, err := tx.MarshalBinary()
	require.NoError(t, err)
	return raw
}

func (w *world) sendRaw(t *testing.T, url string, raw []byte) common.Hash {
	t.Helper()
	var hash common.Hash
	w.rpc(t, url, &hash, "eth_sendRawTransaction", "0x"+common.Bytes2Hex(raw))
	return hash
}

// eventually waits for something that must happen soon.
func (w *world) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	w.within(t, patience, what, is)
}

func (w *world) within(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !is() {
		if time.Now().After(deadline) {
			require.FailNow(t, "not in time: "+what)
		}
		pause(t, tick)
	}
}

// pause lets time pass in which something else happens.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}

// freeAddress is a port that stays the same over restarts, as behind a Service.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := lifecycle.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}
