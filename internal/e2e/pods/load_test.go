//go:build e2e

package pods_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load is what clients do all the time: they read at the gateway and have
// transactions sent by the signer.
type load struct {
	*world
	sender string

	mu       sync.Mutex
	reads    int
	failures []string
	accepted []string // ids of transactions
	sent     int
}

// Pace of the clients: two of each kind.
const (
	readEvery = 20 * time.Millisecond
	sendEvery = 100 * time.Millisecond
)

// start lets clients run until the function that it returns is called. One
// client of each kind keeps its connections, one takes a new one each time.
func (l *load) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, keeps := range []bool{true, false} {
		client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: !keeps}}
		running.Go(func() {
			every(ctx, readEvery, func() {
				_, err := l.call(context.WithoutCancel(ctx), client, "eth_getBlockByNumber", "latest", false)
				l.note(&l.reads, err)
			})
		})
		running.Go(func() {
			every(ctx, sendEvery, func() { l.send(context.WithoutCancel(ctx), client) })
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}

func every(ctx context.Context, pause time.Duration, do func()) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

func (l *load) note(count *int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*count++
	if err != nil {
		l.failures = append(l.failures, time.Now().Format("15:04:05.000 ")+err.Error())
	}
}

// sendTries is how often a client asks for the same transaction, with the same
// idempotency key, before it gives up.
const sendTries = 60

// send asks for a transaction until it is accepted, as clients should.
func (l *load) send(ctx context.Context, client *http.Client) {
	l.mu.Lock()
	l.sent++
	key := "key-" + strconv.Itoa(l.sent)
	l.mu.Unlock()
	for range sendTries {
		transaction, err := l.ask(ctx, client, key, "")
		if err == nil {
			l.mu.Lock()
			l.accepted = append(l.accepted, transaction.ID)
			l.mu.Unlock()
			return
		}
		l.note(new(int), err)
		<-time.After(sendEvery)
	}
}

// transaction is one as the signer's REST tells it.
type transaction struct {
	ID, Status, Hash, From string
}

func (l *load) ask(ctx context.Context, client *http.Client, key, query string) (transaction, error) {
	body, err := json.Marshal(map[string]string{"from": l.sender, "to": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "value": "0"})
	if err != nil {
		return transaction{}, err
	}
	var answer transaction
	code, err := post(ctx, client, l.signer+"/v1/transactions"+query, http.Header{"Idempotency-Key": {key}}, body, &answer)
	if err == nil && (code < 200 || code > 202) {
		err = fmt.Errorf("POST /v1/transactions: status %d", code)
	}
	return answer, err
}

// count is how many transactions have been accepted ever.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted)
}

// take is what clients counted since the last time.
func (l *load) take() (reads, accepted int, failures []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reads, failures = l.reads, l.failures
	l.reads, l.failures = 0, nil
	return reads, len(l.accepted), failures
}

// requireAllMined waits until every transaction that was ever accepted is mined,
// and compares their number with that of the sender's transactions on the chain:
// none is lost, and none was sent twice.
func (l *load) requireAllMined(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range l.accepted {
		require.Eventually(t, func() bool { return l.status(t, id) == "confirmed" }, patience, lookEvery, "transaction %s was accepted and is %s", id, l.status(t, id))
	}
	text, err := l.call(t.Context(), l.client, "eth_getTransactionCount", l.sender, "latest")
	require.NoError(t, err)
	require.Len(t, l.accepted, int(quantity(t, text)), "as many transactions of the sender are on the chain as were accepted")
}

func (l *load) status(t *testing.T, id string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.signer+"/v1/transactions/"+id, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+l.token)
	var answer transaction
	if _, err := do(l.client, request, &answer); err != nil {
		return err.Error()
	}
	return answer.Status
}
