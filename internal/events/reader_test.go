package events

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/events/eventstest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/schema"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, pgtest.Template(schema.Migrate))) }

const patience = 30 * time.Second

func TestSettle(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		after    int64
		ids      []int64
		lostUpTo int64
		n        int
		settled  int64
	}{
		"nothing new":                  {after: 5, settled: 5},
		"no hole":                      {after: 5, ids: []int64{6, 7, 8}, n: 3, settled: 8},
		"hole at once":                 {after: 5, ids: []int64{7, 8}, n: 0, settled: 5},
		"hole later":                   {after: 5, ids: []int64{6, 8, 9}, n: 1, settled: 6},
		"hole that is lost":            {after: 5, ids: []int64{8, 9}, lostUpTo: 9, n: 2, settled: 9},
		"hole just below what is lost": {after: 5, ids: []int64{8}, lostUpTo: 7, n: 1, settled: 8},
		"hole partly above":            {after: 5, ids: []int64{8}, lostUpTo: 6, n: 0, settled: 5},
		"second hole not lost":         {after: 5, ids: []int64{7, 9}, lostUpTo: 7, n: 1, settled: 7},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, settled := settle(c.after, c.ids, c.lostUpTo)
			require.Equal(t, c.n, n)
			require.Equal(t, c.settled, settled)
		})
	}
}

// advance steps until there is nothing to come back for at once.
func advance(t *testing.T, r *Reader, h *eventstest.History, position int64) (int64, Progress) {
	t.Helper()
	for range 10 {
		next, progress, err := r.Advance(t.Context(), h.Pool, position)
		require.NoError(t, err)
		if next == position {
			return position, progress
		}
		position = next
	}
	return position, Idle
}

func TestReader_WaitsForWhoIsStillWriting(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(pgx.Tx, context.Context) error{"commit": pgx.Tx.Commit, "rollback": pgx.Tx.Rollback} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, r := eventstest.New(t), &Reader{}
			one, two := h.Transaction(t, "default", eventstest.Alice(), ""), h.Transaction(t, "default", eventstest.Alice(), "")
			first := h.Append(t, one, "queued")

			// A transaction that has nothing to do with events keeps nobody waiting.
			stranger, err := h.Pool.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = stranger.Rollback(context.WithoutCancel(t.Context())) }()
			_, err = stranger.Exec(t.Context(), `update senders set state_reason = 'slow'`)
			require.NoError(t, err)

			open, err := h.Pool.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = open.Rollback(context.WithoutCancel(t.Context())) }()
			missing, err := eventstest.Write(t.Context(), open, one, "signed", nil)
			require.NoError(t, err)
			later := h.Append(t, two, "queued")
			require.Greater(t, later, missing)

			position, progress := advance(t, r, h, 0)
			require.Equal(t, first, position, "it stays in front of the hole")
			require.Equal(t, Waiting, progress)
			begin := &Reader{}
			_, isKnown, err := begin.Begin(t.Context(), h.Pool)
			require.NoError(t, err)
			require.False(t, isKnown)

			require.NoError(t, end(open, t.Context()))
			position, progress = advance(t, r, h, position)
			require.Equal(t, later, position)
			require.Equal(t, Idle, progress)
			start, isKnown, err := begin.Begin(t.Context(), h.Pool)
			require.NoError(t, err)
			require.True(t, isKnown)
			require.Equal(t, later, start)
		})
	}
}

// Writers whose SQL transactions overlap, last for different times and are
// partly rolled back, against a reader that must see each event once, in order.
func TestReader_LosesAndRepeatsNothingInARace(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	const writers, rounds = 8, 60
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()

	var wg sync.WaitGroup
	shared := h.Transaction(t, "default", eventstest.Bob(), "")
	for w := range writers {
		own := []uuid.UUID{h.Transaction(t, "default", eventstest.Alice(), ""), shared}
		random := rand.New(rand.NewPCG(uint64(w), 1))
		wg.Go(func() {
			for range rounds {
				writeAtRandom(ctx, t, h, own, random)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()

	var seen []Event
	r, position, waits := &Reader{}, int64(0), 0
	for isOver := false; ; {
		next, progress, err := r.Advance(ctx, h.Pool, position)
		require.NoError(t, err)
		if next > position {
			list, err := Load(ctx, h.Pool, position, next)
			require.NoError(t, err)
			seen, position = append(seen, list...), next
			continue
		}
		if progress == Waiting {
			waits++
			continue
		}
		if isOver {
			break
		}
		select {
		case <-done:
			isOver = true
		default:
		}
	}

	all, err := Load(ctx, h.Pool, 0, position+1_000_000)
	require.NoError(t, err)
	require.Equal(t, ids(all), ids(seen), "every event once, in the order of ids")
	require.NotEmpty(t, seen)
	t.Logf("%d events, %d waits", len(seen), waits)
}

func writeAtRandom(ctx context.Context, t *testing.T, h *eventstest.History, own []uuid.UUID, random *rand.Rand) {
	t.Helper()
	tx, err := h.Pool.Begin(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	for range 1 + random.IntN(3) {
		if _, err := eventstest.Write(ctx, tx, own[0], "submitted", nil); err != nil {
			t.Error(err)
		}
		if _, err := tx.Exec(ctx, `select pg_sleep($1)`, random.Float64()*0.004); err != nil {
			t.Error(err)
		}
	}
	if random.IntN(4) == 0 { // last, so that nobody waits for two rows
		if _, err := eventstest.Write(ctx, tx, own[1], "mined", nil); err != nil {
			t.Error(err)
		}
	}
	end := tx.Commit
	if random.IntN(5) == 0 {
		end = tx.Rollback
	}
	if err := end(ctx); err != nil {
		t.Error(err)
	}
}

func ids(list []Event) []int64 {
	out := make([]int64, len(list))
	for i, e := range list {
		out[i] = e.ID
	}
	return out
}

func TestLoad_TellsStatusAndHashOfThatTime(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	tx := h.Transaction(t, "default", eventstest.Alice(), "order-7")
	h.Append(t, tx, "queued")
	write := func(eventType, data string) {
		_, err := eventstest.Write(t.Context(), h.Pool, tx, eventType, []byte(data))
		require.NoError(t, err)
	}
	write("signed", `{"nonce": 1, "hash": "0xaa"}`)
	h.Append(t, tx, "submitted")
	write("replaced", `{"nonce": 1, "hash": "0xbb"}`)
	write("confirmed", `{"block": 5, "hash": "0xaa"}`)

	list, err := Load(t.Context(), h.Pool, 0, 1000)

	require.NoError(t, err)
	var got [][3]string
	for _, e := range list {
		got = append(got, [3]string{e.Type, e.Status, e.Hash})
	}
	require.Equal(t, [][3]string{
		{"queued", "queued", ""}, {"signed", "signed", "0xaa"}, {"submitted", "submitted", "0xaa"}, {"replaced", "submitted", "0xbb"}, {"confirmed", "confirmed", "0xaa"},
	}, got)
	list[4].At = time.Unix(0, 0)
	text, err := list[4].JSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"5","type":"confirmed","at":"1970-01-01T00:00:00Z","data":{"block":5,"hash":"0xaa"},"transaction":{
		"id":"`+tx.String()+`","status":"confirmed","chainId":4242,"from":"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266","reference":"order-7","hash":"0xaa"}}`, string(text))
}

func newFeed(t *testing.T, h *eventstest.History, change func(*Config)) *Feed {
	t.Helper()
	cfg := Default()
	cfg.Poll, cfg.Heartbeat = 10*time.Millisecond, time.Second
	if change != nil {
		change(&cfg)
	}
	f, err := NewFeed(cfg, NewStore(h.Pool), telemetry.NewFactory(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return f
}

func runFeed(t *testing.T, f *Feed) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, func() {}) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

// take waits for n events behind a position.
func take(t *testing.T, f *Feed, position int64, n int) (list []Event, next int64) {
	t.Helper()
	deadline := time.After(patience)
	for len(list) < n {
		more, next, moved, err := f.After(position)
		require.NoError(t, err)
		list, position = append(list, more...), next
		if len(more) == 0 {
			select {
			case <-moved:
			case <-deadline:
				t.Fatalf("%d of %d events came", len(list), n)
			}
		}
	}
	return list, position
}

func TestFeed_TellsWhatIsNewToAllThatListen(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	f := newFeed(t, h, nil)
	stop := runFeed(t, f)
	tx := h.Transaction(t, "default", eventstest.Alice(), "")
	old := h.Append(t, tx, "queued")

	leave, err := f.Join()
	require.NoError(t, err)
	position, err := f.Position(t.Context())
	require.NoError(t, err)
	require.Equal(t, old, position)
	_, _, _, err = f.After(0)
	require.ErrorIs(t, err, ErrBehind, "what was before is read from the database")
	list, next, err := f.Page(t.Context(), Filter{Tenant: "default", ChainID: eventstest.ChainID}, 0)
	require.NoError(t, err)
	require.Equal(t, []int64{old}, ids(list))
	require.Equal(t, old, next)

	last := h.Append(t, tx, "signed", "submitted")
	list, next = take(t, f, position, 2)
	require.Equal(t, []int64{last - 1, last}, ids(list))
	require.Equal(t, last, next)
	list, _ = take(t, f, last-1, 1)
	require.Equal(t, []int64{last}, ids(list), "each client has a position of its own")
	ahead, _, _, err := f.After(last + 100)
	require.NoError(t, err)
	require.Empty(t, ahead, "a client from a process that is ahead waits")

	go func() { <-time.After(20 * time.Millisecond); leave("left") }()
	stop()
	_, err = f.Join()
	require.ErrorIs(t, err, ErrStopping)
	_, _, _, err = f.After(last)
	require.ErrorIs(t, err, ErrStopping)
}

func TestFeed_HasABoundForClientsAndMemory(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	f := newFeed(t, h, func(c *Config) { c.MaxStreams, c.Backlog = 1, 1000 })
	runFeed(t, f)
	leave, err := f.Join()
	require.NoError(t, err)
	_, err = f.Join()
	require.ErrorIs(t, err, ErrFull)
	start, err := f.Position(t.Context())
	require.NoError(t, err)

	tx := h.Transaction(t, "default", eventstest.Alice(), "")
	h.Exec(t, `insert into tx_events (tx_id, type) select $1, 'submitted' from generate_series(1, 2500)`, tx)
	require.Eventually(t, func() bool { p, err := f.Position(t.Context()); return err == nil && p >= start+2500 }, patience, 5*time.Millisecond)
	_, _, _, err = f.After(start)
	require.ErrorIs(t, err, ErrBehind)
	list, _, _, err := f.After(start + 1500)
	require.NoError(t, err)
	require.Equal(t, start+1501, list[0].ID)
	require.Len(t, list, maxTake)

	leave("left")
	leave, err = f.Join()
	require.NoError(t, err)
	leave("left")
}

func TestFilter(t *testing.T) {
	t.Parallel()
	e := Event{ID: 1, Type: "signed", Tenant: "a", ChainID: 1, Sender: eventstest.Alice(), Reference: "r", TxID: uuid.New()}
	require.True(t, Filter{Tenant: "a", ChainID: 1}.Matches(e))
	require.False(t, Filter{Tenant: "b", ChainID: 1}.Matches(e))
	require.False(t, Filter{Tenant: "a", ChainID: 2}.Matches(e))
	base := Filter{Tenant: "a", ChainID: 1}
	for name, change := range map[string]func(*Filter, bool){
		"type": func(f *Filter, fits bool) { f.Types = []string{map[bool]string{true: "signed", false: "mined"}[fits]} },
		"sender": func(f *Filter, fits bool) {
			f.Senders = append(f.Senders, eventstest.Bob())
			if fits {
				f.Senders = append(f.Senders, eventstest.Alice())
			}
		},
		"reference":   func(f *Filter, fits bool) { f.Reference = map[bool]string{true: "r", false: "s"}[fits] },
		"transaction": func(f *Filter, fits bool) { f.TxID = map[bool]uuid.UUID{true: e.TxID, false: uuid.New()}[fits] },
	} {
		for _, fits := range []bool{true, false} {
			f := base
			change(&f, fits)
			require.Equal(t, fits, f.Matches(e), name)
		}
	}
}

func TestConfig_ReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	err := Config{}.Validate()
	for _, key := range []string{"maxStreams", "poll", "heartbeat", "backlog"} {
		require.ErrorContains(t, err, "events."+key)
	}
	require.NoError(t, Default().Validate())
}
