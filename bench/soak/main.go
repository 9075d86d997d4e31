// Command soak runs a gateway for a long time in a bad world: nodes that fail in
// every way by turns, a Redis that is killed and comes back, a configuration that
// is changed. It says whether every answer was right and whether memory,
// goroutines and files stay where they are; otherwise its exit code is 1.
//
//	go run ./bench/soak -duration 20m
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/bench/internal/proc"
)

// options are what the command line says.
type options struct {
	duration time.Duration
	rate     int
	gateway  string
	seed     uint64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.duration, "duration", 20*time.Minute, "how long, at least 10s")
	flags.IntVar(&o.rate, "rate", 200, "HTTP requests a second, at most 2000")
	flags.StringVar(&o.gateway, "gateway", "", "the gateway's program; built anew when empty")
	flags.Uint64Var(&o.seed, "seed", 1, "what the faults are drawn from")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.duration < 10*time.Second || o.rate < 1 || o.rate > 2000 {
		return o, errors.New("-duration must be at least 10s, -rate between 1 and 2000")
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if err := proc.Supported(); err != nil {
		return err
	}
	fmt.Fprintln(stdout, proc.Machine())
	w, err := startWorld(ctx, o, stdout)
	if err != nil {
		return err
	}
	defer w.stop()
	ctx, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()

	var parts errgroup.Group
	var seen tally
	var samples []sample
	parts.Go(func() error { w.breakNodes(ctx, o.seed); return nil })
	parts.Go(func() error { return w.killRedis(ctx) })
	parts.Go(func() error { return w.changeConfiguration(ctx, reloadEvery(o.duration)) })
	parts.Go(func() error { load(ctx, "http://"+w.gatewayAddr, o.rate, &seen); return nil })
	for i := range subscribers {
		parts.Go(func() error { subscribe(ctx, "ws://"+w.gatewayAddr, topics()[i%len(topics())], &seen); return nil })
	}
	parts.Go(func() error {
		var err error
		samples, err = watch(ctx, "http://"+w.adminAddr+"/metrics", &seen, stdout)
		return err
	})
	if err := parts.Wait(); err != nil {
		return err
	}
	if err := w.gateway.Ended(); err != nil {
		return err
	}
	return conclude(samples, &seen, stdout)
}

// reloadEvery is how often the configuration changes: each minute, and a few
// times in short runs.
func reloadEvery(duration time.Duration) time.Duration { return min(time.Minute, duration/4) }
