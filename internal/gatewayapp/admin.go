package gatewayapp

import (
	"encoding/json"
	"net/http"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// adminHandler serves the operator's port: metrics, probes, and
// GET /upstreams, which tells in which order the nodes are asked, and why. With
// ?method= and ?params= (a JSON array) it tells so for that call; ?project= and
// ?network= (such as evm:1) choose one network of several.
func (a *App) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", telemetry.NewAdminHandler(withERPCNames(a.factory.Gatherer()), a.readiness()...))
	mux.HandleFunc("GET /upstreams", a.serveStandings)
	return mux
}

// standings is the order of one network's nodes.
type standings struct {
	Project   string               `json:"project"`
	Network   string               `json:"network"`
	Upstreams []upstreams.Standing `json:"upstreams"`
}

func (a *App) serveStandings(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	method, params := query.Get("method"), []byte(query.Get("params"))
	if method == "" {
		method = "eth_call"
	}
	if len(params) > 0 && !jsonrpc.Valid(params) {
		http.Error(w, "params: must be a JSON array", http.StatusBadRequest)
		return
	}
	out := []standings{}
	for _, n := range a.site.Load().networks {
		if isMeant(query.Get("project"), n.project) && isMeant(query.Get("network"), n.cfg.name()) {
			out = append(out, standings{n.project, n.cfg.name(), n.pool.Explain(method, params)})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	body := json.NewEncoder(w)
	body.SetIndent("", "  ")
	_ = body.Encode(out) // a client that went away is nobody's error
}

// isMeant says whether a filter lets a name through.
func isMeant(filter, name string) bool { return filter == "" || filter == name }
