package gatewayapp

import (
	"encoding/json"
	"net/http"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// adminHandler serves the operator's port: metrics, probes, and
// GET /upstreams, which tells in which order the nodes are asked, and why. With
// ?method= and ?params= (a JSON array) it tells so for that call.
func (a *App) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", telemetry.NewAdminHandler(withERPCNames(a.factory.Gatherer()), a.readiness()...))
	mux.HandleFunc("GET /upstreams", a.serveStandings)
	return mux
}

func (a *App) serveStandings(w http.ResponseWriter, r *http.Request) {
	method, params := r.URL.Query().Get("method"), []byte(r.URL.Query().Get("params"))
	if method == "" {
		method = "eth_call"
	}
	if len(params) > 0 && !jsonrpc.Valid(params) {
		http.Error(w, "params: must be a JSON array", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	body := json.NewEncoder(w)
	body.SetIndent("", "  ")
	_ = body.Encode(a.pool.Explain(method, params)) // a client that went away is nobody's error
}
