// Command slipway is the operator's tool: it runs a whole stack on one machine
// for development, and makes the material of a Besu network and puts it into
// Kubernetes.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/slipwayhq/slipway/internal/deploy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks everything to stop in order. From then on signals
	// do what they do by default: a second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)
	deploy.Quiet()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
