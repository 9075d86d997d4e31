package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/genesis"
)

const patience = time.Minute

// testNode is a node's files, and how it runs.
type testNode struct {
	address common.Address
	config  string
	url     string
	client  *http.Client
	stop    context.CancelFunc
	ended   chan error
}

// testNetwork writes the files of a network in which all nodes are validators.
func testNetwork(t *testing.T, count int) []*testNode {
	t.Helper()
	return growingNetwork(t, count, count)
}

// growingNetwork writes the files of a network whose first nodes are validators, and
// know nothing of those that came later.
func growingNetwork(t *testing.T, validators, count int) []*testNode {
	t.Helper()
	var keys []genesis.NodeKey
	var enodes []string
	var ports []int
	for range count {
		key, err := genesis.NewNodeKey()
		require.NoError(t, err)
		p2p := freePort(t)
		keys, ports = append(keys, key), append(ports, p2p)
		enodes = append(enodes, genesis.Enode(key.ID(), "127.0.0.1", uint16(p2p), uint16(p2p)))
	}
	params, err := genesis.Params{ChainID: 4242, BlockPeriod: 1, RequestTimeout: 2}.Complete()
	require.NoError(t, err)
	file, err := genesis.Build(params, genesis.Addresses(keys[:validators]), genesis.Alloc{{1}: {Balance: genesis.NewQuantity(1)}})
	require.NoError(t, err)
	text, err := file.JSON()
	require.NoError(t, err)
	var out []*testNode
	for i := range count {
		known := enodes
		if i < validators {
			known = enodes[:validators]
		}
		nodes, err := genesis.StaticNodes(known)
		require.NoError(t, err)
		dir, rpc := t.TempDir(), freePort(t)
		write := func(name string, text []byte) string {
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, text, 0o600))
			return path
		}
		config := fmt.Sprintf("data-path=%q\ngenesis-file=%q\nstatic-nodes-file=%q\nnode-private-key-file=%q\np2p-port=%d\nrpc-http-enabled=true\nrpc-http-port=%d\nrpc-http-api=[\"ETH\",\"NET\",\"QBFT\"]\n",
			filepath.Join(dir, "data"), write("genesis.json", text), write("static-nodes.json", nodes), write("key", []byte(keys[i].Private().Reveal())), ports[i], rpc)
		out = append(out, &testNode{address: keys[i].Address(), config: write("config.toml", []byte(config)), url: "http://127.0.0.1:" + strconv.Itoa(rpc), client: &http.Client{Timeout: patience}})
	}
	return out
}

func freePort(t *testing.T) int {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	return address.Port
}

func (n *testNode) start(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	n.stop, n.ended = stop, make(chan error, 1)
	go func() { n.ended <- run(ctx, []string{"--config-file=" + n.config}) }()
	t.Cleanup(func() { n.end(t) })
}

func (n *testNode) end(t *testing.T) {
	t.Helper()
	if n.stop != nil {
		n.stop()
		n.stop = nil
		require.NoError(t, <-n.ended)
	}
}

// call asks a node; an answer that is an error is returned as one.
func (n *testNode) call(t *testing.T, result any, method string, params ...any) error {
	t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url, bytes.NewReader(body))
	require.NoError(t, err)
	response, err := n.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Result json.RawMessage
		Error  *rpcError
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return fmt.Errorf("%d %s", answer.Error.Code, answer.Error.Message)
	}
	return json.Unmarshal(answer.Result, result)
}

func (n *testNode) height(t *testing.T) uint64 {
	t.Helper()
	var text string
	if err := n.call(t, &text, "eth_blockNumber"); err != nil {
		return 0 // it is not up yet
	}
	height, err := strconv.ParseUint(text, 0, 64)
	require.NoError(t, err)
	return height
}

func (n *testNode) requireHeight(t *testing.T, least uint64) {
	t.Helper()
	require.Eventually(t, func() bool { return n.height(t) >= least }, patience, lookEvery, "block %d", least)
}

func (n *testNode) hash(t *testing.T, number uint64) common.Hash {
	t.Helper()
	var block struct{ Hash common.Hash }
	require.NoError(t, n.call(t, &block, "eth_getBlockByNumber", fmt.Sprintf("0x%x", number), false))
	return block.Hash
}

// One of four may be away: the chain goes on, and who comes back has the same one.
func TestNetwork_GoesOnWithoutOneOfFour(t *testing.T) {
	t.Parallel()
	nodes := testNetwork(t, 4)
	for _, one := range nodes {
		one.start(t)
	}
	nodes[3].requireHeight(t, 2)
	nodes[1].end(t)
	nodes[3].requireHeight(t, nodes[3].height(t)+3)
	nodes[1].start(t)
	top := nodes[3].height(t)
	for _, one := range nodes {
		one.requireHeight(t, top)
		for number := range top + 1 {
			require.Equal(t, nodes[0].hash(t, number), one.hash(t, number), "block %d", number)
		}
	}
	var validators []common.Address
	require.NoError(t, nodes[0].call(t, &validators, "qbft_getValidatorsByBlockNumber", "latest"))
	require.Len(t, validators, 4)
	require.EqualError(t, nodes[0].call(t, nil, "txpool_status"), "-32604 Method not enabled")
	require.EqualError(t, nodes[0].call(t, nil, "eth_nonsense"), "-32601 Method not found")
}

// validators are those that a node sees, and nil while it is not up.
func (n *testNode) validators(t *testing.T) (out []common.Address) {
	t.Helper()
	if err := n.call(t, &out, "qbft_getValidatorsByBlockNumber", "latest"); err != nil {
		return nil
	}
	return out
}

// A lone validator lets another node in by its vote. From then on both must agree,
// and both must vote the first one out.
func TestNetwork_ChangesItsValidatorsByVotes(t *testing.T) {
	t.Parallel()
	nodes := growingNetwork(t, 1, 2)
	first, second := nodes[0], nodes[1]
	first.start(t)
	second.start(t)
	second.requireHeight(t, 2)
	vote := func(one *testNode, subject common.Address, add bool) {
		var isTaken bool
		require.NoError(t, one.call(t, &isTaken, "qbft_proposeValidatorVote", subject, add))
		require.True(t, isTaken)
	}
	requireSet := func(one *testNode, want ...common.Address) {
		require.Eventually(t, func() bool { return slices.Equal(want, one.validators(t)) }, patience, lookEvery)
	}
	both := []common.Address{first.address, second.address}
	slices.SortFunc(both, common.Address.Cmp)
	vote(first, second.address, true)
	requireSet(first, both...)
	requireSet(second, both...)
	first.requireHeight(t, first.height(t)+2)

	second.end(t) // without it there is no quorum, and after a start it knows the set
	stands := first.height(t)
	second.start(t)
	second.requireHeight(t, stands+2)
	requireSet(second, both...)

	vote(first, first.address, false)
	vote(second, first.address, false)
	requireSet(second, second.address)
	first.end(t)
	second.requireHeight(t, second.height(t)+2)
	var old []common.Address
	require.NoError(t, second.call(t, &old, "qbft_getValidatorsByBlockNumber", "0x0"))
	require.Equal(t, []common.Address{first.address}, old)
}

func TestReadNetwork_RefusesWhatDoesNotBelongTogether(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		take string // a file that is taken from another network
		want string
	}{
		"another genesis file": {"genesis.json", "which is no static node"},
		"another key":          {"key", "is that of no static node"},
		"other static nodes":   {"static-nodes.json", "is that of no static node"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			of, other := testNetwork(t, 1)[0], testNetwork(t, 1)[0]
			text, err := os.ReadFile(filepath.Join(filepath.Dir(other.config), test.take))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(of.config), test.take), text, 0o600))
			require.ErrorContains(t, run(t.Context(), []string{"--config-file=" + of.config}), test.want)
		})
	}
}
