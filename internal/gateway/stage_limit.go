package gateway

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/slipwayhq/slipway/internal/ratelimit"
)

// Limiter counts requests against budgets.
type Limiter interface {
	Allow(ctx context.Context, budget string, subject ratelimit.Subject, n int) ratelimit.Decision
}

// limitStage ends calls that are beyond a budget: that of the client, of the
// project or of the network, in this order. What an earlier one has counted
// stays counted when a later one refuses.
type limitStage struct {
	limiter Limiter // nil limits nothing
	// budgets of the project and the network; empty for none.
	budgets [2]string
	network string // as counted, such as evm:1
}

func (s *limitStage) Wrap(next Handler) Handler {
	if s.limiter == nil {
		return next
	}
	return func(ctx context.Context, call *Call) (*Result, error) {
		if err := s.check(ctx, call); err != nil {
			return nil, err
		}
		return next(ctx, call)
	}
}

func (s *limitStage) check(ctx context.Context, call *Call) error {
	subject := ratelimit.Subject{Method: call.Method, Network: s.network}
	budgets := [3]string{"", s.budgets[0], s.budgets[1]}
	if c := call.Client; c != nil {
		subject.IP = c.addr
		if c.principal != nil {
			subject.User, budgets[0] = c.principal.User, c.principal.Budget
		}
	}
	for _, budget := range budgets {
		if budget == "" {
			continue
		}
		if d := s.limiter.Allow(ctx, budget, subject, 1); !d.Allowed {
			return &LimitedError{Rule: d.Rule, RetryAfter: d.RetryAfter}
		}
	}
	return nil
}

// LimitedError says that a budget is used up, and for how long.
type LimitedError struct {
	Rule       string
	RetryAfter time.Duration
}

// Error implements error.
func (e *LimitedError) Error() string {
	return fmt.Sprintf("rate limit exceeded (%s): try again in %s s", e.Rule, e.seconds())
}

// seconds is RetryAfter as the header field of that name wants it.
func (e *LimitedError) seconds() string {
	return strconv.Itoa(max(1, int(math.Ceil(e.RetryAfter.Seconds()))))
}
