package main

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
)

func TestTally_FollowsFromTheBlocks(t *testing.T) {
	t.Parallel()
	a, b, c, d := common.Address{1}, common.Address{2}, common.Address{3}, common.Address{4}
	add := func(one common.Address) *ballot { return &ballot{one, true} }
	remove := func(one common.Address) *ballot { return &ballot{one, false} }
	type block struct {
		proposer common.Address
		cast     *ballot
	}
	const epoch = 5
	for name, test := range map[string]struct {
		set    []common.Address
		blocks []block // from 1 on
		want   []common.Address
	}{
		"without votes nothing changes":        {[]common.Address{a, b}, []block{{a, nil}, {b, nil}}, []common.Address{a, b}},
		"one of one is more than half":         {[]common.Address{b}, []block{{b, add(a)}}, []common.Address{a, b}},
		"one of two is not":                    {[]common.Address{a, b}, []block{{a, add(c)}}, []common.Address{a, b}},
		"nor is the same one twice":            {[]common.Address{a, b}, []block{{a, add(c)}, {b, nil}, {a, add(c)}}, []common.Address{a, b}},
		"two of two are":                       {[]common.Address{a, b}, []block{{a, add(c)}, {b, add(c)}}, []common.Address{a, b, c}},
		"an epoch forgets":                     {[]common.Address{a, b}, []block{{a, add(c)}, {}, {}, {}, {}, {b, add(c)}}, []common.Address{a, b}},
		"who is no validator has no vote":      {[]common.Address{a}, []block{{b, add(c)}}, []common.Address{a}},
		"two of three remove one":              {[]common.Address{a, b, c}, []block{{a, remove(c)}, {b, remove(c)}}, []common.Address{a, b}},
		"who is removed takes its votes along": {[]common.Address{a, b, c}, []block{{c, add(d)}, {a, remove(c)}, {b, remove(c)}, {a, add(d)}}, []common.Address{a, b}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := tally{set: test.set}
			for i, one := range test.blocks {
				is = is.count(uint64(i+1), epoch, one.proposer, ballotOf(one.cast.extra()))
			}
			require.Equal(t, test.want, is.set)
		})
	}
}
