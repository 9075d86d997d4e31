//go:build !failpoints

package failpoint

import (
	"context"
	"time"
)

// Enabled says whether the program was built with failpoints.
const Enabled = false

// Hit marks a place.
func Hit(string) {}

// Error marks a place that can fail.
func Error(string) error { return nil }

// OnWritten marks the moment in which an HTTP request of ctx has left and no
// answer has come.
func OnWritten(ctx context.Context, _ string) context.Context { return ctx }

// Now is the time by this machine's clock.
func Now() time.Time { return time.Now() }
