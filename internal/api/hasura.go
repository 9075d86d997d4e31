package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/admission"
)

// hasuraRoute is where Hasura's actions lead.
const hasuraRoute = "/hasura/actions/:name"

// hasuraHeader carries the secret that Hasura and the signer share.
const hasuraHeader = "X-Slipway-Action-Secret"

// hasuraPayload is what Hasura sends to the handler of an action. There may be
// more in it in other versions.
type hasuraPayload struct {
	Action struct {
		Name string `json:"name"`
	} `json:"action"`
	Input json.RawMessage `json:"input"`
	// SessionVariables have names in lower case, such as x-hasura-role.
	SessionVariables map[string]string `json:"session_variables"` //nolint:tagliatelle // Hasura's name
	RequestQuery     string            `json:"request_query"`     //nolint:tagliatelle // Hasura's name
}

// hasuraError is what Hasura shows its client as a GraphQL error.
type hasuraError struct {
	Message    string           `json:"message"`
	Extensions hasuraExtensions `json:"extensions"`
}

type hasuraExtensions struct {
	Code string `json:"code"`
}

// hasuraHandler runs one action on behalf of a tenant.
type hasuraHandler func(s *server, ctx context.Context, tenant string, input json.RawMessage) (any, error)

// hasuraActions are the handlers by the names in deploy/hasura/actions.yaml.
func hasuraActions() map[string]hasuraHandler {
	return map[string]hasuraHandler{
		"sendTransaction":   (*server).hasuraSend,
		"createWallet":      (*server).hasuraCreateWallet,
		"transaction":       (*server).hasuraTransaction,
		"cancelTransaction": (*server).hasuraCancel,
	}
}

// errHasuraSecret says that a request does not come from Hasura.
var errHasuraSecret = errors.New("the action secret is missing or wrong")

// hasuraAction answers POST /hasura/actions/{name}.
func (s *server) hasuraAction(c echo.Context) error {
	out, err := s.runHasuraAction(c)
	if err != nil {
		return s.writeHasuraError(c, err)
	}
	return respond(c, http.StatusOK, out)
}

func (s *server) runHasuraAction(c echo.Context) (any, error) {
	if !s.isFromHasura(c.Request().Header.Get(hasuraHeader)) {
		return nil, errHasuraSecret
	}
	body, err := readBody(c)
	if err != nil {
		return nil, err
	}
	var payload hasuraPayload
	if err := json.Unmarshal(body, &payload); err != nil {
		return nil, invalid("the body is no payload of a Hasura action")
	}
	handle, isKnown := hasuraActions()[c.Param("name")]
	switch {
	case !isKnown:
		return nil, echo.ErrNotFound
	case payload.Action.Name != c.Param("name"):
		return nil, invalid("the action of the payload is not the one of the path")
	case len(payload.Input) == 0:
		return nil, invalid("the payload has no input")
	}
	if err := s.permitAction(c.Request().Context(), payload.Action.Name); err != nil {
		return nil, err
	}
	return handle(s, c.Request().Context(), tenantOf(c), payload.Input)
}

// permitAction says whether the caller, which is Hasura, may run an action: it
// needs the role that the same request needs in REST.
func (s *server) permitAction(ctx context.Context, name string) error {
	caller, ok := access.From(ctx)
	if !ok {
		return admission.ErrNoCaller
	}
	roles := []access.Role{access.RoleSubmit, access.RoleOperate}
	switch name {
	case "transaction":
		roles = []access.Role{access.RoleRead}
	case "createWallet":
		roles = managingWallets()
	case "sendTransaction":
		roles = []access.Role{access.RoleSubmit}
	}
	return s.require(ctx, caller, "hasura "+name, roles)
}

// isFromHasura compares in constant time. Without a secret only a signer that is
// local anyhow takes actions.
func (s *server) isFromHasura(given string) bool {
	if s.cfg.HasuraSecret.IsEmpty() {
		return s.localOnly
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.cfg.HasuraSecret.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// writeHasuraError answers in the shape that Hasura passes on. It does so for
// 4xx only: other failures would reach the client as "internal error".
func (s *server) writeHasuraError(c echo.Context, err error) error {
	status, out := hasuraErrorOf(err)
	if status >= http.StatusInternalServerError {
		ctx := c.Request().Context()
		s.log.LogAttrs(ctx, failureLevel(ctx), "action failed", slog.String("action", c.Param("name")), slog.Any("err", err))
		status = http.StatusBadRequest
	}
	return respond(c, status, out)
}

func hasuraErrorOf(err error) (int, hasuraError) {
	if errors.Is(err, errHasuraSecret) {
		return http.StatusUnauthorized, hasuraError{Message: err.Error(), Extensions: hasuraExtensions{"unauthorized"}}
	}
	p := problemFor(err)
	message := p.Title
	if p.Detail != "" {
		message += ": " + p.Detail
	}
	return p.Status, hasuraError{Message: message, Extensions: hasuraExtensions{p.Code}}
}
