// Command signer measures the signer on this machine, with everything it needs
// around it: PostgreSQL that writes through to the disk, an embedded chain with
// a block a second, the gateway in front of it and clients that send plain
// calls. Each runs in a process of its own, so that the table can tell whose
// CPU it was. At the end the chain must hold every request exactly once.
//
//	go run ./bench/signer -senders 1,8,64 -transactions 10000 -clients 32 -via both
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/slipwayhq/slipway/bench/internal/child"
	"github.com/slipwayhq/slipway/bench/internal/proc"
)

// runLimit bounds one run: a queue that is stuck must not keep a table waiting.
const runLimit = 3 * time.Minute

const defaultSenders = "1,8,64"

// options are what the command line says.
type options struct {
	senders      []int
	transactions int
	clients      int
	via          string
	gas          uint64
	flat         int // transactions of a long run; 0 for none
	profiles     string
	keep         bool
}

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(child.Main(roles()[role]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench signer:", err)
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
	fmt.Fprintln(stdout, proc.Machine())
	fmt.Fprintf(stdout, "signer: %d transactions via %s, %d clients, %s, a block a second\n", o.transactions, o.via, o.clients, gasText(o.gas))
	if o.flat == 0 {
		fmt.Fprintln(stdout, header())
	}
	for _, senders := range o.senders {
		result, err := measure(ctx, o, senders, stdout)
		if err != nil {
			return fmt.Errorf("%d senders: %w", senders, err)
		}
		if o.flat > 0 {
			fmt.Fprintln(stdout, header())
		}
		fmt.Fprintln(stdout, result.row())
	}
	return nil
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench signer", flag.ContinueOnError)
	flags.SetOutput(stderr)
	senders := flags.String("senders", defaultSenders, "accounts that send; a comma-separated list makes a run each")
	flags.IntVar(&o.transactions, "transactions", 10_000, "requests of a run; with fewer, the blocks at both ends count for much")
	flags.IntVar(&o.clients, "clients", 32, "clients that send at the same time, each waiting for its answer")
	flags.StringVar(&o.via, "via", viaBoth, "rest, rpc or both (in turn for each sender)")
	flags.Uint64Var(&o.gas, "gas", 0, "gas limit of each request; 0 lets the signer estimate")
	flags.IntVar(&o.flat, "flat", 0, "instead of -transactions: so many in one long run that shows the signer's memory every 10 s; with a single number of -senders (default 8)")
	flags.StringVar(&o.profiles, "profiles", "", "folder for CPU profiles of the signer, the gateway, the chain and the load; for one run only")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder with data and logs")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.flat > 0 {
		o.transactions = o.flat
		if *senders == defaultSenders {
			*senders = "8"
		}
	}
	for text := range strings.SplitSeq(*senders, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			return o, fmt.Errorf("-senders %q: must be numbers from 1 to 10000", *senders)
		}
		o.senders = append(o.senders, n)
	}
	if o.transactions < 1 || o.clients < 1 {
		return o, errors.New("-transactions and -clients: must be at least 1")
	}
	if o.via != viaREST && o.via != viaRPC && o.via != viaBoth {
		return o, fmt.Errorf("-via %q: must be rest, rpc or both", o.via)
	}
	if (o.profiles != "" || o.flat > 0) && len(o.senders) > 1 {
		return o, errors.New("-profiles, -flat: need a single number of -senders")
	}
	return o, nil
}

func gasText(gas uint64) string {
	if gas == 0 {
		return "gas estimated"
	}
	return fmt.Sprintf("gas %d given", gas)
}
