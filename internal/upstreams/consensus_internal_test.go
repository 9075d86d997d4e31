package upstreams

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ballotsOf reads "a b -": one ballot a letter, "-" an empty answer; a digit
// behind a letter is the node's head.
func ballotsOf(text string) []ballot {
	var out []ballot
	for _, c := range text {
		switch {
		case c == ' ':
		case c >= '0' && c <= '9':
			out[len(out)-1].head = uint64(c - '0')
		default:
			out = append(out, ballot{text: string(c), isEmpty: c == '-'})
		}
	}
	return out
}

func TestConsensus_Rule(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		threshold    int
		dispute, low Arbitration
		preferAny    bool // PreferNonEmpty is off
		ballots      string
		outstanding  int
		want         rulingKind
		winner       int
	}{
		"nothing yet":                           {2, "", "", false, "", 3, waiting, 0},
		"one of two":                            {2, "", "", false, "a", 2, waiting, 0},
		"two agree, the third cannot change it": {2, "", "", false, "aa", 1, agreed, 0},
		"two agree, three others may still":     {2, "", "", false, "aa", 3, waiting, 0},
		"a lead of one is safe at the end":      {2, "", "", false, "aab", 0, agreed, 0},
		"a tie":                                 {2, ReturnError, "", false, "aabb", 0, disputed, 0},
		"a tie is taken":                        {2, AcceptMostCommon, "", false, "aabb", 0, arbitrated, 0},
		"all different":                         {2, ReturnError, "", false, "abc", 0, disputed, 0},
		"all different, the first is taken":     {2, AcceptMostCommon, "", false, "abc", 0, arbitrated, 0},
		"all different, who leads is taken":     {2, PreferBlockHeadLeader, "", false, "a1b3c2", 0, arbitrated, 1},
		"two lead, the most common is taken":    {3, PreferBlockHeadLeader, "", false, "a1a1b3c3", 0, arbitrated, 0},
		"two lead with the same answer":         {3, OnlyBlockHeadLeader, "", false, "a1b3b3", 0, arbitrated, 1},
		"two lead with different answers":       {3, OnlyBlockHeadLeader, "", false, "a1b3c3", 0, disputed, 0},
		"too few have answered":                 {3, AcceptMostCommon, ReturnError, false, "aa", 0, disputed, 0},
		"too few, taken nonetheless":            {3, ReturnError, AcceptMostCommon, false, "aa", 0, arbitrated, 0},
		"nobody has answered":                   {2, ReturnError, AcceptMostCommon, false, "", 0, disputed, 0},
		"empty is in the lead, and may lose it": {2, "", "", false, "--", 2, waiting, 0},
		"empty is in the lead for good":         {2, "", "", false, "---a", 0, agreed, 0},
		"what is not empty wins with enough":    {2, "", "", false, "---aa", 0, agreed, 3},
		"empty counts like every other":         {2, "", "", true, "---aa", 0, agreed, 0},
		"what is not empty wins without enough": {3, AcceptMostCommon, "", false, "--a", 0, arbitrated, 2},
		"one is enough":                         {1, "", "", false, "a", 0, agreed, 0},
		"the threshold is met, more may come":   {2, "", "", false, "aab", 2, waiting, 0},
		"the threshold is met, one may come":    {2, "", "", false, "aaab", 1, agreed, 0},
	}
	for name, c := range cases {
		policy := Consensus{Participants: 5, Threshold: c.threshold, OnDispute: c.dispute, OnLow: c.low, PreferNonEmpty: !c.preferAny}
		got := policy.rule(ballotsOf(c.ballots), c.outstanding)
		require.Equal(t, c.want.String(), got.kind.String(), name)
		require.Equal(t, c.winner, got.winner, name)
	}
}

func TestConsensus_RuleIsNeverTakenBack(t *testing.T) {
	t.Parallel()

	policy := Consensus{Threshold: 2, OnDispute: ReturnError, OnLow: ReturnError, PreferNonEmpty: true}
	var grow func(text string, outstanding int, before ruling, answer byte)
	grow = func(text string, outstanding int, before ruling, answer byte) {
		r := policy.rule(ballotsOf(text), outstanding)
		if before.kind == agreed {
			require.Equal(t, agreed, r.kind, text)
			require.Equal(t, string(answer), string(text[r.winner]), text)
		}
		if outstanding == 0 {
			return
		}
		if r.kind == agreed {
			answer = text[r.winner]
		}
		for _, next := range "ab-" {
			grow(text+string(next), outstanding-1, r, answer)
		}
		if len(text) > 0 {
			grow(text, outstanding-1, r, answer) // one gives no answer
		}
	}
	grow("", 5, ruling{}, 0)
}

func TestCanonical(t *testing.T) {
	t.Parallel()

	require.Equal(t, canonical([]byte(`{"a":1,"b":[true]}`), nil), canonical([]byte(` { "b" : [ true ], "a":1 }`), nil))
	require.NotEqual(t, canonical([]byte(`{"a":1}`), nil), canonical([]byte(`{"a":2}`), nil))
	require.NotEqual(t, canonical([]byte(`[1,2]`), nil), canonical([]byte(`[2,1]`), nil))
	require.NotEqual(t, canonical([]byte(`9007199254740993`), nil), canonical([]byte(`9007199254740992`), nil), "numbers are not rounded")
	ignored := []string{"x", "logs.*.time", "list.*"}
	require.Equal(t,
		canonical([]byte(`{"x":1,"logs":[{"time":1,"a":1},{"a":2}]}`), ignored),
		canonical([]byte(`{"logs":[{"a":1},{"time":3,"a":2}]}`), ignored))
	require.NotEqual(t, canonical([]byte(`{"y":1}`), ignored), canonical([]byte(`{"y":2}`), ignored))
}

func TestMisconduct(t *testing.T) {
	t.Parallel()

	c := &Consensus{Threshold: 1, Punishment: &Punishment{Disputes: 2, Window: time.Minute, SitOut: time.Hour}}
	list := []*Upstream{{id: "a"}, {id: "b"}}
	m, now := newMisconduct(), time.Now()
	m.note("a", c, now)
	m.note("a", c, now.Add(2*time.Minute))
	require.Len(t, m.without(list, c, now.Add(2*time.Minute)), 2, "not within the window")
	m.note("a", c, now.Add(150*time.Second))
	require.Equal(t, list[1:], m.without(list, c, now.Add(3*time.Minute)))
	require.Len(t, m.without(list, c, now.Add(3*time.Hour)), 2, "back again")
	c.Threshold = 2
	require.Len(t, m.without(list, c, now.Add(3*time.Minute)), 2, "too few would remain")
}
