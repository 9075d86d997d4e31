package ratelimit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	const period = 10 * time.Second
	at := func(d time.Duration) time.Time { return time.Unix(1_000_000, 0).Add(d) }
	begun := window{index: 100_000} // at(0) is its beginning
	with := func(current, older float64) window {
		w := begun
		w.current, w.older = current, older
		return w
	}
	for name, c := range map[string]struct {
		window  window
		now     time.Time
		n, most float64
		want    time.Duration
	}{
		"empty":                              {begun, at(0), 1, 1, 0},
		"full":                               {with(5, 0), at(0), 1, 5, 12 * time.Second},
		"full, later":                        {with(5, 0), at(9 * time.Second), 1, 5, 3 * time.Second},
		"older one counts whole at first":    {with(0, 5), at(0), 1, 5, 2 * time.Second},
		"older one shrinks":                  {with(0, 5), at(2 * time.Second), 1, 5, 0},
		"half of the older one":              {with(3, 4), at(5 * time.Second), 1, 5, 2500 * time.Millisecond},
		"the next window begins":             {with(5, 0), at(10 * time.Second), 1, 5, 2 * time.Second},
		"the one after the next":             {with(5, 5), at(20 * time.Second), 5, 5, 0},
		"many at once":                       {with(1, 0), at(0), 4, 5, 0},
		"many at once, one too many":         {with(2, 0), at(0), 4, 5, 15 * time.Second},
		"more than ever fit":                 {begun, at(0), 6, 5, period},
		"nothing is let through":             {begun, at(0), 1, 0, period},
		"a clock that went back":             {with(5, 0), at(-time.Minute), 1, 5, 12 * time.Second},
		"exactly as many as are let through": {with(4, 0), at(0), 1, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.window.at(c.now, period).wait(c.now, period, c.n, c.most)
			require.InDelta(t, c.want, got, float64(time.Millisecond))
			require.Equal(t, c.want == 0, got == 0)
		})
	}
}

// Whatever comes: a window never lets more through than it may, whoever waits as
// long as it says gets through, and whoever waits much less does not.
func FuzzWindow(f *testing.F) {
	f.Add(uint16(10), uint16(5), []byte{1, 2, 3, 200, 0, 0, 0, 7})
	f.Add(uint16(100), uint16(1), []byte{0, 0, 0, 255, 255})
	f.Fuzz(func(t *testing.T, tenths, limit uint16, steps []byte) {
		period := time.Duration(1+int64(tenths)) * 100 * time.Millisecond
		most := float64(limit % 1000)
		now := time.Unix(1_700_000_000, 0)
		var w window
		taken := map[int64]float64{}
		for _, step := range steps {
			now = now.Add(time.Duration(step) * period / 64)
			n := float64(step%7 + 1)
			w = w.at(now, period)
			before := w
			wait := w.wait(now, period, n, most)
			require.Equal(t, before, w, "asking counts nothing")
			if wait > 0 {
				require.LessOrEqual(t, wait, 2*period)
				later := now.Add(wait)
				if n <= most {
					require.Zero(t, w.at(later, period).wait(later, period, n, most))
				}
				if early := now.Add(wait - 2*time.Millisecond); n <= most && early.After(now) {
					require.NotZero(t, w.at(early, period).wait(early, period, n, most))
				}
				continue
			}
			w.current += n
			taken[w.index] += n
			require.LessOrEqual(t, taken[w.index], most)
		}
	})
}
