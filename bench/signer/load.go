package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"golang.org/x/sync/errgroup"
)

// clientTimeout bounds one request; JSON-RPC answers only once it is signed.
const clientTimeout = 40 * time.Second

// sent is when a request left and how long its answer took.
type sent struct {
	at     time.Time
	accept time.Duration
}

// submitProfiled is submit, with a profile of it where one is wanted.
func submitProfiled(ctx context.Context, o options, from []common.Address, url string) (_ []sent, err error) {
	if o.profiles == "" {
		return submit(ctx, o, from, url)
	}
	stop, err := startProfile(o.profiles, "load")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return submit(ctx, o, from, url)
}

// submit sends all requests, each client one after the other, and returns when
// the last is accepted. A request that is refused ends the run.
func submit(ctx context.Context, o options, from []common.Address, url string) ([]sent, error) {
	out := make([]sent, o.transactions)
	client := newClient(o.clients)
	defer client.CloseIdleConnections()
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range o.clients {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= o.transactions {
					return nil
				}
				r := newRequest(o, from, i)
				out[i].at = time.Now()
				if err := r.send(ctx, client, url); err != nil {
					return err
				}
				out[i].accept = time.Since(out[i].at)
			}
		})
	}
	return out, group.Wait()
}

func newClient(connections int) *http.Client {
	return &http.Client{Timeout: clientTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
}

func (r request) send(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+r.path(), strings.NewReader(r.body()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", r.key())
	status, answer, err := do(client, req)
	if err != nil {
		return fmt.Errorf("request %d: %w", r.number, err)
	}
	return r.check(status, answer)
}

func do(client *http.Client, req *http.Request) (int, []byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}
