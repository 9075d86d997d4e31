package chain

import (
	"testing"

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
