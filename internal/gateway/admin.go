package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// AdminPath is where operators ask, with POST and JSON-RPC. No project may have
// this name.
const AdminPath = "/admin"

// AdminMethod answers one method of the admin endpoint. Its result is encoded as
// JSON. An error that is a *jsonrpc.Error reaches the operator as it is, any
// other as an internal error.
type AdminMethod func(ctx context.Context, params json.RawMessage) (any, error)

// Admin is the endpoint of operators.
type Admin struct {
	// Auth says who they are; it is needed.
	Auth Authenticator
	// CORS says which web pages may ask.
	CORS CORS
	// Permits says which methods may be called; nil permits all.
	Permits func(method string) bool
	// Methods by name.
	Methods map[string]AdminMethod
}

// adminPage is an Admin made ready.
type adminPage struct {
	Admin

	cors *cors
}

func newAdminPage(a *Admin) *adminPage {
	if a == nil {
		return nil
	}
	return &adminPage{Admin: *a, cors: newCORS(a.CORS)}
}

// ServeAdmin answers what is asked at AdminPath, on whichever port.
func (h *Gateway) ServeAdmin(w http.ResponseWriter, r *http.Request) {
	x := &exchange{w: w, r: r}
	if h.admin == nil {
		h.writeError(x, http.StatusNotFound, nil, jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "the admin endpoint is off: configure admin.auth"))
		return
	}
	isPageAllowed := h.admin.cors.allow(w.Header(), r)
	switch r.Method {
	case http.MethodOptions:
		h.admin.cors.serveOptions(w, isPageAllowed)
	case http.MethodPost:
		x.begin(nil)
		h.serveAdminRPC(r.Context(), x)
	default:
		w.Header().Set("Allow", "OPTIONS, POST")
		h.writeError(x, http.StatusMethodNotAllowed, nil, jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "invalid request: the admin endpoint needs HTTP method POST"))
	}
}

func (h *Gateway) serveAdminRPC(ctx context.Context, x *exchange) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.RequestTimeout, errRequestTimeout)
	defer cancel()
	principal, err := h.admin.Auth.Authenticate(ctx, auth.ReadCredentials(x.r, h.proxies.client(x.r)))
	if err != nil {
		h.writeRefusal(x, err)
		return
	}
	body, unread := h.readBody(x.r, nil)
	if unread != nil {
		h.writeError(x, unread.status, nil, unread.wire)
		return
	}
	if !jsonrpc.IsBatch(body) {
		answer, status := h.admin.answer(ctx, principal, body)
		h.send(x, status, answer)
		return
	}
	texts, problem := jsonrpc.ScanBatch(body, h.cfg.MaxBatch)
	if problem != nil {
		h.writeError(x, http.StatusBadRequest, nil, problem)
		return
	}
	out := []byte{'['}
	for i, text := range texts {
		if i > 0 {
			out = append(out, ',')
		}
		answer, _ := h.admin.answer(ctx, principal, text)
		out = append(out, answer...)
	}
	h.send(x, http.StatusOK, append(out, ']'))
}

// answer is the answer to one request, and the HTTP status for it alone.
func (a *adminPage) answer(ctx context.Context, principal *auth.Principal, text []byte) ([]byte, int) {
	request, invalid := jsonrpc.ScanRequest(text)
	if invalid != nil {
		return jsonrpc.AppendError(nil, request.ID, invalid), http.StatusBadRequest
	}
	result, err := a.call(ctx, principal, request)
	if err != nil {
		wire, status, _ := toWire(err)
		return jsonrpc.AppendError(nil, request.ID, wire), status
	}
	return jsonrpc.AppendResult(nil, request.ID, result), http.StatusOK
}

func (a *adminPage) call(ctx context.Context, principal *auth.Principal, request jsonrpc.Request) ([]byte, error) {
	method, ok := a.Methods[request.Method]
	switch {
	case !ok:
		return nil, &DeniedError{Reason: "the admin endpoint has no such method"}
	case a.Permits != nil && !a.Permits(request.Method) || !principal.Permits(request.Method):
		return nil, &DeniedError{Reason: "these credentials do not permit it"}
	}
	result, err := method(ctx, json.RawMessage(request.Params))
	if err != nil {
		return nil, err
	}
	return json.Marshal(result)
}

// isReserved says whether a project's name would hide a path of the gateway's own.
func isReserved(id string) bool {
	return "/"+id == AdminPath || strings.EqualFold(id, "livez") || strings.EqualFold(id, "readyz") || strings.EqualFold(id, "healthcheck")
}
