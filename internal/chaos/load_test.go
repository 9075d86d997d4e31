package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
)

// hitID is what request n asks the counter to count.
func hitID(n int) common.Hash { return crypto.Keccak256Hash(fmt.Appendf(nil, "hit %d", n)) }

// body is request n.
func (w *world) body(n int) string {
	return fmt.Sprintf(`{"from":"%s","to":"%s","data":"0x%x"}`, w.senders[n%len(w.senders)].Hex(), w.counter.Hex(), hitData(hitID(n)))
}

// post sends a body to a replica; an error means that nobody knows whether it arrived.
func (w *world) post(ctx context.Context, url, body, key string) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // a stopped replica answers nobody
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/transactions", strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// accept sends request n to the replicas in turn, always with its key, until
// one of them has accepted it.
func (w *world) accept(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for try := 0; ; try++ {
		r := w.replicas[(n+try)%len(w.replicas)]
		status, answer, err := w.post(ctx, r.url, w.body(n), fmt.Sprintf("request-%d", n))
		if err == nil && status/100 == 2 {
			return nil
		}
		if err == nil && status/100 == 4 && status != http.StatusTooManyRequests {
			return fmt.Errorf("request %d: HTTP %d %s", n, status, answer)
		}
		select {
		case <-ctx.Done():
			return errors.Join(errNobody, err)
		case <-time.After(tick):
		}
	}
}

// load has requests accepted; see submit.
func (w *world) load(t *testing.T, first, count int) {
	t.Helper()
	require.NoError(t, w.submit(t.Context(), first, count))
}

// submit has requests from first to first+count accepted, by several clients.
func (w *world) submit(ctx context.Context, first, count int) error {
	const clients = 8
	next := make(chan int)
	errs := make(chan error, count)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for n := range next {
				errs <- w.accept(ctx, n)
			}
		})
	}
	for n := first; n < first+count; n++ {
		next <- n
	}
	close(next)
	wg.Wait()
	close(errs)
	var all error
	for err := range errs {
		all = errors.Join(all, err)
	}
	return all
}
