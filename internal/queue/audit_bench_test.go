package queue

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/embedpg"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/schema"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// What the audit log costs accepting: its rows are one chain, and the head of the
// chain is locked until the batch that appends to it is committed, on all
// replicas.
func BenchmarkEnqueue_Audit(b *testing.B) {
	// A server that waits for its disk, as those of the other tests do not.
	server, err := embedpg.New(embedpg.Config{Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	lifecycletest.Start(b, server.Run)
	require.NoError(b, schema.Migrate(b.Context(), server.DSN().Reveal()))
	for _, replicas := range []int{1, 3} {
		for _, isAudited := range []bool{false, true} {
			b.Run(fmt.Sprintf("replicas=%d/audit=%t", replicas, isAudited), func(b *testing.B) {
				world := setupAt(b, server.DSN().Reveal())
				world.cfg.MaxQueuedPerSender, world.cfg.MaxQueuedPerTenant = 1<<30, 1<<30
				var queues []*Queue
				for range replicas {
					queues = append(queues, world.accepting(b, isAudited))
				}
				var n atomic.Int64
				b.SetParallelism(64) // clients for each processor
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						i := int(n.Add(1))
						_, err := queues[i%replicas].Enqueue(b.Context(), world.request(i%3, fmt.Sprint(i)))
						require.NoError(b, err)
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "accepted/s")
			})
		}
	}
}

// accepting makes a replica with a policy, connections of its own, and maybe an
// audit log.
func (b *bundle) accepting(tb testing.TB, isAudited bool) *Queue {
	tb.Helper()
	pool, err := Connect(tb.Context(), ConnectConfig{DSN: b.pool.Config().ConnString(), MaxConns: 16})
	require.NoError(tb, err)
	tb.Cleanup(pool.Close)
	rules := &rules{submitter: "key:portal"}
	p, err := policy.New(policy.Config{Rules: []policy.Rule{{ID: "all", Effect: policy.EffectAllow}}})
	require.NoError(tb, err)
	rules.policy.Store(p)
	deps := Deps{Store: NewStore(pool, testChain), Node: b.chain, Keys: b.keys, Admit: rules, Metrics: telemetry.NewFactory(), Log: slog.New(slog.DiscardHandler)}
	if isAudited {
		deps.Audit = audit.New(pool)
	}
	q, err := New(b.cfg, deps)
	require.NoError(tb, err)
	require.NoError(tb, q.Register(tb.Context()))
	return q
}
