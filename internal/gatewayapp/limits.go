package gatewayapp

import (
	"context"
	"reflect"

	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/ratelimit"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// limits are the budgets of requests.
type limits struct {
	cfg     ratelimit.Config
	limiter *ratelimit.Limiter
	part    *part
}

// takeLimits takes the budgets over when they are the same, with what is used up.
func (a *App) takeLimits(cfg ratelimit.Config, old *site) (*limits, error) {
	if old != nil && reflect.DeepEqual(old.limits.cfg, cfg) {
		return old.limits, nil
	}
	told := cfg
	told.Redis.Log = a.log
	limiter, err := ratelimit.New(told, ratelimit.NewMetrics(a.factory, "gateway"))
	if err != nil {
		return nil, err //nolint:wrapcheck // says what it is
	}
	return &limits{cfg: cfg, limiter: limiter, part: &part{name: "rate limits", run: limiter.Run}}, nil
}

// front is what limits clients; nil where there are no budgets, so that calls
// pay nothing for them.
func (l *limits) front() gateway.Limiter {
	if len(l.cfg.Budgets) == 0 {
		return nil
	}
	return l.limiter
}

// ofNodes limits the requests to the nodes of a network. Asking Redis is bounded
// by its own timeout.
func (l *limits) ofNodes(network string) upstreams.Budgets {
	return func(ctx context.Context, budget string, methods []string) bool {
		return l.limiter.AllowAll(ctx, budget, ratelimit.Subject{Network: network}, methods).Allowed
	}
}
