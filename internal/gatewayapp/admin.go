package gatewayapp

import (
	"encoding/json"
	"net/http"

	dto "github.com/prometheus/client_model/go"

	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// adminHandler serves the operator's port: metrics, probes, and
// GET /upstreams, which tells in which order the nodes are asked, and why. With
// ?method= and ?params= (a JSON array) it tells so for that call; ?project= and
// ?network= (such as evm:1) choose one network of several. The admin endpoint,
// which asks who is there, is served here as well as on the clients' port.
func (a *App) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", telemetry.NewAdminHandler(withERPCNames(a.factory.Gatherer(), func(project, network, upstream string) string {
		return a.site.Load().vendor(project, network, upstream)
	},
		func() []*dto.MetricFamily { return a.site.Load().stateFamilies() }), a.readiness()...))
	mux.HandleFunc("GET /upstreams", a.serveStandings)
	mux.HandleFunc(gateway.AdminPath, func(w http.ResponseWriter, r *http.Request) { a.site.Load().front.ServeAdmin(w, r) })
	return mux
}

// standings is the order of one network's nodes.
type standings struct {
	Project string `json:"project"`
	Network string `json:"network"`
	// Finality is the rule by which blocks are final, and FinalitySource who decided
	// it: "configured", or the node that was asked and what it said.
	Finality       string               `json:"finality"`
	FinalitySource string               `json:"finalitySource"`
	Upstreams      []upstreams.Standing `json:"upstreams"`
}

func (a *App) serveStandings(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	method, params := query.Get("method"), []byte(query.Get("params"))
	if len(params) > 0 && !jsonrpc.Valid(params) {
		http.Error(w, "params: must be a JSON array", http.StatusBadRequest)
		return
	}
	networks, err := selection{Project: query.Get("project"), Network: query.Get("network")}.chosen(a.site.Load().networks)
	if err != nil {
		http.Error(w, "there is no such project or network", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	body := json.NewEncoder(w)
	body.SetIndent("", "  ")
	_ = body.Encode(explain(networks, method, params)) // a client that went away is nobody's error
}

// explain gives the order of the nodes of some networks for a call; without a
// method, for one of the most common.
func explain(networks []*network, method string, params []byte) []standings {
	if method == "" {
		method = "eth_call"
	}
	out := make([]standings, len(networks))
	for i, n := range networks {
		out[i] = standings{
			Project: n.project, Network: n.cfg.name(),
			Finality: n.pool.Finality().Mode.String(), FinalitySource: n.pool.FinalitySource(),
			Upstreams: n.pool.Explain(method, params),
		}
	}
	return out
}

// isMeant says whether a filter lets a name through.
func isMeant(filter, name string) bool { return filter == "" || filter == name }
