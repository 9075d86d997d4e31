package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/subscriptions"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// Pool is what the stages need of the nodes of a network.
type Pool interface {
	Do(ctx context.Context, req upstreams.Request) (upstreams.Reply, error)
	DoBatch(ctx context.Context, reqs []upstreams.Request) []upstreams.BatchReply
	Identity() upstreams.Identity
}

// NetworkConfig is the configuration of one network as clients see it.
type NetworkConfig struct {
	// Alias is another name of the network in paths; empty has none.
	Alias string
	// RateLimitBudget is the budget of all calls to the network; empty for none.
	RateLimitBudget string
	// Directives hold for every call that does not say otherwise.
	Directives Directives
	// LatestMaxAge is how old the known newest block may be that is written in
	// place of "latest" where blocks are final at once; 0 leaves "latest" as it is.
	LatestMaxAge time.Duration
	// OwnCache keeps the answers apart from those of other projects.
	OwnCache bool
	// Policies say what is kept; none keeps what cannot change.
	Policies []cache.Policy
	// ChainID is the configured chain id; 0 takes that of the first node reached.
	ChainID uint64
	// Search bounds searches over many blocks and says how they are split; the
	// zero value is DefaultSearch.
	Search Search
	// Static are answers that are fixed.
	Static []StaticResponse
}

// NetworkDeps is what a Network works with.
type NetworkDeps struct {
	Pool      Pool
	Tracker   *chain.Tracker
	Catalogue *methods.Catalogue
	// Store keeps answers; nil keeps none.
	Store cache.Store
	// Limiter counts requests against budgets; nil limits nothing.
	Limiter Limiter
	// Hub serves subscriptions; nil serves none.
	Hub *subscriptions.Hub
	// Health tells the state of the network and its nodes.
	Health  func() NetworkHealth
	Factory telemetry.Factory
	Log     *slog.Logger
	// Name is the network in metrics, such as "evm:31337".
	Name string
}

// Network is one network of a project: the way its calls take. It holds no
// goroutines of its own.
type Network struct {
	cfg      NetworkConfig
	project  string
	name     string
	pool     Pool
	hub      *subscriptions.Hub
	tracker  *chain.Tracker
	pipeline pipeline
	keep     func(context.Context, *Call, *Result)
	record   *recordStage
	metrics  *metrics
	health   func() NetworkHealth
}

func newNetwork(cfg Config, project ProjectConfig, net NetworkConfig, deps NetworkDeps) (*Network, error) {
	admit, err := newAdmitStage(deps.Catalogue, project)
	if err != nil {
		return nil, err
	}
	m := newMetrics(deps.Factory, project.ID, deps.Name, deps.Catalogue.Len())
	all := stages{
		record:   &recordStage{metrics: m, log: deps.Log},
		admit:    admit,
		limit:    &limitStage{limiter: deps.Limiter, budgets: [2]string{project.RateLimitBudget, net.RateLimitBudget}, network: deps.Name},
		static:   newStaticStage(net.Static),
		own:      newOwnStage(deps.Pool, cfg.Version),
		describe: newDescribeStage(project, net, deps),
		split:    newSplitStage(net.Search, deps.Tracker, m),
		coalesce: newCoalesceStage(cfg.RequestTimeout, m),
		forward:  &forwardStage{pool: deps.Pool},
	}
	n := &Network{
		cfg: net, project: project.ID, name: deps.Name, pool: deps.Pool, hub: deps.Hub, tracker: deps.Tracker, record: all.record, metrics: m, health: deps.Health,
		keep: func(context.Context, *Call, *Result) {},
	}
	if deps.Store != nil {
		stage := newCacheStage(project, net, deps)
		all.cache, n.keep = stage, stage.keep
	}
	n.pipeline = newPipeline(all)
	return n, nil
}

// chainID is the chain the network serves; 0 while it is not known.
func (n *Network) chainID() uint64 {
	if n.cfg.ChainID != 0 {
		return n.cfg.ChainID
	}
	return n.pool.Identity().ChainID
}

// ProjectConfig is the configuration of one project.
type ProjectConfig struct {
	// ID is the first part of the request path.
	ID string
	// CORS says which web pages may read the answers.
	CORS CORS
	// ClientDirectives chooses the directives that clients may set, by their names
	// in the query, such as retry-empty.
	ClientDirectives methods.Pattern
	// AllowMethods and IgnoreMethods are patterns of methods: what is allowed wins
	// over what is ignored, and allowing something without ignoring anything
	// ignores the rest.
	AllowMethods, IgnoreMethods []string
	// ForwardHeaders are header fields of clients that go on to the nodes. The
	// answers to requests whose fields differ are neither joined nor kept as one.
	ForwardHeaders []string
	// RateLimitBudget is the budget of all calls to the project; empty for none.
	RateLimitBudget string
	// DeniedNamespaces lists the method namespaces that are not forwarded, unless
	// AllowMethods names them.
	DeniedNamespaces []string
}

// DefaultProject is the project that needs no change.
func DefaultProject() ProjectConfig {
	return ProjectConfig{ID: "main", CORS: DefaultCORS(), ClientDirectives: methods.AnyMethod(), DeniedNamespaces: methods.OperatorNamespaces()}
}

// Validate reports everything that is wrong.
func (c ProjectConfig) Validate() error {
	_, filterErr := auth.NewMethodFilter(c.AllowMethods, c.IgnoreMethods)
	err := errors.Join(c.CORS.Validate(), filterErr)
	for _, name := range c.ForwardHeaders {
		if wrong := CheckForwardedHeader(name); wrong != nil {
			err = errors.Join(err, fmt.Errorf("forwarded header %q: %w", name, wrong))
		}
	}
	if !isPathSegment(c.ID) {
		err = errors.Join(errors.New("id: must be made of letters, digits, '-', '_' and '.'"), err)
	}
	if isReserved(c.ID) {
		err = errors.Join(errors.New("id: admin, livez, readyz and healthcheck are paths of the gateway's own"), err)
	}
	return err
}

// Validate reports everything that is wrong.
func (c NetworkConfig) Validate() error {
	var errs []error
	if c.Alias != "" && !isPathSegment(c.Alias) {
		errs = append(errs, errors.New("alias: must be made of letters, digits, '-', '_' and '.'"))
	}
	if c.LatestMaxAge < 0 {
		errs = append(errs, errors.New("latest max age: must not be negative"))
	}
	for _, r := range c.Static {
		errs = append(errs, r.validate())
	}
	return errors.Join(append(errs, c.Search.Validate())...)
}

// DefaultLatestMaxAge is shorter than any block time in use, and long enough
// that a busy gateway asks for the newest block a few times a second at most.
const DefaultLatestMaxAge = 200 * time.Millisecond

// project is a ProjectConfig made ready.
type project struct {
	id         string
	cors       *cors
	networks   []*Network
	directives directiveReader
	forward    forwarder
	auth       Authenticator // nil lets everybody in
}

// NetworkHealth is the state of one network.
type NetworkHealth struct {
	Status    string           `json:"status"` // "ok" or "unavailable"
	Alias     string           `json:"alias,omitempty"`
	ChainID   uint64           `json:"chainId"`
	Latest    uint64           `json:"latestBlock"`
	Finalized *uint64          `json:"finalizedBlock"` // null while none is known
	Finality  string           `json:"finality"`
	Upstreams []UpstreamHealth `json:"upstreams,omitempty"`
}

// UpstreamHealth is the state of one node.
type UpstreamHealth struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Healthy bool   `json:"healthy"`
	Latest  uint64 `json:"latestBlock"`
}
