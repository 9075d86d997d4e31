package gateway

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/slipwayhq/slipway/internal/auth"
)

// Authenticator says who sends a request. The error is an *auth.Error.
type Authenticator interface {
	Authenticate(ctx context.Context, c auth.Credentials) (*auth.Principal, error)
}

// client is who sends a request.
type client struct {
	// principal is nil where everybody is let in.
	principal *auth.Principal
	addr      netip.Addr
}

// authenticate finds out who sends a request to a project.
func (h *Gateway) authenticate(ctx context.Context, p *project, r *http.Request) (client, error) {
	c := client{addr: h.proxies.client(r)}
	if p.auth == nil {
		return c, nil
	}
	var err error
	c.principal, err = p.auth.Authenticate(ctx, auth.ReadCredentials(r, c.addr))
	return c, err //nolint:wrapcheck // an *auth.Error, which toWire knows
}

// permits says whether the client may call a method.
func (c *client) permits(method string) bool {
	return c == nil || c.principal == nil || c.principal.Permits(method)
}
