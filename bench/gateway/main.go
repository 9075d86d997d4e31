// Command gateway measures what the gateway costs: requests a second, times
// and CPU, beside nginx and beside the least that a proxy written in Go can
// cost. The node behind them is part of the benchmark and answers from
// templates. All runs on this machine; only the proxy's CPU is counted.
//
//	go run ./bench/gateway -rounds 3 -length 3s
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/slipwayhq/slipway/bench/internal/child"
	"github.com/slipwayhq/slipway/bench/internal/proc"
)

// options are what the command line says.
type options struct {
	rounds      int
	length      time.Duration
	connections int
	only        string
	gateway     string
	cpuProfile  string
	floors      bool
}

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(child.Main(roles()[role]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench gateway:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if err := proc.Supported(); err != nil {
		return err
	}
	// The generator must leave the other cores to what is measured.
	runtime.GOMAXPROCS(1)
	fmt.Fprintln(stdout, proc.Machine())
	fmt.Fprintf(stdout, "gateway: %d connections, medians of %d rounds of %s\n", o.connections, o.rounds, o.length)
	f, err := startField(ctx, o, stdout)
	if err != nil {
		return err
	}
	defer f.stop()
	if f.start.firstAnswer > 0 {
		fmt.Fprintf(stdout, "gateway: first right answer %d ms after its start, %.0f MB resident then\n", f.start.firstAnswer.Milliseconds(), float64(f.start.rss)/(1<<20))
	}
	fmt.Fprintln(stdout, title())
	chosen := cases()
	if o.floors {
		chosen = bareCases()
	}
	for _, c := range chosen {
		if !strings.Contains(c.name, o.only) {
			continue
		}
		if err := f.compare(ctx, o, c, stdout); err != nil {
			return err
		}
	}
	return nil
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench gateway", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "rounds", 3, "how often each target is measured")
	flags.DurationVar(&o.length, "length", 3*time.Second, "length of one measurement, at most 1m")
	flags.IntVar(&o.connections, "connections", 32, "connections, each waiting for its answer")
	flags.StringVar(&o.only, "case", "", "only the cases whose name contains this")
	flags.StringVar(&o.gateway, "gateway", "", "the gateway's program; built anew when empty")
	flags.StringVar(&o.cpuProfile, "cpuprofile", "", "file for a CPU profile of the gateway, which then runs within this program")
	flags.BoolVar(&o.floors, "floors", false, "measure bare servers of net/http and of fasthttp instead, which answer a fixed text")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.rounds < 1 || o.connections < 1 || o.length < 100*time.Millisecond || o.length > time.Minute {
		return o, errors.New("-rounds and -connections must be at least 1, -length between 100ms and 1m")
	}
	return o, nil
}
