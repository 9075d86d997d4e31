package config

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
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
		LogLevel: strings.ToLower(g.Logging.Level.String()),
		Server: ServerFile{
			HTTPHostV4: listenHost, HTTPPort: portOf(app.Listen),
			MaxBodySize: ByteSize(app.Front.MaxBodyBytes), MaxBatchSize: app.Front.MaxBatch, MaxTimeout: app.Front.RequestTimeout,
			EnableGzip: app.Front.Compression, ExecutionHeaders: string(app.Front.ExecutionHeaders),
			WaitBeforeShutdown: app.WaitBeforeShutdown, WaitAfterShutdown: app.DrainTimeout,
		},
		Metrics:  MetricsFile{Enabled: true, HostV4: adminHost, Port: portOf(app.AdminListen)},
		Projects: []ProjectFile{g.project()},
		Database: DatabaseFile{Cache: CacheFile{Connectors: g.connectors(app.Cache)}},
	}
}

func (g Gateway) project() ProjectFile {
	pool := g.App.Pool
	network := NetworkFile{
		Architecture: "evm", EVM: EVMNetworkFile{ChainID: pool.ChainID, Genesis: pool.Genesis},
		Finality: pool.Finality.Mode, FinalityDepth: pool.Finality.Depth,
	}
	var written ProjectFile
	if len(g.file.Projects) > 0 {
		written = g.file.Projects[0]
	}
	if len(written.Networks) > 0 {
		network.Failsafe = written.Networks[0].Failsafe
	}
	out := ProjectFile{ID: g.App.Front.Project, CORS: corsFile(g.App.Front.CORS), Networks: []NetworkFile{network}}
	for i, u := range pool.Upstreams {
		upstream := UpstreamFile{ID: u.ID, Endpoint: u.URL}
		// Nodes given by flags have no rules in the file.
		if i < len(written.Upstreams) && written.Upstreams[i].Endpoint == u.URL {
			upstream.EVM, upstream.Failsafe = written.Upstreams[i].EVM, written.Upstreams[i].Failsafe
		}
		out.Upstreams = append(out.Upstreams, upstream)
	}
	return out
}

func (g Gateway) connectors(cache gatewayapp.CacheConfig) []ConnectorFile {
	ids := map[string]string{"memory": "memory", "redis": "redis"}
	for _, c := range g.file.Database.Cache.Connectors {
		if c.ID != "" {
			ids[c.Driver] = c.ID
		}
	}
	out := []ConnectorFile{{ID: ids["memory"], Driver: "memory", Memory: MemoryFile{MaxTotalSize: ByteSize(cache.MemoryBytes)}}}
	if !cache.RedisURL.IsEmpty() {
		out = append(out, ConnectorFile{ID: ids["redis"], Driver: "redis", Redis: RedisFile{URI: cache.RedisURL, Timeout: cache.RedisTimeout}})
	}
	return out
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
