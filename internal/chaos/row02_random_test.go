package chaos

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Row 2: three replicas, one of which is killed every 50 to 500 ms.
func TestRow02_RandomKills(t *testing.T) {
	t.Parallel()
	n := choose(150, 10_000)
	w := newWorld(t, options{accounts: choose(3, 8), queue: map[string]any{"batchSize": choose(10, 100)}})
	for range 3 {
		w.replica(t).start(t).ready(t)
	}
	over := make(chan struct{})
	killed := make(chan int, 1)
	go func() {
		kills := 0
		for {
			select {
			case <-over:
				killed <- kills
				return
			case <-time.After(50*time.Millisecond + rand.N(450*time.Millisecond)):
				r := w.replicas[rand.IntN(len(w.replicas))]
				r.kill()
				kills++
				if err := r.launch(); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	w.load(t, 0, n)
	pause(t, choose(2*time.Second, 20*time.Second)) // what was accepted is worked off among kills
	close(over)
	t.Logf("killed %d times", <-killed)

	w.judge(t, verdict{accepted: n, within: choose(time.Minute, 5*time.Minute)})
}
