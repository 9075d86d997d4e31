package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Health is the answer to a health question.
type Health struct {
	Status    string           `json:"status"` // "ok" or "unavailable"
	Project   string           `json:"project"`
	ChainID   uint64           `json:"chainId"`
	Latest    uint64           `json:"latestBlock"`
	Finalized *uint64          `json:"finalizedBlock"` // null while none is known
	Finality  string           `json:"finality"`
	Upstreams []UpstreamHealth `json:"upstreams"`
}

// UpstreamHealth is the state of one node.
type UpstreamHealth struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Healthy bool   `json:"healthy"`
	Latest  uint64 `json:"latestBlock"`
}

// serveHealth answers GET: /livez and /readyz for probes, everything else with
// the health of the network, as does any path that ends in /healthcheck.
func (h *Gateway) serveHealth(x *exchange) {
	switch x.r.URL.Path {
	case "/livez":
		h.send(x, http.StatusOK, []byte(`{"status":"ok"}`))
		return
	case "/readyz":
		h.ready.ServeHTTP(x.w, x.r)
		return
	}
	if problem := h.checkPath(strings.TrimSuffix(strings.TrimRight(x.r.URL.Path, "/"), "healthcheck")); problem != nil {
		h.writeError(x, http.StatusNotFound, nil, problem)
		return
	}
	health := h.health()
	status := http.StatusOK
	if health.Status != "ok" {
		status = http.StatusServiceUnavailable
	}
	text, err := json.Marshal(health)
	if err != nil {
		http.Error(x.w, "internal error", http.StatusInternalServerError)
		return
	}
	h.send(x, status, text)
}
