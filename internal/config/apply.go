package config

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// Gateway is what a configuration file says.
type Gateway struct {
	App     gatewayapp.Config
	Logging telemetry.LogConfig
	// Warnings names the keys that have no effect and what happens instead, one
	// in a line, each with its place in the file.
	Warnings []string

	file GatewayFile
}

// DefaultGateway is the configuration without a file.
func DefaultGateway() Gateway {
	return Gateway{App: gatewayapp.Default(), file: DefaultGatewayFile()}
}

// LoadGateway reads a configuration file. What it refers to in the environment
// is asked of getenv. It checks the file's own rules; App.Validate, which
// gatewayapp.New calls, checks the rest. The error names all problems, one in a
// line.
func LoadGateway(path string, getenv func(string) string) (Gateway, error) {
	text, err := readFile(path)
	if err != nil {
		return Gateway{}, err
	}
	return parseGateway(path, text, getenv)
}

func parseGateway(path string, text []byte, getenv func(string) string) (Gateway, error) {
	r := newReport(path)
	expanded := expand(text, getenv, r)
	if err := r.err(); err != nil {
		return Gateway{}, err
	}
	root := parse(expanded, r)
	if len(r.problems) > 0 && root.form == empty {
		return Gateway{}, r.err() // not YAML: nothing to hold the rules against
	}
	c := checker{schema: parseSchema(keyTable), report: r}
	c.value(root, root.at, kind{base: "Config", block: true}, spot{})
	inherit(root, c.schema)
	file := DefaultGatewayFile()
	binder{r}.bind(root, &file)
	out := file.gateway(r)
	if err := r.err(); err != nil {
		return Gateway{}, err
	}
	out.Warnings = r.texts()
	return out, nil
}

// gateway makes the configuration of what the file says and checks the rules
// that hold between its keys.
func (f GatewayFile) gateway(r *report) Gateway {
	out := Gateway{App: gatewayapp.Default(), file: f}
	if err := out.Logging.Level.UnmarshalText([]byte(f.LogLevel)); err != nil {
		r.fail("logLevel", "must be debug, info, warn or error, is %q", f.LogLevel)
	}
	out.App.Listen = net.JoinHostPort(f.Server.HTTPHostV4, strconv.Itoa(f.Server.port(r)))
	out.App.AdminListen = net.JoinHostPort(f.Metrics.HostV4, strconv.Itoa(f.Metrics.Port))
	out.App.Front.MaxBodyBytes = int64(f.Server.MaxBodySize)
	out.App.Front.MaxBatch = f.Server.MaxBatchSize
	out.App.Front.Compression = f.Server.EnableGzip
	out.App.Front.ExecutionHeaders = gateway.ExecutionHeaders(f.Server.ExecutionHeaders)
	out.App.Front.ResponseHeaders = f.Server.responseHeaders(r)
	for _, rule := range f.Server.Aliasing.Rules {
		out.App.Front.Aliases = append(out.App.Front.Aliases, gateway.HostAlias{
			Domain: rule.MatchDomain, Project: rule.ServeProject, Architecture: rule.ServeArchitecture, Chain: rule.ServeChain,
		})
	}
	out.App.Front.Trusted = gateway.TrustedProxies{Networks: f.Server.TrustedIPForwarders, Headers: f.Server.TrustedIPHeaders}
	out.App.Front.Health = gateway.HealthMode(f.HealthCheck.Mode)
	out.App.Front.RequestTimeout = f.Server.MaxTimeout
	out.App.ReadTimeout, out.App.Front.AnswerTimeout = f.Server.ReadTimeout, f.Server.WriteTimeout
	out.App.WaitBeforeShutdown = f.Server.WaitBeforeShutdown
	out.App.DrainTimeout = f.Server.WaitAfterShutdown
	if !f.Metrics.Enabled {
		r.fail("metrics.enabled", "the metrics and health endpoints cannot be switched off; bind them to a private address with metrics.hostV4")
	}
	f.Server.WebSocket.apply(&out.App, r)
	f.Server.check(r)
	out.App.Tracing = f.Tracing.apply(r)
	out.App.TLS = f.Server.TLS.apply("server.tls", r)
	out.App.AdminTLS = f.Metrics.TLS.apply("metrics.tls", r)
	checkPort("metrics.port", f.Metrics.Port, r)
	out.App.Projects = nil
	if len(f.Projects) == 0 {
		r.fail("projects", "at least one is needed")
	}
	if f.RateLimiters != nil {
		out.App.RateLimits = f.RateLimiters.config(r)
	}
	out.App.Admin = f.Admin.config(out.App.RateLimits.IDs(), r)
	for i, p := range f.Projects {
		out.App.Projects = append(out.App.Projects, p.project("projects["+strconv.Itoa(i)+"]", out.App.RateLimits.IDs(), r))
	}
	if f.Database.SharedState != nil {
		out.App.SharedState = f.Database.SharedState.config(f.ClusterKey, r)
	}
	f.Database.Cache.apply(&out.App.Cache, r)
	return out
}

// port is the one to listen on: httpPort, if the file has it.
func (s ServerFile) port(r *report) int {
	if _, isSet := r.places["server.httpPort"]; isSet || s.HTTPPortV4 == 0 {
		return s.HTTPPort
	}
	return s.HTTPPortV4
}

func (s ServerFile) check(r *report) {
	checkPort("server.httpPort", s.HTTPPort, r)
	checkPort("server.httpPortV4", s.HTTPPortV4, r)
	for key, value := range map[string]int64{"maxBodySize": int64(s.MaxBodySize), "maxBatchSize": int64(s.MaxBatchSize), "maxTimeout": int64(s.MaxTimeout), "readTimeout": int64(s.ReadTimeout), "writeTimeout": int64(s.WriteTimeout)} {
		if value <= 0 {
			r.fail("server."+key, "must be more than zero")
		}
	}
}

func checkPort(key string, port int, r *report) {
	if port < 0 || port > 65535 {
		r.fail(key, "%d is no port", port)
	}
}

// project makes the configuration of a project. Each of its nodes belongs to the
// network whose chain id it names; one that names none belongs to the only
// network.
func (p ProjectFile) project(path string, budgets []string, r *report) gatewayapp.ProjectConfig {
	out := gatewayapp.ProjectConfig{ProjectConfig: gateway.DefaultProject()}
	out.ID = p.ID
	if p.ID == "" {
		r.fail(path+".id", "is needed")
	}
	p.CORS.apply(&out.CORS)
	out.Auth = p.Auth.config(path+".auth", budgets, r)
	checkMethods(path, p.AllowMethods, p.IgnoreMethods, r)
	out.AllowMethods, out.IgnoreMethods = p.AllowMethods, p.IgnoreMethods
	out.ForwardHeaders = p.forwardHeaders(path+".forwardHeaders", r)
	checkBudget(path+".rateLimitBudget", p.RateLimitBudget, budgets, r)
	out.RateLimitBudget = p.RateLimitBudget
	if p.AllowClientDirectives != "" {
		var err error
		if out.ClientDirectives, err = methods.ParsePattern(p.AllowClientDirectives); err != nil {
			r.fail(path+".allowClientDirectives", "%s", err)
		}
	}
	if len(p.Networks) == 0 {
		r.fail(path+".networks", "at least one is needed")
	}
	for i, n := range p.Networks {
		at := path + ".networks[" + strconv.Itoa(i) + "]"
		checkBudget(at+".rateLimitBudget", n.RateLimitBudget, budgets, r)
		out.Networks = append(out.Networks, n.network(at, r))
	}
	for i, u := range p.Upstreams {
		at := path + ".upstreams[" + strconv.Itoa(i) + "]"
		checkBudget(at+".rateLimitBudget", u.RateLimitBudget, budgets, r)
		endpoint := u.endpoint(at, r)
		if network := u.network(at, out.Networks, r); network != nil {
			network.Pool.Upstreams = append(network.Pool.Upstreams, endpoint)
			u.EVM.split(&network.Search, len(network.Pool.Upstreams) == 1)
		}
	}
	return out
}

// network is that to which a node belongs.
func (u UpstreamFile) network(path string, networks []gatewayapp.NetworkConfig, r *report) *gatewayapp.NetworkConfig {
	for i := range networks {
		if networks[i].Pool.ChainID == u.EVM.ChainID || u.EVM.ChainID == 0 && len(networks) == 1 {
			return &networks[i]
		}
	}
	switch {
	case len(networks) == 0: // said already
	case u.EVM.ChainID == 0:
		r.fail(path+".evm.chainId", "is needed, because the project has several networks")
	case len(networks) == 1:
		r.fail(path+".evm.chainId", "is %d, but that of the network is %d", u.EVM.ChainID, networks[0].Pool.ChainID)
	default:
		r.fail(path+".evm.chainId", "is %d, but no network of the project has it", u.EVM.ChainID)
	}
	return nil
}

func (c *CORSFile) apply(cors *gateway.CORS) {
	if c == nil {
		return
	}
	for _, list := range []struct {
		from []string
		to   *[]string
	}{{c.AllowedOrigins, &cors.AllowedOrigins}, {c.AllowedMethods, &cors.AllowedMethods}, {c.AllowedHeaders, &cors.AllowedHeaders}} {
		if list.from != nil {
			*list.to = list.from
		}
	}
	if c.MaxAge > 0 {
		cors.MaxAge = time.Duration(c.MaxAge) * time.Second
	}
}

func (n NetworkFile) network(path string, r *report) gatewayapp.NetworkConfig {
	if n.Architecture != "evm" && n.Architecture != "" {
		r.fail(path+".architecture", "must be evm, is %q", n.Architecture)
	}
	if n.EVM.ChainID == 0 {
		r.fail(path+".evm.chainId", "is needed")
	}
	pool := upstreams.Default()
	pool.ChainID = n.EVM.ChainID
	pool.Genesis = n.EVM.Genesis
	pool.Finality.Mode = n.Finality
	if n.FinalityDepth > 0 {
		pool.Finality.Depth = n.FinalityDepth
	}
	checkRules(n.Failsafe, path+".failsafe", r)
	warnOfNetworkBreakers(rules(n.Failsafe), path+".failsafe", r)
	pool.Rules = poolRules(rules(n.Failsafe), path+".failsafe", r)
	n.checkIntegrity(path, r)
	pool.Integrity = n.integrity(path, r)
	take(&pool.Broadcast, n.EVM.BroadcastTransactions)
	d := n.DirectiveDefaults
	latestMaxAge := gatewayapp.DefaultNetwork().LatestMaxAge
	if n.EVM.LatestMaxAge != nil {
		latestMaxAge = *n.EVM.LatestMaxAge
	}
	return gatewayapp.NetworkConfig{Alias: n.Alias, RateLimitBudget: n.RateLimitBudget, Pool: pool, LatestMaxAge: latestMaxAge, Search: n.search(), Static: n.static(path, r), Methods: n.Methods.definitions(path+".methods", r), Directives: gateway.Directives{
		RetryEmpty: d.RetryEmpty, RetryPending: d.RetryPending, UseUpstream: d.UseUpstream,
		SkipInterpolation: d.SkipInterpolation, SkipConsensus: d.SkipConsensus,
	}}
}

func (u UpstreamFile) endpoint(path string, r *report) upstreams.Endpoint {
	if err := checkURL(u.Endpoint, "http", "https"); err != nil {
		r.fail(path+".endpoint", "%s", err)
	}
	checkRules(u.Failsafe, path+".failsafe", r)
	e := upstreams.Endpoint{ID: u.ID, URL: u.Endpoint}
	checkWebSocket(path, u.Websocket, r)
	e.WebSocketURL = u.Websocket
	e.Budget = u.RateLimitBudget
	u.choose(&e, path, r)
	return e
}

// checkURL says what is wrong with a URL. Its errors never show it.
func checkURL(s secret.String, schemes ...string) error {
	begin := strings.Join(schemes, ":// or ") + "://"
	if s.IsEmpty() {
		return errors.New("is needed, as a URL that begins with " + begin)
	}
	u, err := url.Parse(s.Reveal())
	if err != nil {
		return errors.New("cannot be read as a URL")
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme && u.Host != "" {
			return nil
		}
	}
	return errors.New("must be a URL that begins with " + begin)
}
