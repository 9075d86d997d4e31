package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/slipwayhq/slipway/bench/internal/figures"
	"github.com/slipwayhq/slipway/bench/internal/proc"
)

// result is one row of the table.
type result struct {
	senders                int
	via                    string
	transactions           int
	accepting, mining      time.Duration // from the first request to the last one accepted, confirmed
	acceptP50, acceptP99   time.Duration
	confirmP50, confirmP99 time.Duration
	cost                   cost
	peakRSS                int64
	load                   float64
}

// measure starts everything, sends the requests, waits until all are confirmed
// and checks the chain.
func measure(ctx context.Context, o options, senders int, out io.Writer) (_ result, err error) {
	limit := runLimit
	if o.flat > 0 {
		limit = flatLimit(o.flat)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the run took more than %s", limit))
	defer cancel()
	from, err := accounts(senders)
	if err != nil {
		return result{}, err
	}
	s, err := startStack(ctx, o, senders)
	if err != nil {
		return result{}, err
	}
	defer func() {
		if err != nil {
			s.keep = true
			err = fmt.Errorf("%w (logs are in %s)", err, s.dir)
		}
		s.stop()
	}()
	watch := observer{client: newClient(1), signerURL: s.signerURL, chainURL: s.chainURL}
	defer watch.client.CloseIdleConnections()

	shown := func() {}
	if o.flat > 0 {
		shown = s.startShowing(ctx, out)
	}
	before := s.cost()
	sent, err := submitProfiled(ctx, o, from, s.signerURL)
	if err != nil {
		return result{}, err
	}
	if err := watch.waitSettled(ctx); err != nil {
		return result{}, err
	}
	shown()
	r := result{
		senders: senders, via: o.via, transactions: o.transactions,
		cost: s.cost().since(before), peakRSS: proc.PeakRSS(s.signer.PID()), load: proc.Load(),
	}

	items, err := watch.confirmed(ctx)
	if err != nil {
		return result{}, err
	}
	executed, err := watch.executed(ctx)
	if err != nil {
		return result{}, err
	}
	requests := make([]request, o.transactions)
	for i := range requests {
		requests[i] = newRequest(o, from, i)
	}
	if err := checkExactlyOnce(requests, items, executed); err != nil {
		return result{}, err
	}
	r.time(sent, requests, items)
	return r, nil
}

// time fills in the times. That of a confirmation is the signer's own, which
// costs it nothing to tell; both clocks are this machine's.
func (r *result) time(sent []sent, requests []request, items map[string]item) {
	accepts, confirms := make([]time.Duration, len(sent)), make([]time.Duration, len(sent))
	first := sent[0].at
	for _, s := range sent {
		if s.at.Before(first) {
			first = s.at
		}
	}
	for i, s := range sent {
		confirmed := items[requests[i].key()].UpdatedAt
		accepts[i], confirms[i] = s.accept, confirmed.Sub(s.at)
		r.accepting = max(r.accepting, s.at.Add(s.accept).Sub(first))
		r.mining = max(r.mining, confirmed.Sub(first))
	}
	r.acceptP50, r.acceptP99 = figures.Percentile(accepts, 50), figures.Percentile(accepts, 99)
	r.confirmP50, r.confirmP99 = figures.Percentile(confirms, 50), figures.Percentile(confirms, 99)
}

// The columns of CPU are seconds per 1,000 transactions.
const columns = "%7s %5s %10s %8s %10s %10s %9s %9s %10s %8s %8s %8s %10s %5s"

func header() string {
	return fmt.Sprintf(columns, "senders", "via", "accepted/s", "mined/s", "accept p50", "accept p99", "mined p50", "mined p99",
		"CPU signer", "postgres", "gateway", "chain", "signer RSS", "load") + "\n" +
		fmt.Sprintf(columns, "", "", "", "", "ms", "ms", "s", "s", "s/1000", "s/1000", "s/1000", "s/1000", "peak MB", "")
}

func (r result) row() string {
	rate := func(d time.Duration) string { return fmt.Sprintf("%.0f", float64(r.transactions)/d.Seconds()) }
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", figures.Milliseconds(d)) }
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }
	cpu := func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()*1000/float64(r.transactions)) }
	return fmt.Sprintf(columns, fmt.Sprint(r.senders), r.via, rate(r.accepting), rate(r.mining), ms(r.acceptP50), ms(r.acceptP99),
		seconds(r.confirmP50), seconds(r.confirmP99), cpu(r.cost.signer), cpu(r.cost.postgres), cpu(r.cost.gateway), cpu(r.cost.chain),
		fmt.Sprintf("%.0f", float64(r.peakRSS)/(1<<20)), fmt.Sprintf("%.1f", r.load))
}
