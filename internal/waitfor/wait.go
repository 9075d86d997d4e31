package waitfor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// TimeoutExitCode is that of timeout(1).
const TimeoutExitCode = 124

// TimeoutError says what did not come.
type TimeoutError struct {
	After   time.Duration
	Missing []string // each with the reason of the last look
}

// Error implements error.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("waited %s for %s", e.After, strings.Join(e.Missing, ", and for "))
}

// ExitCode is the one to end the program with.
func (e *TimeoutError) ExitCode() int { return TimeoutExitCode }

// Wait looks at all targets at once, and again every interval, until each has
// been there once. say hears of each, from one goroutine at a time. After
// timeout it gives a *TimeoutError.
func Wait(ctx context.Context, targets []Target, timeout, interval time.Duration, say func(line string)) error {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	missing := make([]string, len(targets))
	for i, target := range targets {
		all.Go(func() {
			begun := time.Now()
			last := wait(bounded, target, interval)
			mu.Lock()
			defer mu.Unlock()
			if last != nil {
				missing[i] = fmt.Sprintf("%s: %s", target, oneLine(last))
				return
			}
			say(fmt.Sprintf("%s is there, after %s", target, time.Since(begun).Round(time.Millisecond)))
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("stopped waiting: %w", context.Cause(ctx))
	}
	failed := &TimeoutError{After: timeout}
	for _, text := range missing {
		if text != "" {
			failed.Missing = append(failed.Missing, text)
		}
	}
	if len(failed.Missing) > 0 {
		return failed
	}
	return nil
}

// wait gives nil, or the reason of the last look that was not cut short.
func wait(ctx context.Context, target Target, interval time.Duration) error {
	var reason error
	for {
		err := look(ctx, target)
		if err == nil {
			return nil
		}
		if !isOver(ctx) || reason == nil {
			reason = err
		}
		select {
		case <-ctx.Done():
			return reason
		case <-time.After(interval):
		}
	}
}

func look(ctx context.Context, target Target) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, errors.New("no answer in time"))
	defer cancel()
	err := target.look(ctx)
	if err != nil && isOver(ctx) {
		return errors.New("no answer in time")
	}
	return err
}

// isOver looks at the clock too: a connection's deadline may come before the
// context notices that its own has passed.
func isOver(ctx context.Context) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() != nil || (bounded && !time.Now().Before(deadline))
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
