package gatewayapp

import (
	"log/slog"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// Metrics lists the gateway's own metrics, for the documentation.
func Metrics() ([]telemetry.Metric, error) {
	cfg := Default()
	cfg.Pool.Upstreams = []upstreams.Endpoint{{URL: secret.New("http://node:8545")}}
	app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return app.factory.Metrics(), nil
}
