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
	// AllowEach decides about the calls of a batch at once.
	AllowEach(ctx context.Context, budget string, subject ratelimit.Subject, methods []string) []ratelimit.Decision
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
	subject, budgets := s.of(call)
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

// of says who is counted for a call, and against which budgets.
func (s *limitStage) of(call *Call) (ratelimit.Subject, [3]string) {
	subject := ratelimit.Subject{Method: call.Method, Network: s.network}
	budgets := [3]string{"", s.budgets[0], s.budgets[1]}
	if c := call.Client; c != nil {
		subject.IP = c.addr
		if c.principal != nil {
			subject.User, budgets[0] = c.principal.User, c.principal.Budget
		}
	}
	return subject, budgets
}

// checkAll does for the calls of one batch what the stage does for each of them,
// budget by budget, and notes the errors in their elements. So a batch asks each
// budget once.
func (s *limitStage) checkAll(ctx context.Context, elements []*element) {
	if s.limiter == nil || len(elements) == 0 {
		return
	}
	subject, budgets := s.of(&elements[0].call) // the client is that of all
	for _, budget := range budgets {
		if budget == "" || len(elements) == 0 {
			continue
		}
		names := make([]string, len(elements))
		for i, e := range elements {
			names[i] = e.call.Method
		}
		var left []*element
		for i, d := range s.limiter.AllowEach(ctx, budget, subject, names) {
			if d.Allowed {
				left = append(left, elements[i])
			} else {
				elements[i].err = &LimitedError{Rule: d.Rule, RetryAfter: d.RetryAfter}
			}
		}
		elements = left
	}
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
