package webhooks

import (
	"math/rand/v2"
	"time"
)

const firstBackoff = time.Second

// backoff is the pause after a failed attempt, of which there were attempts:
// 1s, 2s, 4s and so on up to most, plus up to a tenth by chance, so that what
// failed together is not repeated together. A receiver may ask for longer.
func backoff(attempts int, most, asked time.Duration) time.Duration {
	pause := most
	if attempts < 30 { // 2^30 s is beyond every limit
		pause = min(most, firstBackoff<<max(attempts-1, 0))
	}
	pause = max(pause, min(asked, most))
	return pause + rand.N(pause/10+1) //nolint:gosec // jitter
}
