package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/admission"
	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/secret"
)

// Access says who makes a request.
type Access interface {
	Authenticate(r *http.Request) (access.Caller, error)
	// Renew says whether a caller still is who it was: connections live longer than
	// keys and tokens.
	Renew(ctx context.Context, c access.Caller) error
}

// Gate decides about what is signed at once; about transactions that are accepted
// the queue asks it itself. It knows which sender is whose.
type Gate interface {
	Sign(ctx context.Context, asked policy.Request) error
	SignTransaction(ctx context.Context, r queue.Request) error
	DryRun(ctx context.Context, r queue.Request) (policy.Decision, error)
	Usable(ctx context.Context, tenant string, senders ...common.Address) ([]common.Address, error)
}

// CallerKeys are the keys of callers.
type CallerKeys interface {
	Create(ctx context.Context, n access.NewKey) (access.Key, secret.String, error)
	Get(ctx context.Context, tenant, id string) (access.Key, error)
	List(ctx context.Context, tenant string) ([]access.Key, error)
	Rotate(ctx context.Context, tenant, id string, overlap, lifetime time.Duration, by string) (access.Key, secret.String, error)
	Revoke(ctx context.Context, tenant, id string) error
}

// Approvals is where people agree to transactions.
type Approvals interface {
	Pending(ctx context.Context, tenant string, before int64, limit int) ([]queue.Pending, error)
	Vote(ctx context.Context, tenant string, id uuid.UUID, v queue.Vote) (queue.Transaction, error)
	Decision(ctx context.Context, tenant string, id uuid.UUID) (json.RawMessage, error)
}

// accessDeps are what deciding about callers needs.
type accessDeps struct {
	by        Access
	gate      Gate
	keys      CallerKeys
	approvals Approvals
	audit     *audit.Log
}

// accessRoutes are the resources around callers, policy and audit.
func (s *server) accessRoutes(e *echo.Echo) {
	e.GET("/v1/approvals", s.listApprovals)
	e.POST("/v1/approvals/:id/approve", s.approve)
	e.POST("/v1/approvals/:id/reject", s.reject)
	e.GET("/v1/transactions/:id/policy", s.getDecision)
	e.POST("/v1/policy/dry-run", s.dryRunPolicy)
	e.GET("/v1/audit", s.listAudit)
	e.GET("/v1/api-keys", s.listAPIKeys)
	e.POST("/v1/api-keys", s.createAPIKey)
	e.POST("/v1/api-keys/:id/rotate", s.rotateAPIKey)
	e.DELETE("/v1/api-keys/:id", s.revokeAPIKey)
}

// forbiddenError says that a caller has none of the roles that are needed.
type forbiddenError struct{ roles []access.Role }

func (e *forbiddenError) Error() string {
	names := make([]string, len(e.roles))
	for i, r := range e.roles {
		names[i] = string(r)
	}
	return "the role " + strings.Join(names, " or ") + " is needed"
}

// authenticate gives every request its caller, and lets in who may do what is
// asked. What changes something is written down before it is done.
func (s *server) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if isOpen(r.Method, c.Path()) {
			return next(c)
		}
		caller, err := s.caller(r)
		if err == nil {
			c.SetRequest(r.WithContext(access.With(r.Context(), caller)))
			err = s.permitRoute(c, caller)
		}
		if err == nil {
			return next(c)
		}
		if c.Path() != "/" {
			return err
		}
		status := problemFor(err).Status
		adviseCaller(c.Response().Header(), status, err)
		return s.writeRPC(c, status, jsonrpc.AppendError(nil, nil, rpcErrorOf(err)))
	}
}

// isOpen says whether a route is for everybody: it shows nothing of anybody.
func isOpen(method, path string) bool {
	return method == http.MethodGet && (path == "/health" || path == "/openapi.yaml" || path == "/docs" || strings.HasPrefix(path, "/docs/"))
}

func (s *server) caller(r *http.Request) (access.Caller, error) {
	if s.access.by == nil {
		return access.Nobody(access.AddressOf(r)), nil
	}
	caller, err := s.access.by.Authenticate(r)
	// A browser shows its certificate on behalf of every page.
	if err == nil && strings.HasPrefix(caller.Name, "cert:") && r.Header.Get("Origin") != "" {
		return access.Caller{}, errForeignOrigin
	}
	return caller, err
}

// permitRoute says whether a caller may use a route.
func (s *server) permitRoute(c echo.Context, caller access.Caller) error {
	method, path := c.Request().Method, c.Path()
	action := method + " " + path
	if err := s.require(c.Request().Context(), caller, action, routeRoles(method, path)); err != nil {
		return err
	}
	if text := c.Param("address"); common.IsHexAddress(text) {
		if err := s.mayUse(c.Request().Context(), common.HexToAddress(text)); err != nil {
			return err
		}
	}
	if method == http.MethodGet || notesItself(path) {
		return nil
	}
	object := c.Param("id") + c.Param("address")
	const most = 128
	return s.note(c.Request().Context(), admission.Note(caller, action, object[:min(len(object), most)], string(policy.Allowed)))
}

// require says whether a caller has one of some roles. That it has not is
// written down.
func (s *server) require(ctx context.Context, caller access.Caller, action string, roles []access.Role) error {
	if slices.ContainsFunc(roles, caller.Has) {
		return nil
	}
	if err := s.note(ctx, admission.Note(caller, action, "", string(policy.Denied))); err != nil {
		s.log.ErrorContext(ctx, "refusal not written down", slog.Any("err", err))
	}
	return &forbiddenError{roles}
}

// note writes an audit entry; what cannot be written down must not be done.
func (s *server) note(ctx context.Context, entry audit.Entry) error {
	if err := s.access.audit.Record(ctx, entry); err != nil {
		return errors.Join(admission.ErrUnavailable, err)
	}
	return nil
}

// routeRoles are the roles of which one is needed for a route. A route that is
// not thought of here needs an operator.
func routeRoles(method, path string) []access.Role {
	submitting := []access.Role{access.RoleSubmit, access.RoleOperate}
	switch {
	case path == "/v1/audit", strings.HasPrefix(path, "/v1/api-keys"):
		return []access.Role{access.RoleOperate}
	case method == http.MethodGet, path == "/", path == "":
		return []access.Role{access.RoleRead} // each call on / has its own
	case path == "/v1/transactions", path == "/v1/policy/dry-run":
		return []access.Role{access.RoleSubmit}
	case path == hasuraRoute: // each action has its own
		return []access.Role{access.RoleRead, access.RoleSubmit, access.RoleOperate}
	case path == "/v1/transactions/:id/cancel", path == "/v1/transactions/:id/speed-up":
		return submitting
	case strings.HasPrefix(path, "/v1/sign/"):
		return []access.Role{access.RoleSign}
	case method+" "+path == "POST /v1/wallets":
		return managingWallets()
	case strings.HasPrefix(path, "/v1/approvals/"):
		return []access.Role{access.RoleApprove}
	default:
		return []access.Role{access.RoleOperate}
	}
}

// notesItself says whether what a route does is written down where it is done,
// with what came of it.
func notesItself(path string) bool {
	return path == "/" || path == "" || path == "/v1/transactions" || path == "/v1/policy/dry-run" ||
		strings.HasPrefix(path, "/v1/approvals/") || strings.HasPrefix(path, "/v1/api-keys")
}

// permitCall says whether a caller may call a method that needs this process.
func (s *server) permitCall(ctx context.Context, method string) error {
	caller, ok := access.From(ctx)
	if !ok {
		return admission.ErrNoCaller
	}
	if s.access.by != nil {
		if err := s.access.by.Renew(ctx, caller); err != nil {
			return err
		}
	}
	roles := callRoles(method)
	if err := s.require(ctx, caller, method, roles); err != nil {
		return err
	}
	if roles[0] == access.RoleRead || method == sendTransaction { // that one is written down with the acceptance
		return nil
	}
	return s.note(ctx, admission.Note(caller, method, "", string(policy.Allowed)))
}

// renewTimeout bounds the look whether a connection may go on.
const renewTimeout = 5 * time.Second

// hasEnded says whether the credentials that a connection was made with count no more.
// While that cannot be judged the connection goes on.
func (s *server) hasEnded(ctx context.Context) bool {
	caller, ok := access.From(ctx)
	if s.access.by == nil || !ok {
		return s.access.by != nil
	}
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	err := s.access.by.Renew(ctx, caller)
	return err != nil && !errors.Is(err, access.ErrUnavailable)
}

// callRoles are the roles of which one is needed for a call of ours.
func callRoles(method string) []access.Role {
	switch method {
	case sendTransaction:
		return []access.Role{access.RoleSubmit}
	case "eth_sign", "personal_sign", "eth_signTransaction":
		return []access.Role{access.RoleSign}
	case "user_createWalletVerificationChallenge", "user_createWalletVerificationChallenges", "user_verifyWalletVerificationChallenge":
		return []access.Role{access.RoleSubmit}
	case "user_walletVerifications":
		return []access.Role{access.RoleRead}
	}
	switch {
	case strings.HasPrefix(method, "eth_signTypedData"):
		return []access.Role{access.RoleSign}
	case strings.HasPrefix(method, "user_"): // who may take a PIN away needs none
		return managingWallets()
	default:
		return []access.Role{access.RoleRead}
	}
}

func managingWallets() []access.Role { return []access.Role{access.RoleWallets, access.RoleOperate} }

// permitSignature asks the gate about a message or typed data.
func (s *server) permitSignature(ctx context.Context, asked policy.Request) error {
	if s.access.gate == nil {
		return nil
	}
	return s.access.gate.Sign(ctx, asked)
}

// permitTransaction asks the gate about a transaction that its caller sends.
func (s *server) permitTransaction(ctx context.Context, r queue.Request) error {
	if s.access.gate == nil {
		return nil
	}
	return s.access.gate.SignTransaction(ctx, r)
}

// tenantOf says on whose behalf a request is made.
func tenantOf(c echo.Context) string { return principalOf(c).Tenant }

// principalOf is the caller that authenticate has found.
func principalOf(c echo.Context) access.Caller {
	caller, _ := access.From(c.Request().Context())
	return caller
}

// tenant is on whose behalf a call is made.
func tenant(ctx context.Context) string {
	caller, _ := access.From(ctx)
	return caller.Tenant
}

// usable are those of some senders that the caller's tenant may use, as a set.
func (s *server) usable(ctx context.Context, senders ...common.Address) (map[common.Address]bool, error) {
	if caller, ok := access.From(ctx); s.access.gate != nil {
		if !ok {
			return nil, admission.ErrNoCaller
		}
		var err error
		if senders, err = s.access.gate.Usable(ctx, caller.Tenant, senders...); err != nil {
			return nil, err
		}
	}
	out := make(map[common.Address]bool, len(senders))
	for _, a := range senders {
		out[a] = true
	}
	return out, nil
}

// mayUse returns queue.ErrUnknownSender for a sender of another tenant: whose it is, is
// nobody's business.
func (s *server) mayUse(ctx context.Context, sender common.Address) error {
	usable, err := s.usable(ctx, sender)
	if err == nil && !usable[sender] {
		err = fmt.Errorf("%w %s", queue.ErrUnknownSender, sender)
	}
	return err
}
