package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/events"
	"github.com/slipwayhq/slipway/internal/events/eventstest"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/schema"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv(helperVariable); dsn != "" {
		os.Exit(deliverUntilKilled(dsn))
	}
	os.Exit(pgtest.Main(m, pgtest.Template(schema.Migrate)))
}

const (
	patience = 40 * time.Second
	tenant   = "default"
	aSecret  = "whsec_0123456789abcdef0123456789"
)

// quick is a configuration for receivers on this machine that repeats soon.
func quick() Config {
	cfg := Default()
	cfg.AllowNetworks, cfg.AllowHTTP = []string{"127.0.0.0/8"}, true
	cfg.Timeout, cfg.Lease, cfg.Poll = 2*time.Second, 4*time.Second, 10*time.Millisecond
	return cfg
}

func newService(pool *pgxpool.Pool, cfg Config) (*Service, error) {
	s, err := New(cfg, Deps{Store: NewStore(pool, eventstest.ChainID), Key: make([]byte, 32), Metrics: telemetry.NewFactory(), Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		s.cfg.MaxBackoff = 50 * time.Millisecond // below what a configuration may say
	}
	return s, err
}

func service(t *testing.T, pool *pgxpool.Pool, cfg Config) *Service {
	t.Helper()
	s, err := newService(pool, cfg)
	require.NoError(t, err)
	return s
}

func running(t *testing.T, h *eventstest.History, change func(*Config)) *Service {
	t.Helper()
	cfg := quick()
	if change != nil {
		change(&cfg)
	}
	s := service(t, h.Pool, cfg)
	lifecycletest.Start(t, s.Run)
	return s
}

func create(t *testing.T, s *Service, w Webhook) Webhook {
	t.Helper()
	w.Active = true
	w, _, err := s.Create(t.Context(), tenant, w, secret.New(aSecret))
	require.NoError(t, err)
	return w
}

// arrival is a request that a receiver got.
type arrival struct {
	header  http.Header
	body    []byte
	id, typ string // of the event
	tx      string
	status  int // of the answer
}

// receiver remembers what it got and answers as it is told.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex // guards arrivals
	arrivals []arrival
}

func receive(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, a arrival, earlier int) int) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		var event struct {
			ID, Type    string
			Transaction struct{ ID string }
		}
		if err := json.Unmarshal(body, &event); err != nil {
			t.Errorf("a body is not JSON: %v", err)
		}
		a := arrival{header: req.Header.Clone(), body: body, id: event.ID, typ: event.Type, tx: event.Transaction.ID, status: 200}
		if answer != nil {
			a.status = answer(w, req, a, r.count(a.id))
		}
		r.mu.Lock()
		r.arrivals = append(r.arrivals, a)
		r.mu.Unlock()
		if a.status > 0 {
			w.WriteHeader(a.status)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) count(id string) int {
	n := 0
	for _, a := range r.all() {
		if a.id == id {
			n++
		}
	}
	return n
}

func (r *receiver) all() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]arrival{}, r.arrivals...)
}

func (r *receiver) types() []string {
	var out []string
	for _, a := range r.all() {
		out = append(out, fmt.Sprintf("%s %d", a.typ, a.status))
	}
	return out
}

func (r *receiver) waitFor(t *testing.T, n int) []arrival {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.all()) >= n }, patience, 5*time.Millisecond, "%d deliveries have not come", n)
	return r.all()
}

// deliveries waits until the states of a webhook's deliveries are as wanted.
func deliveries(t *testing.T, s *Service, id uuid.UUID, want map[State]int) []Delivery {
	t.Helper()
	var list []Delivery
	require.Eventually(t, func() bool {
		var err error
		list, err = s.Deliveries(t.Context(), tenant, id, DeliveryFilter{Limit: 1000})
		got := map[State]int{}
		for _, d := range list {
			got[d.State]++
		}
		for state, n := range want {
			if got[state] != n {
				return false
			}
		}
		return err == nil
	}, patience, 10*time.Millisecond, "%v", want)
	return list
}

func TestService_DeliversWhatIsWanted(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	s := running(t, h, nil)
	all, some, others := receive(t, nil), receive(t, nil), receive(t, nil)
	create(t, s, Webhook{URL: all.URL})
	create(t, s, Webhook{URL: some.URL, Types: []string{"confirmed"}, Senders: []common.Address{eventstest.Alice()}})
	_, _, err := s.Create(t.Context(), "another", Webhook{URL: others.URL, Active: true}, secret.String{})
	require.NoError(t, err)
	create(t, s, Webhook{URL: others.URL, Senders: []common.Address{{1}}})

	alice, bob := h.Transaction(t, tenant, eventstest.Alice(), "order-1"), h.Transaction(t, tenant, eventstest.Bob(), "")
	h.Append(t, alice, "queued", "signed", "submitted", "confirmed")
	h.Append(t, bob, "queued", "confirmed")

	got := all.waitFor(t, 6)
	require.Len(t, some.waitFor(t, 1), 1)
	require.Equal(t, alice.String(), some.all()[0].tx)
	var ofAlice []string
	for _, a := range got {
		require.NoError(t, Verify(aSecret, a.header, a.body, time.Now(), time.Minute))
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		require.Equal(t, a.typ, a.header.Get(HeaderEvent))
		require.Equal(t, "1", a.header.Get(HeaderAttempt))
		require.True(t, strings.HasPrefix(a.header.Get("User-Agent"), "slipway-webhooks/"))
		if a.tx == alice.String() {
			ofAlice = append(ofAlice, a.typ)
		}
	}
	require.Equal(t, []string{"queued", "signed", "submitted", "confirmed"}, ofAlice)
	require.Contains(t, string(got[0].body), `"transaction":{"id":"`)
	require.Empty(t, others.all())
}

func TestService_BothSecretsSignWhileTheyAreChanged(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	s := running(t, h, nil)
	r := receive(t, nil)
	w := create(t, s, Webhook{URL: r.URL})
	tx := h.Transaction(t, tenant, eventstest.Alice(), "")

	second, key, err := s.AddSecret(t.Context(), tenant, w.ID, secret.String{})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(key.Reveal(), "whsec_"))
	_, _, err = s.AddSecret(t.Context(), tenant, w.ID, secret.New(aSecret))
	require.ErrorIs(t, err, ErrSecrets)
	h.Append(t, tx, "queued")
	a := r.waitFor(t, 1)[0]
	require.NoError(t, Verify(aSecret, a.header, a.body, time.Now(), time.Minute))
	require.NoError(t, Verify(key.Reveal(), a.header, a.body, time.Now(), time.Minute))

	require.ErrorIs(t, s.RemoveSecret(t.Context(), tenant, w.ID, uuid.New()), ErrNotFound)
	require.NoError(t, s.RemoveSecret(t.Context(), tenant, w.ID, w.Secrets[0].ID))
	require.ErrorIs(t, s.RemoveSecret(t.Context(), tenant, w.ID, second.ID), ErrSecrets)
	h.Append(t, tx, "signed")
	a = r.waitFor(t, 2)[1]
	require.ErrorIs(t, Verify(aSecret, a.header, a.body, time.Now(), time.Minute), ErrSignature)
	require.NoError(t, Verify(key.Reveal(), a.header, a.body, time.Now(), time.Minute))

	// What the database has gives nothing away.
	var dump string
	require.NoError(t, h.Pool.QueryRow(t.Context(), `select string_agg(k::text || encode(k.sealed, 'escape'), ' ') from webhook_secrets k`).Scan(&dump))
	require.NotContains(t, dump, key.Reveal())
}

func TestService_RepeatsWhatFailsAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	s := running(t, h, nil)
	r := receive(t, func(_ http.ResponseWriter, _ *http.Request, a arrival, earlier int) int {
		if a.typ == "queued" && earlier < 2 {
			return 500
		}
		return 200
	})
	w := create(t, s, Webhook{URL: r.URL})
	tx := h.Transaction(t, tenant, eventstest.Alice(), "")
	h.Append(t, tx, "queued", "signed", "confirmed")

	got := r.waitFor(t, 5)

	require.Equal(t, []string{"queued 500", "queued 500", "queued 200", "signed 200", "confirmed 200"}, r.types())
	require.Equal(t, got[0].header.Get(HeaderID), got[2].header.Get(HeaderID), "the id stays the same")
	require.Equal(t, "3", got[2].header.Get(HeaderAttempt))
	require.Equal(t, got[0].body, got[2].body)
	list := deliveries(t, s, w.ID, map[State]int{StateDelivered: 3})
	require.Equal(t, 3, list[2].Attempts)
	require.Equal(t, 200, list[2].LastStatus)
	require.Empty(t, list[2].LastError)
}

func TestService_WhatAReceiverCannotDo(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	away := httptest.NewServer(http.NotFoundHandler())
	awayURL := away.URL
	away.Close()
	target := receive(t, nil)
	served := make(chan int64, 1000)
	cases := map[string]struct {
		url    string
		answer func(w http.ResponseWriter, r *http.Request, a arrival, earlier int) int
		want   string
		status int
	}{
		"hangs": {want: outcomeTimeout, answer: func(_ http.ResponseWriter, r *http.Request, _ arrival, _ int) int {
			select {
			case <-r.Context().Done():
			case <-time.After(patience):
			}
			return 0
		}},
		"refuses": {want: outcomeRefused, url: awayURL},
		"redirects": {want: outcomeRedirect, status: 307, answer: func(w http.ResponseWriter, _ *http.Request, _ arrival, _ int) int {
			w.Header().Set("Location", target.URL)
			return 307
		}},
		"server error":  {want: outcomeStatus, status: 503, answer: func(http.ResponseWriter, *http.Request, arrival, int) int { return 503 }},
		"breaks off":    {want: outcomeBroken, answer: func(http.ResponseWriter, *http.Request, arrival, int) int { panic(http.ErrAbortHandler) }},
		"no such name":  {want: outcomeName, url: "http://receiver.invalid/"},
		"speaks no TLS": {want: outcomeTLS, url: strings.Replace(target.URL, "http://", "https://", 1)},
		"huge answer": {want: "", status: 200, answer: func(w http.ResponseWriter, _ *http.Request, _ arrival, _ int) int {
			w.WriteHeader(200)
			var sent int64
			for range 1 << 10 { // 64 MiB if somebody reads it
				n, err := w.Write(make([]byte, 64<<10))
				sent += int64(n)
				if err != nil {
					break
				}
			}
			served <- sent
			return 0
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := quick()
			cfg.Timeout, cfg.GiveUpAfter = 500*time.Millisecond, time.Second
			s := service(t, h.Pool, cfg)
			url := c.url
			if url == "" {
				url = receive(t, c.answer).URL
			}
			r := s.client.post(t.Context(), job{id: uuid.New(), url: url, body: []byte(`{}`), attempt: 1}, []string{aSecret}, time.Now())
			s.client.close()
			if c.want == "" {
				require.Equal(t, outcomeDelivered, r.outcome)
				require.Less(t, <-served, int64(16<<20), "the rest is not read")
				return
			}
			require.Equal(t, c.want, r.outcome)
			require.Equal(t, c.status, r.status)
		})
	}
	t.Cleanup(func() { require.Empty(t, target.all(), "redirects are not followed") })
}

func TestService_ConnectsOnlyWhereItMay(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	cfg := quick()
	cfg.AllowNetworks = nil
	s := service(t, h.Pool, cfg)
	r := receive(t, nil)
	port := r.URL[strings.LastIndexByte(r.URL, ':'):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f000001", "127.1"} {
		got := s.client.post(t.Context(), job{id: uuid.New(), url: "http://" + host + port, attempt: 1}, []string{aSecret}, time.Now())
		require.Contains(t, []string{outcomeAddress, outcomeName}, got.outcome, host)
	}
	require.Empty(t, r.all())
	_, _, err := s.Create(t.Context(), tenant, Webhook{URL: r.URL}, secret.String{})
	require.ErrorContains(t, err, "not allowed for webhooks")
}

// One receiver that hangs and one that refuses must not slow down a third.
func TestService_ADeadReceiverDoesNotSlowOthers(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	s := running(t, h, func(c *Config) { c.Concurrency, c.PerWebhook = 6, 2 })
	var mu sync.Mutex
	hanging, most := 0, 0
	dead := receive(t, func(_ http.ResponseWriter, r *http.Request, _ arrival, _ int) int {
		mu.Lock()
		hanging++
		most = max(most, hanging)
		mu.Unlock()
		select {
		case <-r.Context().Done():
		case <-time.After(patience):
		}
		mu.Lock()
		hanging--
		mu.Unlock()
		return 0
	})
	good := receive(t, nil)
	create(t, s, Webhook{URL: dead.URL})
	create(t, s, Webhook{URL: good.URL})
	const n = 60
	for range n {
		h.Append(t, h.Transaction(t, tenant, eventstest.Alice(), ""), "queued")
	}

	good.waitFor(t, n)

	mu.Lock()
	defer mu.Unlock()
	require.LessOrEqual(t, most, 2)
	require.Less(t, len(dead.all()), n, "the good one did not wait for the dead one")
}

func TestService_GivesUpAndRedelivers(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	s := running(t, h, func(c *Config) { c.GiveUpAfter = time.Second })
	var isUp bool
	var mu sync.Mutex
	r := receive(t, func(http.ResponseWriter, *http.Request, arrival, int) int {
		mu.Lock()
		defer mu.Unlock()
		if isUp {
			return 204
		}
		return 410
	})
	w := create(t, s, Webhook{URL: r.URL})
	tx := h.Transaction(t, tenant, eventstest.Alice(), "")
	h.Append(t, tx, "queued", "signed", "submitted")

	dead := deliveries(t, s, w.ID, map[State]int{StateDead: 3})
	require.Equal(t, outcomeStatus, dead[0].LastError)
	require.Equal(t, 410, dead[0].LastStatus)
	require.GreaterOrEqual(t, dead[0].Attempts, 1, "each had an attempt")
	now, err := s.Get(t.Context(), tenant, w.ID)
	require.NoError(t, err)
	require.Positive(t, now.Failures)
	list, err := s.Deliveries(t.Context(), tenant, w.ID, DeliveryFilter{State: StateDead, Before: dead[0].EventID, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, dead[1].ID, list[0].ID)

	mu.Lock()
	isUp = true
	before := len(r.all())
	mu.Unlock()
	n, err := s.RedeliverDead(t.Context(), tenant, w.ID)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	deliveries(t, s, w.ID, map[State]int{StateDelivered: 3})
	require.Equal(t, []string{"queued 204", "signed 204", "submitted 204"}, r.types()[before:])

	require.NoError(t, s.Redeliver(t.Context(), tenant, w.ID, dead[2].ID))
	again := r.waitFor(t, before+4)
	require.Equal(t, dead[2].ID.String(), again[len(again)-1].header.Get(HeaderID))
	require.ErrorIs(t, s.Redeliver(t.Context(), tenant, w.ID, uuid.New()), ErrNotFound)
	require.ErrorIs(t, s.Redeliver(t.Context(), "another", w.ID, dead[2].ID), ErrNotFound)
	require.ErrorIs(t, s.Redeliver(t.Context(), tenant, uuid.New(), dead[2].ID), ErrNotFound)
}

func TestService_PausesWhileInactive(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	s := running(t, h, nil)
	fails := receive(t, func(http.ResponseWriter, *http.Request, arrival, int) int { return 500 })
	good := receive(t, nil)
	w := create(t, s, Webhook{URL: fails.URL})
	tx := h.Transaction(t, tenant, eventstest.Alice(), "")
	h.Append(t, tx, "queued")
	fails.waitFor(t, 1)

	off, on := false, true
	_, err := s.Update(t.Context(), tenant, w.ID, Change{Active: &off, URL: &good.URL})
	require.NoError(t, err)
	h.Append(t, tx, "signed")
	var position, newest int64
	require.Eventually(t, func() bool {
		err := h.Pool.QueryRow(t.Context(), `select position, (select max(id) from tx_events) from webhook_feed`).Scan(&position, &newest)
		return err == nil && position == newest
	}, patience, 5*time.Millisecond)
	require.Empty(t, good.all())
	_, err = s.Update(t.Context(), tenant, w.ID, Change{Active: &on})
	require.NoError(t, err)
	h.Append(t, tx, "confirmed")

	good.waitFor(t, 2)
	require.Equal(t, []string{"queued 200", "confirmed 200"}, good.types(), "what happened meanwhile is not made up for")
}

// A replica that is gone leaves a lease; who takes over fences it off.
func TestStore_ALeaseEndsAndFencesItsHolder(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	store := NewStore(h.Pool, eventstest.ChainID)
	s := service(t, h.Pool, quick())
	w := create(t, s, Webhook{URL: "http://127.0.0.1:1/"})
	tx := h.Transaction(t, tenant, eventstest.Alice(), "")
	h.Append(t, tx, "queued", "signed")
	fanOutOnce(t, s.store)
	deliveries(t, s, w.ID, map[State]int{StatePending: 2})

	c := claim{free: 10, perWebhook: 10, sickAfter: 5, lease: 300 * time.Millisecond}
	first, err := store.Claim(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, first, 1, "the second event of the transaction waits")
	again, err := store.Claim(t.Context(), c)
	require.NoError(t, err)
	require.Empty(t, again, "it is leased")
	require.Eventually(t, func() bool {
		again, err = store.Claim(t.Context(), claim{free: 10, perWebhook: 10, sickAfter: 5, lease: time.Minute})
		return err == nil && len(again) == 1
	}, patience, 10*time.Millisecond)
	require.Equal(t, first[0].id, again[0].id)
	require.Equal(t, 2, again[0].attempt)

	isKept, err := store.Report(t.Context(), first[0], result{outcome: outcomeDelivered, status: 200}, ending{state: StateDelivered})
	require.NoError(t, err)
	require.False(t, isKept, "the first holder is fenced")
	isKept, err = store.Report(t.Context(), again[0], result{outcome: outcomeTimeout}, ending{state: StateDead})
	require.NoError(t, err)
	require.True(t, isKept)
	next, err := store.Claim(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, next, 1, "the next event of the transaction is free")
	require.Equal(t, "signed", next[0].eventType)

	busy, err := store.Claim(t.Context(), claim{free: 10, perWebhook: 1, sickAfter: 5, busy: map[uuid.UUID]int{w.ID: 1}, lease: time.Minute})
	require.NoError(t, err)
	require.Empty(t, busy)
}

// A delivery that ends while the next one of its transaction is made: whoever
// comes first, the next one must not be left waiting for nothing.
func TestStore_NothingIsLeftBlocked(t *testing.T) {
	t.Parallel()
	prepare := func(t *testing.T) (*eventstest.History, *Store, uuid.UUID, job) {
		t.Helper()
		h := eventstest.New(t)
		s := service(t, h.Pool, quick())
		create(t, s, Webhook{URL: "http://127.0.0.1:1/"})
		tx := h.Transaction(t, tenant, eventstest.Alice(), "")
		h.Append(t, tx, "queued")
		fanOutOnce(t, s.store)
		jobs, err := s.store.Claim(t.Context(), claim{free: 1, perWebhook: 1, sickAfter: 5, lease: time.Minute})
		require.NoError(t, err)
		require.Len(t, jobs, 1)
		h.Append(t, tx, "signed")
		return h, s.store, tx, jobs[0]
	}
	isWaiting := func(h *eventstest.History, done chan error) func() bool {
		return func() bool {
			var n int
			err := h.Pool.QueryRow(t.Context(), `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&n)
			return err == nil && n > 0 || len(done) > 0
		}
	}
	requireFree := func(t *testing.T, s *Store) {
		t.Helper()
		jobs, err := s.Claim(t.Context(), claim{free: 1, perWebhook: 1, sickAfter: 5, lease: time.Minute})
		require.NoError(t, err)
		require.Len(t, jobs, 1)
		require.Equal(t, "signed", jobs[0].eventType)
	}

	t.Run("the end comes first", func(t *testing.T) {
		t.Parallel()
		h, s, _, j := prepare(t)
		ending, err := h.Pool.Begin(t.Context())
		require.NoError(t, err)
		defer func() { _ = ending.Rollback(context.WithoutCancel(t.Context())) }()
		_, err = ending.Exec(t.Context(), `update webhook_deliveries set state = 'delivered', ended_at = now() where id = $1`, j.id)
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() {
			_, _, err := s.FanOut(context.WithoutCancel(t.Context()), &events.Reader{})
			done <- err
		}()
		require.Eventually(t, isWaiting(h, done), patience, time.Millisecond)
		require.NoError(t, ending.Commit(t.Context()))
		require.NoError(t, <-done)
		requireFree(t, s)
	})
	t.Run("the next comes first", func(t *testing.T) {
		t.Parallel()
		h, s, tx, j := prepare(t)
		making, err := h.Pool.Begin(t.Context())
		require.NoError(t, err)
		defer func() { _ = making.Rollback(context.WithoutCancel(t.Context())) }()
		list := []planned{{id: uuid.New(), webhook: j.webhook, event: events.Event{ID: 1000, TxID: tx, Type: "signed"}, body: []byte(`{}`)}}
		pending, err := lockLanes(t.Context(), making, list)
		require.NoError(t, err)
		block(list, pending)
		require.True(t, list[0].blocked)
		require.NoError(t, insertDeliveries(t.Context(), making, list))
		done := make(chan error, 1)
		go func() {
			_, err := s.Report(context.WithoutCancel(t.Context()), j, result{outcome: outcomeDelivered, status: 200}, ending{state: StateDelivered})
			done <- err
		}()
		require.Eventually(t, isWaiting(h, done), patience, time.Millisecond)
		require.NoError(t, making.Commit(t.Context()))
		require.NoError(t, <-done)
		requireFree(t, s)
	})
}

// fanOutOnce makes deliveries of all there is.
func fanOutOnce(t *testing.T, s *Store) {
	t.Helper()
	reader := &events.Reader{}
	require.Eventually(t, func() bool {
		_, progress, err := s.FanOut(t.Context(), reader)
		return err == nil && progress == events.Idle
	}, patience, time.Millisecond)
}

func TestService_RefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	cfg := quick()
	cfg.MaxPerTenant, cfg.AllowHTTP = 2, false
	s := service(t, h.Pool, cfg)
	bad := map[string]Webhook{
		"http://example.com/":               {},
		"ftp://example.com/":                {},
		"https:///path":                     {},
		"https://user:hunter2@example.com/": {},
		"https://example.com/#x":            {},
		"https://10.0.0.1/":                 {},
		"https://[::ffff:169.254.169.254]/": {},
		"://":                               {},
		"":                                  {},
		"https://example.com/" + strings.Repeat("x", maxURL): {},
		"https://example.com/types":                          {Types: []string{"exploded"}},
		"https://example.com/description":                    {Description: strings.Repeat("x", 257)},
	}
	for url, w := range bad {
		w.URL = url
		_, _, err := s.Create(t.Context(), tenant, w, secret.String{})
		var invalid *InvalidError
		require.ErrorAs(t, err, &invalid, url)
		require.NotContains(t, err.Error(), "hunter2")
	}
	for _, text := range []string{"short", strings.Repeat("x", 257), "with a blank in it, which is bad", "zero\x00" + aSecret} {
		_, _, err := s.Create(t.Context(), tenant, Webhook{URL: "https://example.com/"}, secret.New(text))
		require.ErrorContains(t, err, "secret: must be")
	}
	first, key, err := s.Create(t.Context(), tenant, Webhook{URL: "https://example.com/"}, secret.String{})
	require.NoError(t, err)
	require.Greater(t, len(key.Reveal()), 40)
	require.Len(t, first.Secrets, 1)
	_, _, err = s.Create(t.Context(), tenant, Webhook{URL: "https://example.com/"}, secret.String{})
	require.NoError(t, err)
	_, _, err = s.Create(t.Context(), tenant, Webhook{URL: "https://example.com/"}, secret.String{})
	require.ErrorIs(t, err, ErrTooMany)
	list, err := s.List(t.Context(), tenant)
	require.NoError(t, err)
	require.Len(t, list, 2)

	_, err = s.Get(t.Context(), "another", first.ID)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = s.Update(t.Context(), "another", first.ID, Change{})
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorIs(t, s.Delete(t.Context(), "another", first.ID), ErrNotFound)
	_, _, err = s.AddSecret(t.Context(), "another", first.ID, secret.String{})
	require.ErrorIs(t, err, ErrNotFound)
	plain := "http://example.com/"
	_, err = s.Update(t.Context(), tenant, first.ID, Change{URL: &plain})
	require.ErrorContains(t, err, "must be https://")
	require.NoError(t, s.Delete(t.Context(), tenant, first.ID))
	_, err = s.Get(t.Context(), tenant, first.ID)
	require.ErrorIs(t, err, ErrNotFound)

	without, err := New(cfg, Deps{Store: NewStore(h.Pool, eventstest.ChainID), Metrics: telemetry.NewFactory(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	_, _, err = without.Create(t.Context(), tenant, Webhook{URL: "https://example.com/"}, secret.String{})
	require.ErrorIs(t, err, ErrNoKey)
}

func TestStore_PurgesWhatIsOld(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	s := running(t, h, nil)
	r := receive(t, nil)
	w := create(t, s, Webhook{URL: r.URL})
	h.Append(t, h.Transaction(t, tenant, eventstest.Alice(), ""), "queued", "signed")
	deliveries(t, s, w.ID, map[State]int{StateDelivered: 2})
	h.Exec(t, `update webhook_deliveries set ended_at = now() - interval '8 days' where type = 'queued'`)

	require.NoError(t, s.store.Purge(t.Context(), 7*24*time.Hour, time.Hour, 100))

	left, err := s.Deliveries(t.Context(), tenant, w.ID, DeliveryFilter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, "signed", left[0].Type)
	pending, _, err := s.store.Backlog(t.Context(), 10)
	require.NoError(t, err)
	require.Zero(t, pending)
}

func TestStore_ClaimsFromTheFrontOfAnIndex(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	s := service(t, h.Pool, quick())
	w := create(t, s, Webhook{URL: "http://127.0.0.1:1/"})
	// A receiver that was away for long: most rows are blocked, or not due yet.
	h.Exec(t, `insert into webhook_deliveries (id, webhook_id, event_id, tx_id, type, body, blocked, next_at)
		select gen_random_uuid(), $1, i, gen_random_uuid(), 'queued', '', i % 4 <> 0, now() + make_interval(secs => i - 100) from generate_series(1, 20000) i`, w.ID)
	h.Exec(t, `analyze webhook_deliveries`)

	rows, err := h.Pool.Query(t.Context(), "explain (analyze, timing off, costs off) "+claimDue, pgx.NamedArgs{
		"ids": []uuid.UUID{}, "counts": []int{}, "sick": 5, "per": 8, "free": 64, "lease": time.Minute,
	})
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	plan := strings.Join(lines, "\n")
	require.Contains(t, plan, "Index Scan using webhook_deliveries_due", plan)
	require.NotContains(t, plan, "Seq Scan on webhook_deliveries", plan)
}
