package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Deps is what a Gateway works with.
type Deps struct {
	Network   Network
	Tracker   *chain.Tracker
	Catalogue *methods.Catalogue
	// Store keeps answers; nil keeps none.
	Store cache.Store
	// Health tells the state of the upstreams for the health answers.
	Health func() Health
	// Ready answers /readyz.
	Ready   http.Handler
	Factory telemetry.Factory
	Log     *slog.Logger
	// NetworkName is the network in metrics, such as "evm:31337".
	NetworkName string
}

// Gateway serves JSON-RPC over HTTP. It holds no goroutines of its own.
type Gateway struct {
	cfg      Config
	network  Network
	pipeline pipeline
	keep     func(context.Context, *Call, *Result)
	record   *recordStage
	metrics  *metrics
	health   func() Health
	ready    http.Handler
	log      *slog.Logger

	buffers   sync.Pool // of *[]byte
	inflaters inflaters
	deflaters deflaters
	cors      *cors
	origin    originTeller
	// Header values shared by all answers, never changed.
	jsonType, varyCoding []string
}

// New checks the configuration and makes the gateway.
func New(cfg Config, deps Deps) (*Gateway, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := newMetrics(deps.Factory, cfg.Project, deps.NetworkName, deps.Catalogue.Len())
	all := stages{
		record:   &recordStage{metrics: m, log: deps.Log},
		admit:    newAdmitStage(deps.Catalogue, cfg.DeniedNamespaces),
		own:      newOwnStage(deps.Network, cfg.Version),
		describe: &describeStage{catalogue: deps.Catalogue, tracker: deps.Tracker, network: deps.Network},
		coalesce: newCoalesceStage(cfg.RequestTimeout, m),
		forward:  &forwardStage{network: deps.Network},
	}
	h := &Gateway{
		cfg: cfg, network: deps.Network, record: all.record, metrics: m, health: deps.Health, ready: deps.Ready, log: deps.Log,
		keep:     func(context.Context, *Call, *Result) {},
		buffers:  sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }},
		jsonType: []string{"application/json"}, cors: newCORS(cfg.CORS), origin: newOriginTeller(cfg.ExecutionHeaders, cfg.Version),
	}
	h.varyCoding = []string{strings.Join(append(h.cors.vary, "Accept-Encoding"), ", ")}
	if deps.Store != nil {
		stage := &cacheStage{store: deps.Store, tracker: deps.Tracker}
		all.cache, h.keep = stage, stage.keep
	}
	h.pipeline = newPipeline(all)
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{w: w, r: r}
	isPageAllowed := h.cors.allow(w.Header(), r)
	switch r.Method {
	case http.MethodPost:
		x.begin()
		if problem := h.checkPath(r.URL.Path); problem != nil {
			h.writeError(x, http.StatusNotFound, nil, problem)
			return
		}
		h.serveRPC(r.Context(), x)
	case http.MethodGet, http.MethodHead:
		h.serveHealth(x)
	case http.MethodOptions:
		h.cors.serveOptions(w, isPageAllowed)
	default:
		w.Header().Set("Allow", allowedMethods)
		h.writeError(x, http.StatusMethodNotAllowed, nil, jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "invalid request: JSON-RPC needs HTTP method POST"))
	}
}

// checkPath accepts /, /<project>, /<project>/evm and /<project>/evm/<chain id>.
func (h *Gateway) checkPath(path string) *jsonrpc.Error {
	project, rest, _ := strings.Cut(strings.Trim(path, "/"), "/")
	if project == "" {
		return nil // the only project
	}
	if project != h.cfg.Project {
		return jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "there is no such project: paths are /"+h.cfg.Project+"/evm/<chain id>")
	}
	architecture, chainID, _ := strings.Cut(rest, "/")
	if architecture == "" || architecture == "evm" && chainID == "" {
		return nil // the only network
	}
	served := h.network.Identity().ChainID
	if id, err := strconv.ParseUint(chainID, 10, 64); architecture != "evm" || err != nil || served != 0 && id != served {
		return jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "there is no such network: this gateway serves /"+h.cfg.Project+"/evm/"+strconv.FormatUint(served, 10))
	}
	return nil
}

func (h *Gateway) serveRPC(ctx context.Context, x *exchange) {
	buffer := h.take()
	defer h.give(buffer)
	body, problem := h.readBody(x.r, (*buffer)[:0])
	*buffer = body
	if problem != nil {
		if problem.status == http.StatusUnsupportedMediaType {
			x.w.Header().Set("Accept-Encoding", h.acceptedCodings())
		}
		h.writeError(x, problem.status, nil, problem.wire)
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.RequestTimeout, errRequestTimeout)
	defer cancel()
	if jsonrpc.IsBatch(body) {
		h.serveBatch(ctx, x, body)
		return
	}
	request, invalid := jsonrpc.ScanRequest(body)
	if invalid != nil {
		h.writeError(x, http.StatusBadRequest, request.ID, invalid)
		return
	}
	x.call = newCall(request, &x.trace)
	result, err := h.pipeline.whole(ctx, &x.call)
	if request.IsNotification() {
		x.w.WriteHeader(http.StatusNoContent)
		return
	}
	h.origin.single(x, result)
	h.writeAnswer(x, request.ID, result, err)
}

func (h *Gateway) take() *[]byte {
	return h.buffers.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
}

// maxPooledBuffer keeps one huge request from holding its memory for ever.
const maxPooledBuffer = 1 << 20

func (h *Gateway) give(b *[]byte) {
	if cap(*b) <= maxPooledBuffer {
		h.buffers.Put(b)
	}
}
