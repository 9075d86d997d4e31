package config

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// YAML writes the configuration as a file that says the same, with every
// default visible. Secrets are written as "[redacted]".
func (g Gateway) YAML() ([]byte, error) {
	text, err := yaml.MarshalWithOptions(g.effective(), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return text, nil
}

// effective is the file that says what App says. What the programs do not hold,
// such as rules, is taken from the file that was read.
func (g Gateway) effective() GatewayFile {
	app := g.App
	listenHost, _, _ := net.SplitHostPort(app.Listen)
	adminHost, _, _ := net.SplitHostPort(app.AdminListen)
	return GatewayFile{
		LogLevel:   strings.ToLower(g.Logging.Level.String()),
		ClusterKey: g.file.ClusterKey, RateLimiters: g.rateLimiters(),
		Server: ServerFile{
			HTTPHostV4: listenHost, HTTPPort: portOf(app.Listen),
			MaxBodySize: ByteSize(app.Front.MaxBodyBytes), MaxBatchSize: app.Front.MaxBatch, MaxTimeout: app.Front.RequestTimeout,
			ReadTimeout: app.ReadTimeout, WriteTimeout: app.Front.AnswerTimeout,
			EnableGzip: app.Front.Compression, ResponseHeaders: app.Front.ResponseHeaders, ExecutionHeaders: string(app.Front.ExecutionHeaders),
			TrustedIPForwarders: app.Front.Trusted.Networks, TrustedIPHeaders: app.Front.Trusted.Headers,
			WebSocket: webSocketFile(app),
			Aliasing:  g.file.Server.Aliasing, TLS: g.file.Server.TLS,
			WaitBeforeShutdown: app.WaitBeforeShutdown, WaitAfterShutdown: app.DrainTimeout,
		},
		Admin:       g.file.Admin,
		HealthCheck: HealthCheckFile{Mode: string(app.Front.Health)},
		Metrics:     MetricsFile{Enabled: true, HostV4: adminHost, Port: portOf(app.AdminListen), TLS: g.file.Metrics.TLS},
		Tracing:     g.file.Tracing,
		Projects:    g.projects(),
		Database:    DatabaseFile{Cache: g.file.Database.Cache.effective(app.Cache), SharedState: g.sharedState()},
	}
}

// projects is what the programs hold of the projects; what they do not hold is
// taken from the file that was read.
func (g Gateway) projects() []ProjectFile {
	out := make([]ProjectFile, len(g.App.Projects))
	for i, p := range g.App.Projects {
		if i < len(g.file.Projects) {
			out[i] = g.file.Projects[i]
		}
		out[i].ID, out[i].CORS = p.ID, corsFile(p.CORS)
		out[i].Networks, out[i].Upstreams = slices.Clone(out[i].Networks), nil
		out[i].Networks = slices.Grow(out[i].Networks, len(p.Networks))[:len(p.Networks)]
		for j, n := range p.Networks {
			out[i].Networks[j].set(n)
			for _, u := range n.Pool.Upstreams {
				out[i].Upstreams = append(out[i].Upstreams, g.upstream(i, u, n.Pool.ChainID))
			}
		}
	}
	return out
}

// set takes over what the program holds of a network.
func (n *NetworkFile) set(cfg gatewayapp.NetworkConfig) {
	n.Architecture, n.Alias = "evm", cfg.Alias
	n.EVM.ChainID, n.EVM.Genesis, n.EVM.LatestMaxAge = cfg.Pool.ChainID, cfg.Pool.Genesis, &cfg.LatestMaxAge
	n.Finality, n.FinalityDepth = cfg.Pool.Finality.Mode, cfg.Pool.Finality.Depth
}

// upstream is a node as the file has it. Nodes given by flags are not there.
func (g Gateway) upstream(project int, u upstreams.Endpoint, chainID uint64) UpstreamFile {
	if project < len(g.file.Projects) {
		for _, written := range g.file.Projects[project].Upstreams {
			if written.ID == u.ID && written.Endpoint == u.URL {
				return written
			}
		}
	}
	return UpstreamFile{ID: u.ID, Endpoint: u.URL, Websocket: u.WebSocketURL, EVM: EVMUpstreamFile{ChainID: chainID}}
}

// MarshalYAML writes a size with its unit.
func (b ByteSize) MarshalYAML() (any, error) { return b.String(), nil }

// MarshalYAML writes a time alone if there is nothing else.
func (a AdaptiveDuration) MarshalYAML() (any, error) {
	if a.Base != nil && a == (AdaptiveDuration{Base: a.Base}) {
		return a.Base.String(), nil
	}
	type plain AdaptiveDuration
	return plain(a), nil
}

func corsFile(c gateway.CORS) *CORSFile {
	return &CORSFile{AllowedOrigins: c.AllowedOrigins, AllowedMethods: c.AllowedMethods, AllowedHeaders: c.AllowedHeaders, MaxAge: int(c.MaxAge / time.Second)}
}
