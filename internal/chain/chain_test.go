package chain

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFinality_Finalized(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		rule           Finality
		latest, tagged uint64
		want           uint64
		known          bool
	}{
		"instant: the head is final":     {Finality{Mode: Instant}, 9, 0, 9, true},
		"tag: the node says":             {Finality{Mode: ByTag}, 9, 5, 5, true},
		"tag: the node has not said yet": {Finality{Mode: ByTag}, 9, 0, 0, false},
		"depth":                          {Finality{Mode: ByDepth, Depth: 64}, 100, 99, 36, true},
		"depth: chain too short":         {Finality{Mode: ByDepth, Depth: 64}, 63, 0, 0, false},
		"not decided yet":                {Finality{Mode: Auto}, 100, 50, 0, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, known := c.rule.Finalized(c.latest, c.tagged)
			require.Equal(t, c.known, known)
			require.Equal(t, c.want, got)
		})
	}
}

func TestTracker_NeverGoesBack(t *testing.T) {
	t.Parallel()

	tr := NewTracker(Finality{Mode: Instant})
	require.Equal(t, Head{}, tr.Head())
	require.False(t, tr.Head().IsFinal(0))

	tr.ObserveLatest(0)
	require.Equal(t, Head{IsKnown: true, HasFinalized: true}, tr.Head(), "block 0 is a block")

	tr.ObserveLatest(7)
	tr.ObserveLatest(5)
	require.Equal(t, Head{Latest: 7, Finalized: 7, IsKnown: true, HasFinalized: true}, tr.Head())
	require.True(t, tr.Head().IsFinal(7))
	require.False(t, tr.Head().IsFinal(8))

	tr.SetFinality(Finality{Mode: ByTag})
	tr.ObserveFinalized(4)
	tr.ObserveFinalized(3)
	require.Equal(t, uint64(4), tr.Head().Finalized)
}

func TestTagNumber(t *testing.T) {
	t.Parallel()

	known := Head{Latest: 9, Finalized: 9, IsKnown: true, HasFinalized: true}
	n, ok := Finality{Mode: Instant}.TagNumber(known)
	require.True(t, ok)
	require.Equal(t, uint64(9), n)
	_, ok = Finality{Mode: ByTag}.TagNumber(known)
	require.False(t, ok, "these nodes know the tag")
	_, ok = Finality{Mode: Instant}.TagNumber(Head{})
	require.False(t, ok, "no head yet")
}

func TestMode_Text(t *testing.T) {
	t.Parallel()

	for _, m := range []Mode{Auto, Instant, ByTag, ByDepth} {
		text, err := m.MarshalText()
		require.NoError(t, err)
		var back Mode
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, m, back)
	}
	var m Mode
	require.ErrorContains(t, m.UnmarshalText([]byte("soon")), "must be auto, instant, tag or depth")
}

func TestTracker_Freshness(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		const maxAge = 200 * time.Millisecond
		tr := NewTracker(Finality{Mode: Instant})
		require.False(t, tr.IsFresh(time.Now(), maxAge), "nothing is known")

		tr.ObserveLatest(7)
		require.True(t, tr.IsFresh(time.Now(), maxAge))
		<-time.After(maxAge)
		require.False(t, tr.IsFresh(time.Now(), maxAge))

		tr.ObserveLatest(6)
		require.False(t, tr.IsFresh(time.Now(), maxAge), "a node that is behind says nothing of the newest block")
		tr.ObserveExisting(9)
		require.Equal(t, uint64(9), tr.Head().Latest)
		require.False(t, tr.IsFresh(time.Now(), maxAge), "a block that exists need not be the newest")
		tr.ObserveLatest(9)
		require.True(t, tr.IsFresh(time.Now(), maxAge))
		tr.Confirm(time.Now().Add(-time.Hour))
		require.True(t, tr.IsFresh(time.Now(), maxAge), "an older look takes nothing back")
	})
}

func TestTracker_NoticesReorganisations(t *testing.T) {
	t.Parallel()

	type block struct {
		number       uint64
		hash, parent string
	}
	depth := Finality{Mode: ByDepth, Depth: 5}
	cases := map[string]struct {
		finality Finality
		blocks   []block
		want     []Reorg
	}{
		"a chain that grows":           {depth, []block{{10, "a", "z"}, {11, "b", "a"}, {12, "c", "b"}}, nil},
		"the same block again":         {depth, []block{{10, "a", "z"}, {10, "a", "z"}}, nil},
		"blocks that were not seen":    {depth, []block{{10, "a", "z"}, {13, "d", "c"}, {12, "c", "b"}}, nil},
		"another hash":                 {depth, []block{{10, "a", "z"}, {10, "A", "z"}}, []Reorg{{10, "a", "A"}}},
		"another parent":               {depth, []block{{10, "a", "z"}, {11, "B", "A"}}, []Reorg{{10, "a", "A"}}},
		"another parent, known by son": {depth, []block{{11, "b", "a"}, {10, "A", "z"}}, []Reorg{{10, "a", "A"}}},
		"one turn is told once":        {depth, []block{{10, "a", "z"}, {11, "b", "a"}, {11, "B", "A"}, {12, "C", "B"}}, []Reorg{{11, "b", "B"}}},
		"there and back":               {depth, []block{{10, "a", "z"}, {10, "A", "z"}, {10, "a", "z"}}, []Reorg{{10, "a", "A"}, {10, "A", "a"}}},
		"final blocks do not turn":     {depth, []block{{10, "a", "z"}, {16, "g", "f"}, {10, "A", "z"}}, nil},
		"instant finality":             {Finality{Mode: Instant}, []block{{10, "a", "z"}, {10, "A", "z"}}, nil},
		"a block without hash":         {depth, []block{{10, "a", "z"}, {10, "", ""}}, nil},
		"block 0":                      {depth, []block{{0, "a", "z"}, {0, "A", "z"}}, []Reorg{{0, "a", "A"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			tr := NewTracker(c.finality)
			var got []Reorg
			tr.OnReorg(func(r Reorg) { got = append(got, r) })
			for _, b := range c.blocks {
				tr.ObserveLatest(b.number)
				tr.ObserveBlock(b.number, b.hash, b.parent)
			}
			require.Equal(t, c.want, got)
			require.Equal(t, c.want == nil, tr.LastReorg().IsZero())
		})
	}
}

func TestTracker_RemembersOnlyRecentHashes(t *testing.T) {
	t.Parallel()

	tr := NewTracker(Finality{Mode: ByTag})
	for n := uint64(1); n <= 3*maxHistory; n++ {
		tr.ObserveLatest(n)
		tr.ObserveBlock(n, "h", "h")
	}
	require.LessOrEqual(t, len(tr.history.hashes), maxHistory+1)
	require.Equal(t, "h", tr.HashOf(3*maxHistory))
	require.Empty(t, tr.HashOf(1))
	tr.ObserveFinalized(3 * maxHistory)
	tr.ObserveLatest(3*maxHistory + 1)
	tr.ObserveBlock(3*maxHistory+1, "i", "h")
	require.Len(t, tr.history.hashes, 1, "final blocks are forgotten")
}
