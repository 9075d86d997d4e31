package gatewayapp

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/buildinfo"
	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/ratelimit"
	"github.com/slipwayhq/slipway/internal/sharedstate"
	"github.com/slipwayhq/slipway/internal/subscriptions"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/tlsfiles"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// Config is the configuration of the gateway.
type Config struct {
	// Listen is the address for clients, host:port.
	Listen string
	// AdminListen is the address for metrics, probes and operators, host:port.
	AdminListen string
	// TLS serves clients with TLS; nil without.
	TLS *tlsfiles.Config
	// AdminTLS serves operators with TLS; nil without.
	AdminTLS *tlsfiles.Config
	// Tracing says where traces go; nil records none.
	Tracing *telemetry.TracingConfig
	// Front configures the HTTP front: limits, coding, host aliases.
	Front gateway.Config
	// Projects are what is served; at least one.
	Projects []ProjectConfig
	// Admin configures the endpoint of operators.
	Admin AdminConfig
	// Document is the configuration as operators are shown it, without secrets.
	Document string
	// Sockets bounds the WebSocket connections of clients.
	Sockets gateway.SocketConfig
	// Subscriptions configures what each network's subscribers share.
	Subscriptions subscriptions.Config
	// Cache configures what keeps answers that can no longer change.
	Cache CacheConfig
	// RateLimits are the budgets of requests, and where they are counted.
	RateLimits ratelimit.Config
	// SharedState says what this gateway tells others, and where.
	SharedState sharedstate.Config
	// ReadTimeout bounds the time in which a client sends a request, header and body.
	ReadTimeout time.Duration
	// WaitBeforeShutdown is how long the gateway still takes requests after it
	// was told to stop, so that load balancers see /readyz fail first.
	WaitBeforeShutdown time.Duration
	// DrainTimeout is how long requests in flight may take after that.
	DrainTimeout time.Duration
}

// ProjectConfig configures one project.
type ProjectConfig struct {
	gateway.ProjectConfig

	// Auth says how the project's clients are known; without strategies everybody
	// is let in.
	Auth auth.Config
	// Networks are the project's networks; at least one.
	Networks []NetworkConfig
}

// AdminConfig configures the endpoint of operators, which is off without Auth.
type AdminConfig struct {
	// Auth says how operators are known; without strategies the endpoint is off.
	Auth auth.Config
	// CORS says which web pages may ask.
	CORS gateway.CORS
	// AllowMethods and DenyMethods are patterns of admin methods.
	AllowMethods, DenyMethods []string
}

// NetworkConfig configures one network of a project.
type NetworkConfig struct {
	// Alias is another name of the network in paths; empty has none.
	Alias string
	// RateLimitBudget is the budget of all requests to the network; empty for none.
	RateLimitBudget string
	// Directives hold for every call that does not say otherwise.
	Directives gateway.Directives
	// Search bounds searches over many blocks and says how they are split; the
	// zero value is the default.
	Search gateway.Search
	// Static are answers that are fixed.
	Static []gateway.StaticResponse
	// LatestMaxAge is as in gateway.NetworkConfig.
	LatestMaxAge time.Duration
	// Methods are what the operator knows of methods, beside the gateway's own table.
	Methods []methods.Definition
	// Pool configures the nodes and how they are asked.
	Pool upstreams.Config
}

// CacheConfig configures the stores, and what is kept in them.
type CacheConfig struct {
	// MemoryBytes is the size of the store in memory; 0 keeps nothing there.
	MemoryBytes int64
	// Redis configures the store in Redis; without an address none is used.
	Redis cache.RedisConfig
	// Policies say what is kept; none keeps what cannot change.
	Policies []cache.Policy
	// OwnPerProject keeps the answers of the projects apart.
	OwnPerProject bool
}

// validate reports everything that is wrong.
func (c CacheConfig) validate() error {
	var errs []error
	if c.MemoryBytes < 0 {
		errs = append(errs, errors.New("cache memory: must not be negative"))
	}
	if c.Redis.Conn.IsSet() {
		if err := c.Redis.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("cache: %w", err))
		}
	}
	for i, p := range c.Policies {
		if err := p.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("cache policy %d: %w", i+1, err))
		}
	}
	return errors.Join(errs...)
}

// Default is the configuration without its upstreams.
func Default() Config {
	front := gateway.Default()
	front.Version = buildinfo.Version()
	return Config{
		Listen:        ":4000",
		AdminListen:   ":4001",
		Front:         front,
		Projects:      []ProjectConfig{{ProjectConfig: gateway.DefaultProject(), Networks: []NetworkConfig{DefaultNetwork()}}},
		ReadTimeout:   30 * time.Second,
		Sockets:       gateway.DefaultSockets(),
		Subscriptions: subscriptions.Default(),
		Cache:         CacheConfig{MemoryBytes: 128 << 20, Redis: cache.DefaultRedis()},
		// A pod has 30 seconds by default from the signal to the kill.
		DrainTimeout: 20 * time.Second,
	}
}

// DefaultNetwork is the configuration of a network without its nodes.
func DefaultNetwork() NetworkConfig {
	return NetworkConfig{LatestMaxAge: gateway.DefaultLatestMaxAge, Pool: upstreams.Default()}
}

// Pool is the configuration of the nodes of a gateway with one network: that of
// the first project's first one.
func (c Config) Pool() *upstreams.Config { return &c.Projects[0].Networks[0].Pool }

// Validate reports everything that is wrong with the single settings. How they
// fit together, such as an alias and its project, New tells.
func (c Config) Validate() error {
	errs := []error{
		checkAddress("listen", c.Listen),
		checkAddress("admin listen", c.AdminListen),
		c.Admin.Auth.Validate(),
		c.Admin.CORS.Validate(),
		checkTLS("TLS", c.TLS),
		checkTLS("admin TLS", c.AdminTLS),
		checkTracing(c.Tracing),
		c.Front.Validate(),
		c.RateLimits.Validate(),
		c.SharedState.Validate(),
		c.Sockets.Validate(),
		c.Subscriptions.Validate(),
	}
	for _, p := range c.Projects {
		if err := p.validate(); err != nil {
			errs = append(errs, fmt.Errorf("project %q: %w", p.ID, err))
		}
	}
	errs = append(errs, c.Cache.validate())
	if c.ReadTimeout <= 0 {
		errs = append(errs, errors.New("read timeout: must be more than zero"))
	}
	if c.WaitBeforeShutdown < 0 || c.DrainTimeout < 0 {
		errs = append(errs, errors.New("times of the shutdown: must not be negative"))
	}
	return errors.Join(errs...)
}

func (c ProjectConfig) validate() error {
	errs := []error{c.Validate(), c.Auth.Validate()}
	for _, n := range c.Networks {
		errs = append(errs, n.front().Validate(), n.Pool.Validate())
	}
	return errors.Join(errs...)
}

func checkAddress(name, address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("%s: %q is not host:port", name, address)
	}
	return nil
}

func checkTLS(name string, files *tlsfiles.Config) error {
	if files == nil {
		return nil
	}
	if err := files.Validate(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func checkTracing(cfg *telemetry.TracingConfig) error {
	if cfg == nil {
		return nil
	}
	return cfg.Validate()
}

// name is the network in metrics and messages.
func (c NetworkConfig) name() string {
	if c.Pool.ChainID == 0 {
		return "evm"
	}
	return "evm:" + strconv.FormatUint(c.Pool.ChainID, 10)
}

// front is what the HTTP front must know of the network.
func (c NetworkConfig) front() gateway.NetworkConfig {
	return gateway.NetworkConfig{Alias: c.Alias, ChainID: c.Pool.ChainID, Directives: c.Directives, RateLimitBudget: c.RateLimitBudget, LatestMaxAge: c.LatestMaxAge, Search: c.Search, Static: c.Static}
}
