package access

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Authenticator says who makes a request.
type Authenticator struct {
	cfg      Config
	keys     *Keys
	issuers  []issuer
	networks networks
}

type issuer struct {
	Issuer
	auth *auth.Authenticator
}

// New makes an authenticator; keys may be nil if the configuration has none. It
// talks to nobody.
func New(cfg Config, keys *Keys, f telemetry.Factory, log *slog.Logger) (*Authenticator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	known, err := newNetworks(cfg)
	if err != nil {
		return nil, err
	}
	a := &Authenticator{cfg: cfg, keys: keys, networks: known}
	metrics := auth.NewMetrics(f, "signer")
	for _, s := range cfg.Issuers {
		made, err := auth.New(auth.Config{Scope: s.Name, Strategies: []auth.Strategy{s.strategy()}}, metrics, log)
		if err != nil {
			return nil, fmt.Errorf("access.issuers: %s: %w", s.Name, err)
		}
		a.issuers = append(a.issuers, issuer{s, made})
	}
	return a, nil
}

// Run keeps the keys of issuers fresh until ctx ends. It implements lifecycle.Run.
func (a *Authenticator) Run(ctx context.Context, ready func()) error {
	var first, all errgroup.Group
	for _, s := range a.issuers {
		asked := make(chan struct{})
		first.Go(func() error { <-asked; return nil })
		all.Go(func() error { return s.auth.Run(ctx, func() { close(asked) }) })
	}
	_ = first.Wait() // it gives no error
	ready()
	<-ctx.Done()
	return all.Wait() //nolint:wrapcheck // it says where it comes from
}

// Authenticate says who makes a request. What a request shows must be right, even
// if something else it shows is: an API key counts before a token, both before
// a certificate, and all of them before the network it comes from. The error is
// ErrMissing, ErrProxied, ErrWebPage, ErrKey, ErrCertificate, *TokenError or
// ErrUnavailable.
func (a *Authenticator) Authenticate(r *http.Request) (Caller, error) {
	c, err := a.judge(r)
	c.Address = AddressOf(r)
	return c, err
}

// Renew says whether a caller who was known before still is, for connections
// that live longer than credentials. Its errors are those of Authenticate.
func (a *Authenticator) Renew(ctx context.Context, c Caller) error {
	if !c.Expires.IsZero() && time.Now().After(c.Expires) {
		return &TokenError{"the credentials of the connection have expired"}
	}
	if c.KeyID == "" {
		return nil
	}
	key, err := a.keys.find(ctx, c.KeyID, time.Now())
	if err == nil && (key == nil || !key.isActive(time.Now())) {
		err = ErrKey
	}
	return err
}

// AddressOf is where a request comes from, without port.
func AddressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

func (a *Authenticator) judge(r *http.Request) (Caller, error) {
	shown := r.Header.Get("X-Api-Key")
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if bearer = strings.TrimSpace(bearer); !strings.EqualFold(scheme, "Bearer") {
		bearer = ""
	}
	if shown == "" && isToken(bearer) {
		shown = bearer
	}
	switch {
	case shown != "" && a.cfg.APIKeys:
		return a.keys.caller(r.Context(), shown)
	case shown != "":
		return Caller{}, ErrKey
	case bearer != "":
		return a.token(r.Context(), bearer)
	case r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && len(a.cfg.ClientCertificates) > 0:
		return certified(a.cfg.ClientCertificates, r.TLS.VerifiedChains[0][0])
	default:
		return a.networks.caller(r)
	}
}

// token asks all issuers; the reason of the one that came farthest is told.
func (a *Authenticator) token(ctx context.Context, bearer string) (Caller, error) {
	// Only the header counts: what stands in a URL gets into logs.
	shown := auth.ReadCredentials(&http.Request{Header: http.Header{"Authorization": {"Bearer " + bearer}}}, netip.Addr{})
	var farthest *auth.Error
	for _, s := range a.issuers {
		p, err := s.auth.Authenticate(ctx, shown)
		if err == nil {
			return s.caller(p)
		}
		var refusal *auth.Error
		if errors.As(err, &refusal) && (farthest == nil || refusal.Reason > farthest.Reason) {
			farthest = refusal
		}
	}
	switch {
	case farthest == nil:
		return Caller{}, &TokenError{"tokens are not accepted here"}
	case farthest.IsTemporary():
		return Caller{}, fmt.Errorf("%w: the keys of the issuer were never reached", ErrUnavailable)
	default:
		return Caller{}, &TokenError{farthest.Error()}
	}
}

// caller makes a caller of a token whose signature and claims are right.
func (s issuer) caller(p *auth.Principal) (Caller, error) {
	c := Caller{Tenant: s.Tenant, Name: "jwt:" + s.Name + "/" + p.User, Roles: s.roles(p), Expires: p.Expires}
	if s.TenantClaim != "" {
		names := p.Claim(s.TenantClaim)
		if len(names) != 1 || checkTenant(names[0]) != nil {
			return Caller{}, &TokenError{"the claim " + s.TenantClaim + " does not name one tenant"}
		}
		c.Tenant = names[0]
	}
	if checkName(p.User) != nil {
		return Caller{}, &TokenError{"the subject of the token cannot be a name"}
	}
	if len(c.Roles) == 0 {
		return Caller{}, &TokenError{"the token gives no role"}
	}
	return c, nil
}

// roles are those of the issuer and those that the token names.
func (s issuer) roles(p *auth.Principal) []Role {
	out := slices.Clone(s.Roles)
	var named []string
	if s.RolesClaim != "" {
		for _, text := range p.Claim(s.RolesClaim) {
			named = append(named, strings.Fields(text)...)
		}
	}
	for _, role := range Roles() {
		values := s.RoleNames[role]
		if s.RoleNames == nil {
			values = []string{string(role)}
		}
		if slices.ContainsFunc(values, func(v string) bool { return slices.Contains(named, v) }) && !slices.Contains(out, role) {
			out = append(out, role)
		}
	}
	return out
}

// certified finds the caller of a certificate that a CA of ours signed.
func certified(known []ClientCertificate, leaf *x509.Certificate) (Caller, error) {
	for _, k := range known {
		isURI := slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool { return u.String() == k.URI })
		if (k.CommonName == "" || k.CommonName == leaf.Subject.CommonName) && (k.DNSName == "" || slices.Contains(leaf.DNSNames, k.DNSName)) &&
			(k.URI == "" || isURI) && (k.Email == "" || slices.Contains(leaf.EmailAddresses, k.Email)) {
			return Caller{Tenant: k.Tenant, Name: "cert:" + k.Name, Roles: k.Roles, Expires: leaf.NotAfter}, nil
		}
	}
	return Caller{}, ErrCertificate
}
