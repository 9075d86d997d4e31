package gateway

import (
	"encoding/json"
	"net/http"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// HealthMode says how much GET tells of the state of the networks.
type HealthMode string

// The modes, named as eRPC's.
const (
	// HealthSimple is one word for everything.
	HealthSimple HealthMode = "simple"
	// HealthNetworks is that and the state of each network.
	HealthNetworks HealthMode = "networks"
	// HealthVerbose is that and the state of each node.
	HealthVerbose HealthMode = "verbose"
)

func (m HealthMode) isKnown() bool {
	return m == HealthSimple || m == HealthNetworks || m == HealthVerbose
}

const (
	healthy   = "ok"
	unhealthy = "unavailable"
)

// Health is the answer to a health question.
type Health struct {
	// Status is "ok" when every network asked about can be used, else "unavailable".
	Status   string          `json:"status"`
	Projects []ProjectHealth `json:"projects,omitempty"`
}

// ProjectHealth is the state of one project's networks.
type ProjectHealth struct {
	ID       string          `json:"id"`
	Networks []NetworkHealth `json:"networks"`
}

// serveProbe answers /livez and /readyz.
func (h *Gateway) serveProbe(x *exchange) bool {
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		return false
	}
	switch x.r.URL.Path {
	case "/livez":
		h.send(x, http.StatusOK, []byte(`{"status":"ok"}`))
	case "/readyz":
		h.ready.ServeHTTP(x.w, x.r)
	default:
		return false
	}
	return true
}

// serveHealth answers GET with the health of what the path names: a network, a
// project, or at the root everything. Status 503 says that some network of
// them cannot be used.
func (h *Gateway) serveHealth(x *exchange, p *project, problem *jsonrpc.Error) {
	projects := h.routes.projects
	switch {
	case problem != nil && x.r.URL.Path != "/" && x.r.URL.Path != "/healthcheck":
		h.writeError(x, http.StatusNotFound, nil, problem)
		return
	case p != nil:
		projects = []*project{p}
	}
	health := healthOf(h.cfg.Health, projects, x.network)
	status := http.StatusOK
	if health.Status != healthy {
		status = http.StatusServiceUnavailable
	}
	text, err := json.Marshal(health)
	if err != nil {
		http.Error(x.w, "internal error", http.StatusInternalServerError)
		return
	}
	h.send(x, status, text)
}

// healthOf is the state of some projects, or of one network of theirs.
func healthOf(mode HealthMode, projects []*project, only *Network) Health {
	out := Health{Status: healthy}
	for _, p := range projects {
		of := ProjectHealth{ID: p.id}
		for _, n := range p.networks {
			if only != nil && n != only {
				continue
			}
			state := n.health()
			if state.Status != healthy {
				out.Status = unhealthy
			}
			if mode != HealthVerbose {
				state.Upstreams = nil
			}
			of.Networks = append(of.Networks, state)
		}
		out.Projects = append(out.Projects, of)
	}
	if mode == HealthSimple {
		out.Projects = nil
	}
	return out
}
