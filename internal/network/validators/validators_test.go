package validators_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/network/validators"
	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/secret"
)

// chain is an imitation of a QBFT network: a block comes whenever somebody asks
// for the validators, its proposer puts in one vote of its own, and more than
// half of the votes change the set.
type chain struct {
	mu         sync.Mutex
	validators []common.Address
	number     uint64
	ballots    map[common.Address]map[common.Address]bool // address voted on, voter, add
	frozen     bool                                       // no block comes
	isIBFT     bool                                       // the methods are those of IBFT 2.0
	nodes      map[common.Address]*node
}

// node is one node of the chain.
type node struct {
	*chain
	address common.Address
	votes   map[common.Address]bool
	refuses string // a method that is not enabled
	lag     uint64
	genesis string
	url     string
}

func address(i int) common.Address { return common.BytesToAddress([]byte{byte(i + 1)}) }

// network starts a chain of count validators and one more node.
func network(t *testing.T, count int) *chain {
	t.Helper()
	c := &chain{number: 100, ballots: map[common.Address]map[common.Address]bool{}, nodes: map[common.Address]*node{}}
	for i := range count + 1 {
		n := &node{chain: c, address: address(i), votes: map[common.Address]bool{}, genesis: "0x" + strings.Repeat("9e", 32)}
		server := httptest.NewServer(n)
		t.Cleanup(server.Close)
		n.url = server.URL
		c.nodes[n.address] = n
		if i < count {
			c.validators = append(c.validators, n.address)
		}
	}
	return c
}

func (c *chain) block() {
	if c.frozen {
		return
	}
	c.number++
	proposer := c.validators[int(c.number)%len(c.validators)]
	for subject, add := range c.nodes[proposer].votes {
		if slices.Contains(c.validators, subject) == add {
			continue // such a vote is not valid
		}
		if c.ballots[subject] == nil {
			c.ballots[subject] = map[common.Address]bool{}
		}
		c.ballots[subject][proposer] = add
		if 2*len(c.ballots[subject]) > len(c.validators) {
			delete(c.ballots, subject)
			if add {
				c.validators = append(c.validators, subject)
			} else {
				c.validators = slices.DeleteFunc(c.validators, func(a common.Address) bool { return a == subject })
			}
		}
		return // one vote a block
	}
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var request struct {
		ID     json.RawMessage
		Method string
		Params []json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if request.Method == n.refuses {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32604,"message":"Method not enabled"}}`, request.ID)
		return
	}
	result, _ := json.Marshal(n.answer(request.Method, request.Params)) // the answers are plain values
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, request.ID, result)
}

func (n *node) answer(method string, params []json.RawMessage) any {
	var subject common.Address
	if len(params) > 0 {
		_ = json.Unmarshal(params[0], &subject) // not every method has one
	}
	if n.isIBFT {
		method = strings.Replace(method, "ibft_", "qbft_", 1)
	}
	switch method {
	case "eth_coinbase":
		return n.address
	case "eth_blockNumber":
		return fmt.Sprintf("0x%x", n.number-n.lag)
	case "eth_getBlockByNumber":
		return map[string]any{"number": "0x0", "hash": n.genesis, "gasLimit": "0x1"}
	case "qbft_getValidatorsByBlockNumber":
		n.block()
		return n.validators
	case "qbft_proposeValidatorVote":
		n.votes[subject] = string(params[1]) == "true"
		return true
	case "qbft_discardValidatorVote":
		delete(n.votes, subject)
		return true
	default:
		return nil
	}
}

// urls are the nodes of these numbers.
func (c *chain) urls(t *testing.T, numbers ...int) []validators.Node {
	t.Helper()
	out := make([]validators.Node, len(numbers))
	for i, number := range numbers {
		url := c.nodes[address(number)].url
		client, err := nodeclient.New(nodeclient.Config{URL: secret.New(url)})
		require.NoError(t, err)
		t.Cleanup(client.Close)
		out[i] = validators.Node{URL: fmt.Sprintf("node-%d", number), Client: client}
	}
	return out
}

func apply(t *testing.T, nodes []validators.Node, change validators.Change) (string, error) {
	t.Helper()
	var said []string
	err := validators.Apply(t.Context(), nodes, change,
		validators.Options{API: nodeclient.QBFT, Timeout: 10 * time.Second, Poll: time.Millisecond},
		func(line string) { said = append(said, line) })
	return strings.Join(said, "\n"), err
}

func TestApply_AddsAndRemovesByTheVotesOfAll(t *testing.T) {
	t.Parallel()
	c := network(t, 4)
	all := c.urls(t, 0, 1, 2, 3, 4)

	said, err := apply(t, all, validators.Change{Address: address(4), Add: true})
	require.NoError(t, err)
	require.Len(t, c.validators, 5)
	require.Contains(t, said, "node-3 votes (4 of 4).")
	require.Contains(t, said, "Done: 5 validators, 4 must agree, 1 may fail.")
	for _, n := range c.nodes {
		require.Empty(t, n.votes, "votes that have done their work are taken back")
	}

	said, err = apply(t, all, validators.Change{Address: address(4), Add: true})
	require.NoError(t, err)
	require.Contains(t, said, "is a validator already: nothing to do")

	said, err = apply(t, all, validators.Change{Address: address(0)})
	require.NoError(t, err)
	require.NotContains(t, c.validators, address(0))
	require.Contains(t, said, "Done: 4 validators, 3 must agree, 1 may fail.")
}

func TestApply_RefusesBeforeAnybodyVotes(t *testing.T) {
	t.Parallel()
	add, remove := validators.Change{Address: address(4), Add: true}, validators.Change{Address: address(3)}
	majority := func(change validators.Change) validators.Change { change.Majority = true; return change }
	cases := map[string]struct {
		count   int
		prepare func(c *chain)
		nodes   []int
		change  validators.Change
		want    string
	}{
		"a validator has no URL":       {4, nil, []int{0, 1, 2, 4}, add, "no URL leads to 1 of the 4 validators (0x0000000000000000000000000000000000000004): give the URL of every validator"},
		"fewer than half":              {4, nil, []int{0, 1, 4}, majority(add), "more than half must vote"},
		"the new node does not run":    {4, nil, []int{0, 1, 2, 3}, add, "start it first and give its URL too"},
		"the new node is behind":       {4, func(c *chain) { c.nodes[address(4)].lag = 50 }, []int{0, 1, 2, 3, 4}, add, " blocks behind: wait until it has caught up"},
		"another network":              {4, func(c *chain) { c.nodes[address(4)].genesis = "0x" + strings.Repeat("11", 32) }, []int{0, 1, 2, 3, 4}, add, "node-0 and node-4 are nodes of different networks"},
		"no fault tolerance":           {4, nil, []int{0, 1, 2, 3}, remove, "with 3 validators none may fail"},
		"below quorum":                 {5, nil, []int{0, 1, 3}, majority(remove), "after that 3 of 4 validators must agree, and 2 can be reached: the chain would stop"},
		"the last one":                 {1, nil, []int{0}, validators.Change{Address: address(0)}, "is the only validator"},
		"the API is off":               {4, func(c *chain) { c.nodes[address(1)].refuses = "qbft_getValidatorsByBlockNumber" }, []int{0, 1, 2, 3, 4}, add, "node-1: qbft_getValidatorsByBlockNumber: JSON-RPC error -32604: Method not enabled"},
		"the API is off at the vote":   {4, func(c *chain) { c.nodes[address(1)].refuses = "qbft_proposeValidatorVote" }, []int{0, 1, 2, 3, 4}, add, "3 of 4 validators took the vote, not all, so it was taken back: node-1: qbft_proposeValidatorVote"},
		"the set is not of the header": {4, func(c *chain) { c.validators = nil; c.frozen = true }, []int{0}, add, "tells no validators"},
	}
	for name, example := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := network(t, example.count)
			if example.prepare != nil {
				example.prepare(c)
			}
			before := slices.Clone(c.validators)
			_, err := apply(t, c.urls(t, example.nodes...), example.change)
			require.ErrorContains(t, err, example.want)
			require.Equal(t, before, c.validators)
			for _, n := range c.nodes {
				require.Empty(t, n.votes)
			}
		})
	}
}

func TestApply_AMajorityIsEnoughWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	c := network(t, 4)
	_, err := apply(t, c.urls(t, 0, 1, 2, 4), validators.Change{Address: address(4), Add: true, Majority: true})
	require.NoError(t, err)
	require.Len(t, c.validators, 5)

	c = network(t, 4)
	_, err = apply(t, c.urls(t, 0, 1, 2), validators.Change{Address: address(3), Majority: true, AcceptNoFaultTolerance: true})
	require.NoError(t, err)
	require.Len(t, c.validators, 3)
}

func TestApply_SaysWhatToDoWhenNoBlockComes(t *testing.T) {
	t.Parallel()
	c := network(t, 4)
	c.frozen = true
	nodes := c.urls(t, 0, 1, 2, 3, 4)
	options := validators.Options{API: nodeclient.QBFT, Timeout: 50 * time.Millisecond, Poll: time.Millisecond}

	err := validators.Apply(t.Context(), nodes, validators.Change{Address: address(4), Add: true}, options, func(string) {})
	require.ErrorContains(t, err, "after 50ms the set has not changed on node-0, node-1, node-2, node-3; the votes stay")
	require.Len(t, c.nodes[address(0)].votes, 1)

	require.NoError(t, validators.Withdraw(t.Context(), nodes, address(4), options, func(string) {}))
	require.Empty(t, c.nodes[address(0)].votes)

	ctx, cancel := context.WithCancel(t.Context())
	err = validators.Apply(ctx, nodes, validators.Change{Address: address(4), Add: true}, options, func(line string) {
		if strings.HasPrefix(line, "Block") {
			cancel()
		}
	})
	require.ErrorContains(t, err, "stopped waiting")
}

func TestApply_ARunAfterTheEndTakesTheVotesBack(t *testing.T) {
	t.Parallel()
	c := network(t, 4)
	c.validators = append(c.validators, address(4))
	c.nodes[address(0)].votes[address(4)] = true

	_, err := apply(t, c.urls(t, 0, 1, 2, 3, 4), validators.Change{Address: address(4), Add: true})
	require.NoError(t, err)
	require.Empty(t, c.nodes[address(0)].votes)
}

func TestApply_IBFT2HasMethodsOfItsOwn(t *testing.T) {
	t.Parallel()
	c := network(t, 4)
	c.isIBFT = true
	options := validators.Options{API: nodeclient.IBFT, Timeout: 10 * time.Second, Poll: time.Millisecond}
	err := validators.Apply(t.Context(), c.urls(t, 0, 1, 2, 3, 4), validators.Change{Address: address(4), Add: true}, options, func(string) {})
	require.NoError(t, err)
	require.Len(t, c.validators, 5)
}

func TestQuorum(t *testing.T) {
	t.Parallel()
	for n, want := range map[int][2]int{1: {1, 0}, 2: {2, 0}, 3: {2, 0}, 4: {3, 1}, 5: {4, 1}, 6: {4, 1}, 7: {5, 2}, 10: {7, 3}} {
		require.Equal(t, want[0], validators.Quorum(n), "of %d", n)
		require.Equal(t, want[1], validators.Tolerated(n), "of %d", n)
	}
}
