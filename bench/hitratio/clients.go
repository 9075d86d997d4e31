package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// tally counts what clients saw.
type tally struct {
	mu     sync.Mutex
	oldest map[string]time.Duration // by method
	wrong  map[string]int
	first  []string // the first wrong answers
}

// shownWrong is how many wrong answers are shown.
const shownWrong = 5

func newTally() *tally { return &tally{oldest: map[string]time.Duration{}, wrong: map[string]int{}} }

// note takes down one answer; wrong is empty for a right one.
func (t *tally) note(method string, age time.Duration, wrong string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.oldest[method] = max(t.oldest[method], age)
	if wrong == "" {
		return
	}
	t.wrong[method]++
	if len(t.first) < shownWrong {
		t.first = append(t.first, wrong)
	}
}

// crowd is the clients.
type crowd struct {
	url    string
	clock  clock
	oldest time.Duration // an answer may be this old
	poll   time.Duration
	http   *http.Client
	tally  *tally
}

// callTimeout is far beyond what an answer takes; one that comes later is wrong.
const callTimeout = 10 * time.Second

// ask lets n clients ask until ctx ends, and waits for their last answers.
func (c *crowd) ask(ctx context.Context, n int) {
	c.http = &http.Client{Timeout: callTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	defer c.http.CloseIdleConnections()
	var clients sync.WaitGroup
	defer clients.Wait()
	for i := range n {
		clients.Go(func() {
			// Pages are opened at any time: clients do not ask in step.
			if !pause(ctx, c.poll*time.Duration(i)/time.Duration(n)) {
				return
			}
			c.poller(ctx, i)
		})
	}
}

func (c *crowd) poller(ctx context.Context, client int) {
	ticker := time.NewTicker(c.poll)
	defer ticker.Stop()
	known := uint64(firstHead)
	for round := 0; ; round++ {
		for _, q := range questions(client, round, known) {
			if ctx.Err() != nil {
				return
			}
			if shown := c.one(context.WithoutCancel(ctx), q); q.method == "eth_blockNumber" {
				known = max(known, shown)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// one asks a question, judges the answer and returns the block that it shows.
func (c *crowd) one(ctx context.Context, q question) uint64 {
	asked := time.Now()
	result, err := c.post(ctx, q)
	if err != nil {
		c.tally.note(q.method, 0, fmt.Sprintf("%s %s: %s", q.method, q.params, err))
		return 0
	}
	age, isRight := q.judge(result, asked, time.Now(), c.clock)
	wrong := ""
	switch {
	case !isRight:
		wrong = fmt.Sprintf("%s %s: %.300s", q.method, q.params, result)
	case age > c.oldest:
		wrong = fmt.Sprintf("%s %s: %s old: %.300s", q.method, q.params, age, result)
	}
	c.tally.note(q.method, age, wrong)
	if q.shows == nil {
		return 0
	}
	shown, _ := q.shows(result) // judged above
	return shown
}

func (c *crowd) post(ctx context.Context, q question) (string, error) {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, q.method, q.params)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("make a request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return "", fmt.Errorf("send a request: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("read an answer: %w", err)
	}
	var reply struct{ Result, Error json.RawMessage }
	if err := json.Unmarshal(text, &reply); err != nil || reply.Error != nil {
		return "", fmt.Errorf("answered with %.200s", text)
	}
	if reply.Result == nil { // null, for encoding/json
		return "null", nil
	}
	return string(reply.Result), nil
}

// pause waits, or says that ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
