package subscriptions

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkFanOut tells one head to 1,000 clients and waits until each has it.
func BenchmarkFanOut(b *testing.B) {
	const clients = 1000
	genesis := newFakeBlock(nil, 0)
	net := newFakeNetwork(genesis, 1)
	h := newTestHub(b, net, nil)
	stop := run(b.Context(), h)
	defer stop()
	var got sync.WaitGroup
	var readers sync.WaitGroup
	all := make([]*Client, clients)
	for i := range all {
		c := h.NewClient()
		_, err := c.Subscribe(b.Context(), []byte(`["newHeads"]`))
		require.NoError(b, err)
		c.Announced()
		all[i] = c
		readers.Go(func() {
			for {
				if _, err := c.Next(b.Context()); err != nil {
					return
				}
				got.Done()
			}
		})
	}
	head := newFakeBlock(genesis, 1).json()
	b.ReportAllocs()
	for b.Loop() {
		got.Add(clients)
		h.chain.each(func(s *subscription) { h.tell(s, head) })
		got.Wait()
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/clients, "ns/client")
	for _, c := range all {
		c.Close()
	}
	readers.Wait()
}
