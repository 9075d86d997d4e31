package upstreams

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOldestState(t *testing.T) {
	t.Parallel()
	from := func(first uint64) func(uint64) (bool, error) {
		return func(number uint64) (bool, error) { return number >= first, nil }
	}
	for _, c := range []struct{ head, first uint64 }{{0, 0}, {1, 0}, {1, 1}, {100, 0}, {100, 1}, {100, 100}, {100, 37}, {16_000_000, 15_999_488}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			calls := 0
			got := oldestState(c.head, func(number uint64) (bool, error) {
				calls++
				return from(c.first)(number)
			})
			require.NotNil(t, got)
			require.Equal(t, c.first, *got)
			require.LessOrEqual(t, calls, maxStateCalls)
		})
	}
	require.Nil(t, oldestState(100, from(101)), "not even the newest")
	require.Nil(t, oldestState(100, func(uint64) (bool, error) { return false, errors.New("gone") }))

	calls := 0
	near := oldestState(1<<60, func(number uint64) (bool, error) {
		calls++
		return number >= 1<<59+12345, nil
	})
	require.Equal(t, maxStateCalls, calls)
	require.GreaterOrEqual(t, *near, uint64(1<<59+12345), "rather too new than too old")
}

func TestCompareNodes(t *testing.T) {
	t.Parallel()
	zero := uint64(0)
	node := func(chainID uint64, genesis string, head uint64) Inspection {
		return Inspection{Reachable: true, ChainID: chainID, Genesis: genesis, Head: head, OldestState: &zero}
	}
	cases := map[string]struct {
		nodes    []Inspection
		want     Identity
		errs     map[int]string
		warnings map[int]string
	}{
		"all alike":               {nodes: []Inspection{node(1, "a", 10), node(1, "a", 9)}},
		"the configured chain":    {[]Inspection{node(1, "a", 10), node(2, "b", 10)}, Identity{ChainID: 2, Genesis: "b"}, map[int]string{0: "shows chain id 1 instead of 2"}, nil},
		"the configured block":    {[]Inspection{node(1, "a", 10), node(1, "a", 10)}, Identity{ChainID: 1, Genesis: "b"}, map[int]string{0: "shows the genesis block a instead of b", 1: "shows the genesis block a instead of b"}, nil},
		"most of the right chain": {[]Inspection{node(1, "a", 9), node(1, "a", 9), node(2, "b", 9)}, Identity{ChainID: 2}, map[int]string{0: "shows chain id 1 instead of 2", 1: "shows chain id 1 instead of 2"}, nil},
		"most hold":               {[]Inspection{node(1, "b", 10), node(1, "a", 10), node(1, "a", 10)}, Identity{}, map[int]string{0: "shows the genesis block b instead of a"}, nil},
		"the first of equal":      {[]Inspection{node(1, "b", 10), node(1, "a", 10)}, Identity{}, map[int]string{1: "shows the genesis block a instead of b"}, nil},
		"a chain is said alone":   {[]Inspection{node(1, "a", 10), node(1, "a", 10), node(2, "b", 10)}, Identity{}, map[int]string{2: "shows chain id 2 instead of 1"}, nil},
		"unreachable":             {[]Inspection{{Errors: []string{"cannot be reached"}}, node(1, "a", 10)}, Identity{}, map[int]string{0: "cannot be reached"}, nil},
		"behind":                  {[]Inspection{node(1, "a", 10), node(1, "a", 7)}, Identity{}, nil, map[int]string{1: "is 3 blocks behind"}},
		"another chain's head":    {[]Inspection{node(1, "a", 10), node(1, "a", 10), node(2, "b", 99)}, Identity{}, map[int]string{2: "shows chain id 2 instead of 1"}, nil},
		"syncing":                 {[]Inspection{{Reachable: true, ChainID: 1, Syncing: true}}, Identity{}, nil, map[int]string{0: "is syncing"}},
		"without logs":            {[]Inspection{{Reachable: true, ChainID: 1, Methods: map[string]bool{"eth_getLogs": false}}}, Identity{}, nil, map[int]string{0: "does not have eth_getLogs"}},
		"without state":           {[]Inspection{{Reachable: true, ChainID: 1, Head: 1}}, Identity{}, nil, map[int]string{0: "does not tell the state of its newest block"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compareNodes(c.nodes, c.want, 2)
			for i, n := range c.nodes {
				require.Equal(t, listOf(c.errs[i]), n.Errors, i)
				require.Equal(t, listOf(c.warnings[i]), n.Warnings, i)
			}
		})
	}
}

func listOf(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}
