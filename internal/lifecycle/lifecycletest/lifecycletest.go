// Package lifecycletest runs components for the length of a test.
package lifecycletest

import (
	"context"
	"testing"

	"github.com/slipwayhq/slipway/internal/lifecycle"
)

// Start runs a component until the test ends and returns once it is ready. The
// test fails when the component does not become ready, or stops with an error.
func Start(tb testing.TB, run lifecycle.Run) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		tb.Fatalf("the component did not become ready: %v", err)
	}
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("the component stopped with an error: %v", err)
		}
	})
}
