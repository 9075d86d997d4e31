package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/slipwayhq/slipway/bench/internal/figures"
	"github.com/slipwayhq/slipway/bench/internal/proc"
)

// warmUp precedes each measurement: it fills caches and connection pools.
const warmUp = 700 * time.Millisecond

// sample is one measurement of one target.
type sample struct {
	rate     float64 // requests a second
	p50, p99 float64 // milliseconds
	cpu      float64 // milliseconds per 1,000 requests
	rss      float64 // MB
	errors   int
	load     float64
}

// compare measures the targets of a case in turn, several times over, so that
// what else the machine does falls on all alike.
func (f *field) compare(ctx context.Context, o options, c testCase, stdout io.Writer) error {
	samples := map[string][]sample{}
	for round := range o.rounds {
		for _, name := range c.targets {
			t, ok := f.targets[name]
			if !ok {
				continue
			}
			if round == 0 {
				if err := t.check(ctx, c); err != nil {
					return fmt.Errorf("%s, %s: %w", c.name, name, err)
				}
			}
			s, err := t.measure(ctx, o, c)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", c.name, name, err)
			}
			samples[name] = append(samples[name], s)
		}
	}
	for _, name := range c.targets {
		if len(samples[name]) > 0 {
			fmt.Fprintln(stdout, row(c.name, name, samples[name]))
		}
	}
	return nil
}

// check asks once, and twice so that a kept answer is seen as well.
func (t target) check(ctx context.Context, c testCase) error {
	conn, err := dial(ctx, t.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for range 2 {
		answer, err := conn.ask(post(t.addr, c.bodies[0]))
		if err != nil {
			return err
		}
		if err := checkAnswer([]byte(c.bodies[0]), answer); err != nil {
			return err
		}
	}
	return nil
}

func (t target) measure(ctx context.Context, o options, c testCase) (sample, error) {
	requests := make([][]byte, len(c.bodies))
	for i, body := range c.bodies {
		requests[i] = post(t.addr, body)
	}
	if _, err := generate(ctx, t.addr, requests, o.connections, warmUp); err != nil {
		return sample{}, err
	}
	before := proc.CPU(t.process.PID())
	l, err := generate(ctx, t.addr, requests, o.connections, o.length)
	if err != nil {
		return sample{}, err
	}
	cpu, count := proc.CPU(t.process.PID())-before, float64(len(l.latencies))
	return sample{
		rate:   count / l.took.Seconds(),
		p50:    figures.Milliseconds(figures.Percentile(l.latencies, 50)),
		p99:    figures.Milliseconds(figures.Percentile(l.latencies, 99)),
		cpu:    figures.Milliseconds(cpu) * 1000 / count,
		rss:    float64(proc.RSS(t.process.PID())) / (1 << 20),
		errors: l.errors,
		load:   proc.Load(),
	}, t.process.Ended()
}

const columns = "%-26s %-13s %8s %8s %8s %11s %7s %7s %5s"

func title() string {
	return fmt.Sprintf(columns, "case", "target", "req/s", "p50 ms", "p99 ms", "CPU ms/1000", "RSS MB", "errors", "load")
}

// row shows the medians, and the sum of the errors.
func row(name, target string, samples []sample) string {
	median := func(format string, of func(sample) float64) string {
		values := make([]float64, len(samples))
		for i, s := range samples {
			values[i] = of(s)
		}
		return fmt.Sprintf(format, figures.Median(values))
	}
	errs := 0
	for _, s := range samples {
		errs += s.errors
	}
	return fmt.Sprintf(columns, name, target,
		median("%.0f", func(s sample) float64 { return s.rate }),
		median("%.2f", func(s sample) float64 { return s.p50 }),
		median("%.2f", func(s sample) float64 { return s.p99 }),
		median("%.1f", func(s sample) float64 { return s.cpu }),
		median("%.0f", func(s sample) float64 { return s.rss }),
		fmt.Sprint(errs),
		median("%.1f", func(s sample) float64 { return s.load }))
}
