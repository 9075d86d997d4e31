package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Deps is what a Gateway works with.
type Deps struct {
	// Ready answers /readyz.
	Ready http.Handler
	// Admin is the endpoint of operators; nil has none.
	Admin *Admin
	// Sockets keeps WebSocket connections; nil takes none.
	Sockets *Sockets
	// Factory and Log count and tell what goes wrong in the front itself.
	Factory telemetry.Factory
	Log     *slog.Logger
	// Tracer records traces; nil records none.
	Tracer *telemetry.Tracer
}

// Project is one of the projects that a Gateway serves.
type Project struct {
	ProjectConfig
	// Auth says who the clients are; nil lets everybody in.
	Auth     Authenticator
	Networks []NetworkParts
}

// NetworkParts is what a Network is made of.
type NetworkParts struct {
	NetworkConfig
	NetworkDeps
}

// Gateway serves JSON-RPC over HTTP. It holds no goroutines of its own. It
// never changes: a new configuration makes a new one.
type Gateway struct {
	cfg     Config
	routes  routes
	ready   http.Handler
	proxies proxies
	admin   *adminPage
	sockets *Sockets
	tracer  *telemetry.Tracer
	log     *slog.Logger
	panics  panicCounter

	buffers   sync.Pool // of *[]byte
	inflaters inflaters
	deflaters deflaters
	origin    originTeller
	extra     http.Header // added to every answer; its values are shared
	// Header values shared by all answers, never changed.
	jsonType, varyOnCoding, varyOnBoth []string
}

// New checks the configuration and makes the gateway.
func New(cfg Config, projects []Project, deps Deps) (*Gateway, error) {
	h := &Gateway{
		cfg: cfg, ready: deps.Ready, sockets: deps.Sockets, routes: routes{aliases: cfg.Aliases}, proxies: newProxies(cfg.Trusted), admin: newAdminPage(deps.Admin),
		tracer: deps.Tracer, log: deps.Log, panics: newPanics(deps.Factory),
		buffers:  sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }},
		jsonType: []string{"application/json"}, origin: newOriginTeller(cfg.ExecutionHeaders, cfg.Version),
		varyOnCoding: []string{"Accept-Encoding"}, varyOnBoth: []string{"Origin, Accept-Encoding"}, extra: answerHeader(cfg.ResponseHeaders),
	}
	errs := []error{cfg.Validate()}
	for _, from := range projects {
		if err := from.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("project %q: %w", from.ID, err))
		}
		p := &project{id: from.ID, auth: from.Auth, cors: newCORS(from.CORS), directives: newDirectiveReader(from.ClientDirectives), forward: newForwarder(from.ForwardHeaders)}
		for _, parts := range from.Networks {
			if err := parts.Validate(); err != nil {
				errs = append(errs, fmt.Errorf("project %q: %w", from.ID, err))
			}
			n, err := newNetwork(cfg, from.ProjectConfig, parts.NetworkConfig, parts.NetworkDeps)
			if err != nil {
				errs = append(errs, fmt.Errorf("project %q: %w", from.ID, err))
				continue
			}
			p.networks = append(p.networks, n)
		}
		h.routes.projects = append(h.routes.projects, p)
	}
	return h, errors.Join(append(errs, h.routes.validate())...)
}

// ServeHTTP implements http.Handler.
func (h *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{w: w, r: r}
	defer h.recovered(r.Context(), x)
	if len(h.extra) > 0 {
		maps.Copy(w.Header(), h.extra)
	}
	if h.serveProbe(x) {
		return
	}
	if h.admin != nil && r.URL.Path == AdminPath {
		h.ServeAdmin(w, r)
		return
	}
	path := r.URL.Path
	if r.Method != http.MethodPost {
		path = strings.TrimSuffix(strings.TrimRight(path, "/"), "healthcheck")
	}
	p, n, problem := h.routes.find(r.Host, path)
	x.network = n
	isPageAllowed := p != nil && p.cors.allow(w.Header(), r)
	switch r.Method {
	case http.MethodPost:
		x.begin(h.tracer)
		x.isDetailed = h.tracer.IsDetailed()
		defer x.end()
		if problem != nil {
			h.writeError(x, http.StatusNotFound, nil, problem)
			return
		}
		var err error
		if x.client, err = h.authenticate(r.Context(), p, r); err != nil {
			h.writeRefusal(x, err)
			return
		}
		h.serveRPC(r.Context(), x, p)
	case http.MethodGet, http.MethodHead:
		if h.sockets != nil && isUpgrade(r) {
			h.serveSocket(r.Context(), x, p, problem)
			return
		}
		h.serveHealth(x, p, problem)
	case http.MethodOptions:
		h.corsOf(p).serveOptions(w, isPageAllowed)
	default:
		w.Header().Set("Allow", allowedMethods)
		h.writeError(x, http.StatusMethodNotAllowed, nil, jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "invalid request: JSON-RPC needs HTTP method POST"))
	}
}

// corsOf is a project's; a path that names none has one that lets nobody in.
func (h *Gateway) corsOf(p *project) *cors {
	if p == nil {
		return newCORS(CORS{})
	}
	return p.cors
}

func (h *Gateway) serveRPC(ctx context.Context, x *exchange, p *project) {
	buffer := h.take()
	defer h.give(buffer)
	body, unread := h.readBody(x.r, (*buffer)[:0])
	*buffer = body
	if unread != nil {
		if unread.status == http.StatusUnsupportedMediaType {
			x.w.Header().Set("Accept-Encoding", h.acceptedCodings())
		}
		h.writeError(x, unread.status, nil, unread.wire)
		return
	}
	if x.network == nil {
		var problem *jsonrpc.Error
		if x.network, problem = p.networkID(body); problem != nil {
			h.writeError(x, http.StatusNotFound, nil, problem)
			return
		}
	}
	x.directives = x.network.cfg.Directives
	p.directives.read(&x.directives, x.r)
	x.takeForwarded(p, x.r)
	if jsonrpc.IsBatch(body) {
		h.serveBatch(ctx, x, body)
		return
	}
	request, invalid := jsonrpc.ScanRequest(body)
	if invalid != nil {
		h.writeError(x, http.StatusBadRequest, request.ID, invalid)
		return
	}
	x.call = x.newCall(request)
	result, err := x.network.pipeline.whole(ctx, &x.call)
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
