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
	names := erpcNames()
	out := make([]Alias, len(names))
	for i, n := range names {
		out[i] = Alias{Name: n.name, Of: n.from}
	}
	return out
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
