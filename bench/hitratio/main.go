// Command hitratio measures how many of the questions that the pages of a
// decentralised application ask again and again the gateway answers without a
// node: with latest replaced by the newest block's number, and without. The
// chain makes blocks that are final at once. Every answer is compared with the
// chain: none may be older than the configuration permits; otherwise the exit
// code is 1. All runs within this program.
//
//	go run ./bench/hitratio -duration 30s
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

	"github.com/slipwayhq/slipway/bench/internal/proc"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
)

// options are what the command line says.
type options struct {
	duration  time.Duration
	clients   int
	poll      time.Duration
	blockTime time.Duration
	latency   time.Duration
	slack     time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "hitratio:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("hitratio", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.duration, "duration", 30*time.Second, "how long each of the two measurements takes, at least 2s")
	flags.IntVar(&o.clients, "clients", 50, "clients, each of which asks one question after the other")
	flags.DurationVar(&o.poll, "poll", 500*time.Millisecond, "how often each client asks all its questions")
	flags.DurationVar(&o.blockTime, "block-time", time.Second, "time between two blocks")
	flags.DurationVar(&o.latency, "latency", 2*time.Millisecond, "how long the node takes for an answer")
	flags.DurationVar(&o.slack, "slack", 100*time.Millisecond, "how much older than latestMaxAge an answer may be: who joins a call in flight is told what the node said before")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.duration < 2*time.Second || o.clients < 1 || o.poll < time.Millisecond || o.blockTime < 10*time.Millisecond || o.latency < 0 || o.slack < 0 {
		return o, errors.New("-duration must be at least 2s, -clients 1, -poll 1ms, -block-time 10ms; -latency and -slack not negative")
	}
	return o, nil
}

var errWrong = errors.New("there were wrong answers")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, proc.Machine())
	fmt.Fprintf(stdout, "hit ratio: %d clients ask %d questions every %s for %s, a block every %s, a node that takes %s\n",
		o.clients, len(questions(0, 0, firstHead)), o.poll, o.duration, o.blockTime, o.latency)
	isRight := true
	for _, maxAge := range []time.Duration{gatewayapp.DefaultNetwork().LatestMaxAge, 0} {
		r, err := measure(ctx, o, maxAge)
		if err != nil {
			return err
		}
		isRight = isRight && r.isRight()
		fmt.Fprint(stdout, r.table())
	}
	if !isRight {
		return errWrong
	}
	return nil
}
