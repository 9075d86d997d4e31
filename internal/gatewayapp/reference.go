package gatewayapp

import (
	"log/slog"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// Alias is one of our metrics under a name of eRPC's.
type Alias struct{ Name, Of string }

// Aliases lists the names of eRPC's that are shown, for the documentation.
func Aliases() []Alias {
	var out []Alias
	for _, n := range erpcNames() {
		out = append(out, Alias{Name: n.name, Of: n.from})
	}
	for _, m := range stateMetrics() {
		out = append(out, Alias{Name: m.name, Of: "GET /upstreams"})
	}
	return append(out, Alias{Name: budgetMetric, Of: "the configuration"})
}

// Metrics lists the gateway's own metrics, for the documentation.
func Metrics() ([]telemetry.Metric, error) {
	cfg := Default()
	cfg.Pool().Upstreams = []upstreams.Endpoint{{URL: secret.New("http://node:8545")}}
	app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return app.factory.Metrics(), nil
}
