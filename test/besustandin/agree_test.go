package main

import (
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/stretchr/testify/require"
)

func TestVote_AcceptsOneBlockAHeight(t *testing.T) {
	t.Parallel()
	block, other := hexutil.Bytes("a"), hexutil.Bytes("b")
	accepted := vote{Height: 5, Promised: 9, Accepted: 9, Block: block}
	for name, test := range map[string]struct {
		before vote
		asked  question
		next   uint64
		after  vote
		answer answer
	}{
		"a first promise":               {vote{}, question{5, 4, nil}, 5, vote{5, 4, 0, nil}, answer{Yes: true}},
		"a higher number wins":          {vote{5, 4, 0, nil}, question{5, 8, nil}, 5, vote{5, 8, 0, nil}, answer{Yes: true, Promised: 4}},
		"a lower one is told so":        {vote{5, 8, 0, nil}, question{5, 4, nil}, 5, vote{5, 8, 0, nil}, answer{Promised: 8}},
		"a block is accepted":           {vote{5, 8, 0, nil}, question{5, 8, block}, 5, vote{5, 8, 8, block}, answer{Yes: true, Promised: 8}},
		"who promises tells of a block": {accepted, question{5, 12, nil}, 5, vote{5, 12, 9, block}, answer{Yes: true, Promised: 9, Accepted: 9, Block: block}},
		"a late block is refused":       {accepted, question{5, 8, other}, 5, accepted, answer{Promised: 9, Accepted: 9, Block: block}},
		"another height is no vote":     {accepted, question{6, 12, nil}, 5, accepted, answer{}},
		"the next height begins anew":   {accepted, question{6, 4, nil}, 6, vote{6, 4, 0, nil}, answer{Yes: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after, answer := test.before.decide(test.asked, test.next)
			require.Equal(t, test.after, after)
			require.Equal(t, test.answer, answer)
		})
	}
}

func TestNetwork_ProposersTakeTurns(t *testing.T) {
	t.Parallel()
	n := network{period: 2 * time.Second, emptyPeriod: time.Minute, timeout: 4 * time.Second}
	for name, test := range map[string]struct {
		turn   int
		height uint64
		empty  bool
		want   time.Duration
	}{
		"whose turn it is":              {1, 5, false, 2 * time.Second},
		"the next one waits a round":    {2, 5, false, 6 * time.Second},
		"then twice as long":            {3, 5, false, 14 * time.Second},
		"then four times":               {0, 5, false, 30 * time.Second},
		"empty blocks come less often":  {1, 5, true, time.Minute},
		"the turn goes with the height": {2, 6, false, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, n.wait(test.height, test.turn, 4, test.empty))
		})
	}
}

func TestAsBesu_SpeaksItsErrors(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]rpcError{
		"already known": {Code: -32000, Message: "Known transaction"},
		"nonce too low: next nonce 5, tx nonce 3": {Code: -32001, Message: "Nonce too low"},
		"execution reverted: no":                  {Code: 3, Message: "Execution reverted"},
		"something else":                          {Code: -1, Message: "something else"},
	} {
		require.Equal(t, want, asBesu(rpcError{Code: -1, Message: from}))
	}
}
