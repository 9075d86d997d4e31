package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/events"
	"github.com/slipwayhq/slipway/internal/webhooks"
)

// sse reads a stream of events.
type sse struct {
	resp  *http.Response
	lines *bufio.Scanner
}

// sseMessage is one block of lines, comments included.
type sseMessage map[string]string

func listen(t *testing.T, url, lastID string) *sse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := (&http.Client{}).Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return &sse{resp: resp, lines: bufio.NewScanner(resp.Body)}
}

// next is the next block; nil at the end.
func (s *sse) next() sseMessage {
	m := sseMessage{}
	for s.lines.Scan() {
		name, value, _ := strings.Cut(s.lines.Text(), ":")
		if s.lines.Text() == "" {
			return m
		}
		m[name] = strings.TrimSpace(value)
	}
	return nil
}

// nextEvent skips what is no event.
func (s *sse) nextEvent() sseMessage {
	for m := s.next(); m != nil; m = s.next() {
		if m["data"] != "" {
			return m
		}
	}
	return nil
}

func eventOf(id int64, eventType string) events.Event {
	return events.Event{
		ID: id, Type: eventType, Status: eventType, Tenant: "default", ChainID: 31337, Sender: common.HexToAddress(alice), TxID: uuid.UUID{15: byte(id)}, Reference: "r",
	}
}

func serveFeed(t *testing.T, f *fakeFeed) string {
	t.Helper()
	return serveWith(t, func(d *Deps, _ *Config) { d.Events = f }).url
}

func TestEvents_FromNowOn(t *testing.T) {
	t.Parallel()
	f := newFakeFeed(eventOf(1, "queued"))
	s := listen(t, serveFeed(t, f)+"/v1/events", "")
	require.Equal(t, 200, s.resp.StatusCode)
	require.Equal(t, "text/event-stream", s.resp.Header.Get("Content-Type"))
	require.Equal(t, "no-store", s.resp.Header.Get("Cache-Control"))
	require.Equal(t, sseMessage{"retry": "1000", "id": "1"}, s.next())

	f.change(func() { f.list = append(f.list, eventOf(3, "signed")) })

	got := s.nextEvent()
	require.Equal(t, "3", got["id"])
	require.Equal(t, "signed", got["event"])
	var body map[string]any
	require.NoError(t, json.Unmarshal([]byte(got["data"]), &body))
	require.Equal(t, "3", body["id"])
	require.Equal(t, map[string]any{
		"id": "00000000-0000-0000-0000-000000000003", "status": "signed", "chainId": 31337.0, "from": alice, "reference": "r",
	}, body["transaction"])
	for m := s.next(); ; m = s.next() {
		if _, isBeat := m[""]; isBeat {
			require.Equal(t, "3", m["id"], "a heartbeat moves the position of a client")
			break
		}
	}
}

func TestEvents_ResumeThenLive(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(url string) (string, string){
		"header": func(url string) (string, string) { return url, "1" },
		"query":  func(url string) (string, string) { return url + "?lastEventId=1", "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeFeed(eventOf(1, "queued"), eventOf(2, "signed"), eventOf(5, "submitted"), eventOf(6, "mined"))
			f.from = 5 // 2 and 5 are in the database, 6 is in memory
			url, header := use(serveFeed(t, f) + "/v1/events")
			s := listen(t, url, header)
			for _, want := range []string{"2", "5", "6"} {
				require.Equal(t, want, s.nextEvent()["id"])
			}
			f.change(func() { f.list = append(f.list, eventOf(7, "confirmed")) })
			require.Equal(t, "7", s.nextEvent()["id"])
		})
	}
}

func TestEvents_Filters(t *testing.T) {
	t.Parallel()
	other := eventOf(4, "confirmed")
	other.Sender, other.Reference = common.HexToAddress(bob), "s"
	foreign := eventOf(5, "confirmed")
	foreign.Tenant = "another"
	f := newFakeFeed(eventOf(1, "queued"), eventOf(2, "signed"), eventOf(3, "confirmed"), other, foreign, eventOf(6, "confirmed"))
	url := serveFeed(t, f) + "/v1/events?lastEventId=0&"
	for query, want := range map[string][]string{
		"":                                       {"1", "2", "3", "4", "6"},
		"type=signed,confirmed":                  {"2", "3", "4", "6"},
		"type=signed&type=confirmed&from=" + bob: {"4"},
		"reference=s":                            {"4"},
		"from=" + alice + "," + bob + "&type=queued":       {"1"},
		"transaction=00000000-0000-0000-0000-000000000002": {"2"},
	} {
		s := listen(t, url+query, "")
		for _, id := range want {
			require.Equal(t, id, s.nextEvent()["id"], query)
		}
	}
	for _, query := range []string{"type=exploded", "from=x", "transaction=x", "lastEventID=1", "color=red"} {
		s := listen(t, url+query, "")
		require.Equal(t, 400, s.resp.StatusCode, query)
	}
	require.Equal(t, 400, listen(t, url, "x").resp.StatusCode)
	require.Equal(t, 400, listen(t, url, "-1").resp.StatusCode)
}

func TestEvents_TellsWhyItEnds(t *testing.T) {
	t.Parallel()
	for reason, change := range map[string]func(*fakeFeed){
		"stopping": func(f *fakeFeed) { f.stopped = true },
		"slow":     func(f *fakeFeed) { f.list, f.from = append(f.list, eventOf(9, "signed")), 9 },
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			f := newFakeFeed(eventOf(1, "queued"))
			s := listen(t, serveFeed(t, f)+"/v1/events", "0")
			require.Equal(t, "1", s.nextEvent()["id"])
			require.NotNil(t, s.next(), "it is live once a heartbeat comes")

			f.change(func() { change(f) })

			got := s.nextEvent()
			require.Equal(t, "end", got["event"])
			require.JSONEq(t, `{"reason":"`+reason+`","lastEventId":"1"}`, got["data"])
			require.Equal(t, "1", got["id"], "it continues where it was")
			require.Nil(t, s.next())
			require.Eventually(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.reasons) == 1 && f.reasons[0] == reason }, 10*time.Second, time.Millisecond)
		})
	}
}

func TestEvents_ABoundedNumberOfClients(t *testing.T) {
	t.Parallel()
	f := newFakeFeed()
	f.full = true
	s := listen(t, serveFeed(t, f)+"/v1/events", "")
	require.Equal(t, 503, s.resp.StatusCode)
	require.Equal(t, "1", s.resp.Header.Get("Retry-After"))
	text, err := io.ReadAll(s.resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), "too_many_streams")
}

func TestEvents_AClientThatLeavesIsNoticed(t *testing.T) {
	t.Parallel()
	f := newFakeFeed()
	s := listen(t, serveFeed(t, f)+"/v1/events", "")
	require.NotNil(t, s.next())
	s.resp.Body.Close()
	require.Eventually(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.reasons) == 1 && f.reasons[0] == "left" }, 10*time.Second, time.Millisecond)
}

func TestWebhooks_REST(t *testing.T) {
	t.Parallel()
	hooks := &fakeWebhooks{}
	f := serveWith(t, func(d *Deps, _ *Config) { d.Webhooks = hooks })

	status, header, answer := f.do(t, "POST", "/v1/webhooks", `{"url":"https://example.com/in","types":["confirmed"],"from":["`+alice+`"],"description":"books"}`)
	require.Equal(t, 201, status, answer)
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	path := "/v1/webhooks/" + hooks.hook.ID.String()
	require.Equal(t, path, header.Get("Location"))
	require.Contains(t, answer, `"secret":"whsec_made"`, "what was made is shown once")
	require.True(t, hooks.hook.Active)
	status, _, answer = f.do(t, "POST", "/v1/webhooks", `{"url":"https://example.com/in","active":false,"secret":"my own secret, long enough"}`)
	require.Equal(t, 201, status)
	require.NotContains(t, answer, "my own", "what was given is never shown")
	require.NotContains(t, answer, `"secret"`)
	require.False(t, hooks.hook.Active)
	path = "/v1/webhooks/" + hooks.hook.ID.String()

	for _, p := range []string{path, "/v1/webhooks"} {
		status, _, answer = f.do(t, "GET", p, "")
		require.Equal(t, 200, status)
		require.Contains(t, answer, hooks.hook.ID.String())
		require.NotContains(t, answer, "my own")
	}
	status, _, answer = f.do(t, "PATCH", path, `{"active":true,"types":[],"from":[]}`)
	require.Equal(t, 200, status, answer)
	require.Contains(t, answer, `"active":true`)
	require.Equal(t, "https://example.com/in", hooks.hook.URL, "what is left out stays")

	status, _, answer = f.do(t, "POST", path+"/secrets", "")
	require.Equal(t, 201, status)
	require.Contains(t, answer, "whsec_made")
	status, _, _ = f.do(t, "DELETE", path+"/secrets/"+uuid.NewString(), "")
	require.Equal(t, 204, status)

	at := time.Unix(5, 0)
	body, err := eventOf(9, "mined").JSON()
	require.NoError(t, err)
	hooks.list = []webhooks.Delivery{
		{ID: uuid.New(), EventID: 9, Type: "mined", State: webhooks.StatePending, NextAt: at, Attempts: 2, LastError: "timeout", Body: body},
		{ID: uuid.New(), EventID: 7, Type: "signed", State: webhooks.StateDead, EndedAt: &at, LastStatus: 500, Body: body},
	}
	status, _, answer = f.do(t, "GET", path+"/deliveries?state=dead&before=100&limit=1", "")
	require.Equal(t, 200, status)
	require.Equal(t, webhooks.DeliveryFilter{State: "dead", Before: 100, Limit: 2}, hooks.filter)
	require.Contains(t, answer, `"next":"9"`)
	require.Contains(t, answer, `"event":{"id":"9",`)
	require.Contains(t, answer, `"nextAttemptAt":"1970-01-01T00:00:05Z"`)
	status, _, _ = f.do(t, "POST", path+"/deliveries/"+uuid.NewString()+"/redeliver", "")
	require.Equal(t, 202, status)
	status, _, answer = f.do(t, "POST", path+"/redeliver", "")
	require.Equal(t, 202, status)
	require.JSONEq(t, `{"count":3}`, answer)
	status, _, _ = f.do(t, "DELETE", path, "")
	require.Equal(t, 204, status)
	require.Equal(t, map[string]bool{"default": true}, hooks.tenants)
}

func TestWebhooks_Problems(t *testing.T) {
	t.Parallel()
	hooks := &fakeWebhooks{}
	f := serveWith(t, func(d *Deps, _ *Config) { d.Webhooks = hooks })
	good := `{"url":"https://example.com/"}`
	for _, c := range []struct {
		err                        error
		method, path, body, detail string
		status                     int
	}{
		{&webhooks.InvalidError{Field: "url", Reason: "is odd"}, "POST", "", good, "url: is odd", 400},
		{webhooks.ErrTooMany, "POST", "", good, "too_many_webhooks", 409},
		{webhooks.ErrNoKey, "POST", "", good, "not_available", 501},
		{fmt.Errorf("x: %w", webhooks.ErrUnavailable), "POST", "", good, "database_unavailable", 503},
		{webhooks.ErrSecrets, "POST", "/" + uuid.NewString() + "/secrets", "", "webhook_secrets", 409},
		{webhooks.ErrNotDead, "POST", "/" + uuid.NewString() + "/deliveries/" + uuid.NewString() + "/redeliver", "", "delivery_pending", 409},
		{nil, "POST", "", `{}`, "url is missing", 400},
		{nil, "POST", "", `{"url":"https://example.com/","colour":1}`, "colour", 400},
		{nil, "POST", "", `{"url":"https://example.com/","from":["x"]}`, "from: must be", 400},
		{nil, "GET", "/x", "", "not_found", 404},
		{nil, "GET", "/" + uuid.NewString(), "", "not_found", 404},
		{nil, "GET", "/" + uuid.NewString() + "/deliveries?state=odd", "", "state: must be", 400},
		{nil, "GET", "/" + uuid.NewString() + "/deliveries?limit=0", "", "limit: must be", 400},
		{nil, "GET", "/" + uuid.NewString() + "/deliveries?before=x", "", "before: must be", 400},
		{nil, "GET", "/" + uuid.NewString() + "/deliveries?page=1", "", "unknown query parameter", 400},
	} {
		hooks.err = c.err
		status, header, answer := f.do(t, c.method, "/v1/webhooks"+c.path, c.body)
		require.Equal(t, c.status, status, answer)
		require.Contains(t, answer, c.detail)
		require.Equal(t, "application/problem+json", header.Get("Content-Type"))
	}
}
