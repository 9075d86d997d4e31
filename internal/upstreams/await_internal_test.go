package upstreams

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
)

func TestPatience(t *testing.T) {
	t.Parallel()

	const limit = 2 * time.Second
	cases := map[string]struct {
		above uint64
		pace  chain.Pace
		want  time.Duration
	}{
		"there already":                {0, chain.Pace{Period: time.Second}, 0},
		"nothing known":                {1, chain.Pace{}, 0},
		"the next one":                 {1, chain.Pace{Period: time.Second}, limit},
		"two blocks at most":           {1, chain.Pace{Period: 200 * time.Millisecond}, 400 * time.Millisecond},
		"due soon":                     {1, chain.Pace{Period: 12 * time.Second, Since: 11 * time.Second}, limit},
		"not due":                      {1, chain.Pace{Period: 12 * time.Second, Since: 5 * time.Second}, 0},
		"empty blocks once a minute":   {1, chain.Pace{Period: time.Minute, Since: time.Second}, 0},
		"overdue":                      {1, chain.Pace{Period: time.Second, Since: time.Minute}, limit},
		"the third":                    {3, chain.Pace{Period: 500 * time.Millisecond, Since: 600 * time.Millisecond}, time.Second},
		"the third is not due so soon": {3, chain.Pace{Period: 500 * time.Millisecond}, 0},
		"far above":                    {4, chain.Pace{Period: time.Second}, 0},
	}
	for name, c := range cases {
		require.Equal(t, c.want, patience(c.above, c.pace, limit), name)
	}
}
