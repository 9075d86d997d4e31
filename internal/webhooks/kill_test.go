package webhooks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/events/eventstest"
)

// helperVariable makes the test binary a replica that delivers for a database.
const helperVariable = "SLIPWAY_WEBHOOKS_TEST_DSN"

func killable() Config {
	cfg := quick()
	cfg.Timeout, cfg.Lease = 300*time.Millisecond, time.Second
	return cfg
}

// deliverUntilKilled is the replica.
func deliverUntilKilled(dsn string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute) // in case nobody kills it
	defer cancel()
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer pool.Close()
	s, err := newService(pool, killable())
	if err == nil {
		err = s.Run(ctx, func() {})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// replica runs one until it is killed.
func replica(t *testing.T, dsn string) (kill func()) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), helperVariable+"="+dsn)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
	})
	t.Cleanup(kill)
	return kill
}

// Every event arrives, and those of each transaction in their order, although
// replicas are killed at any moment, events are written meanwhile, and the
// receiver fails at random.
func TestService_LosesNothingWhenReplicasAreKilled(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	admin := service(t, h.Pool, killable())
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(7, 7))
	chance := func(n int) bool { mu.Lock(); defer mu.Unlock(); return random.IntN(n) == 0 }
	r := receive(t, func(_ http.ResponseWriter, req *http.Request, _ arrival, _ int) int {
		switch {
		case chance(8):
			return 500
		case chance(25):
			<-req.Context().Done() // hangs until the sender gives up
			return 0
		case chance(25):
			panic(http.ErrAbortHandler)
		default:
			return 200
		}
	})
	w := create(t, admin, Webhook{URL: r.URL})

	types := []string{"queued", "signed", "submitted", "mined", "confirmed"}
	const transactions = 40
	txs := make([]uuid.UUID, transactions)
	for i := range txs {
		txs[i] = h.Transaction(t, tenant, eventstest.Alice(), "")
	}
	written := make(chan error, 1)
	go func() {
		for _, eventType := range types {
			for _, tx := range txs {
				if _, err := eventstest.Write(context.WithoutCancel(t.Context()), h.Pool, tx, eventType, nil); err != nil {
					written <- err
					return
				}
			}
		}
		written <- nil
	}()

	kills := []func(){replica(t, h.DSN), replica(t, h.DSN)}
	for round := range 5 {
		seen := len(r.all())
		require.Eventually(t, func() bool { return len(r.all()) >= min(seen+10, transactions*len(types)/2) }, patience, time.Millisecond)
		kills[round%2]() // while it works
		kills[round%2] = replica(t, h.DSN)
	}
	require.NoError(t, <-written)
	var left int
	require.Eventually(t, func() bool {
		err := h.Pool.QueryRow(t.Context(), `select (select count(*) from webhook_deliveries where state <> 'delivered') + (select count(*) from tx_events e where not exists (select from webhook_deliveries d where d.event_id = e.id))`).Scan(&left)
		return err == nil && left == 0
	}, 2*patience, 50*time.Millisecond, "%d are left", &left)

	first := map[string][]string{} // by transaction: types as they first arrived well
	known := map[string]bool{}
	arrivals := r.all()
	for _, a := range arrivals {
		if a.status == 200 && !known[a.id] {
			known[a.id] = true
			first[a.tx] = append(first[a.tx], a.typ)
		}
	}
	require.Len(t, first, transactions)
	for tx, got := range first {
		require.Equal(t, types, got, tx)
	}
	list, err := admin.Deliveries(t.Context(), tenant, w.ID, DeliveryFilter{Limit: 1000})
	require.NoError(t, err)
	require.Len(t, list, transactions*len(types), "one delivery for each event")
	t.Logf("%d events, %d attempts", len(list), len(arrivals))
}
