package access

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/secret"
)

// Config is how callers are known. Without any way the signer runs with dev only.
type Config struct {
	// APIKeys lets callers in that show a key made with `signer keys create` or
	// POST /v1/api-keys, as Authorization: Bearer or X-Api-Key.
	APIKeys bool `yaml:"apiKeys"`
	// Issuers are identity providers whose tokens (JWT) are let in, as
	// Authorization: Bearer.
	Issuers []Issuer `yaml:"issuers"`
	// ClientCertificates are callers that show a certificate (mTLS), which needs
	// tls.caFile. The first that matches counts.
	ClientCertificates []ClientCertificate `yaml:"clientCertificates"`
	// Networks are callers that show nothing and are known by their address. A request of
	// a web page (with Origin), under a host name that could be somebody else's, or through
	// a proxy that is not trusted is not let in by its address.
	Networks []Network `yaml:"networks"`
	// AttachedNetworks lets in who calls from this machine or from a private network that is
	// directly attached to it when it starts: tenant default, roles submit, sign and wallets.
	// It is what MODE=standalone, TxSigner's, means where nothing else is configured.
	AttachedNetworks bool `yaml:"attachedNetworks"`
	// TrustedProxies are addresses or networks of proxies whose X-Forwarded-For is believed.
	TrustedProxies []string `yaml:"trustedProxies"`
	// Hosts are names under which callers of networks reach the signer, besides addresses,
	// names without a dot, and names under .svc, .cluster.local, .internal and .localhost.
	Hosts []string `yaml:"hosts"`
	// Tenants are those that have senders of their own. Tenants that are not listed may use
	// every sender that no other one has.
	Tenants []Tenant `yaml:"tenants"`
}

// Issuer is an identity provider. Its tokens must expire.
type Issuer struct {
	// Name stands in the names of its callers: jwt:NAME/SUBJECT.
	Name string `yaml:"name"`
	// Issuer is the claim iss.
	Issuer string `yaml:"issuer"`
	// Audience is a value of the claim aud.
	Audience string `yaml:"audience"`
	// JWKSURL is where the keys are published; they are read again every five
	// minutes, and when a token names a key that is not known.
	JWKSURL secret.String `yaml:"jwksUrl"`
	// Keys are public keys as PEM by key id, instead of jwksUrl.
	Keys map[string]secret.String `yaml:"keys"`
	// Algorithms are those that are allowed; none given allows all with public keys.
	Algorithms []string `yaml:"algorithms"`
	// TenantClaim is the claim that names the tenant; a path such as
	// organization.name leads into objects.
	TenantClaim string `yaml:"tenantClaim"`
	// Tenant is that of all tokens, instead of tenantClaim.
	Tenant string `yaml:"tenant"`
	// RolesClaim is the claim that lists roles: a list, or a text with spaces
	// between them, such as scope. Values that name no role are ignored.
	RolesClaim string `yaml:"rolesClaim"`
	// RoleNames are the values of rolesClaim that stand for roles, as role: [values].
	// None given: the names of the roles themselves.
	RoleNames map[Role][]string `yaml:"roleNames"`
	// Roles are those of all tokens, besides those of rolesClaim.
	Roles []Role `yaml:"roles"`
}

// ClientCertificate is a caller that is known by a certificate. Every name that
// is given must be in it, and one must be given.
type ClientCertificate struct {
	// Name is the caller's: cert:NAME.
	Name string `yaml:"name"`
	// CommonName is that of the subject.
	CommonName string `yaml:"commonName"`
	// DNSName is a DNS name among the subject's alternative names.
	DNSName string `yaml:"dnsName"`
	// URI is a URI among the subject's alternative names, such as a SPIFFE id.
	URI string `yaml:"uri"`
	// Email is an address among the subject's alternative names.
	Email string `yaml:"email"`
	// Tenant is the caller's.
	Tenant string `yaml:"tenant"`
	// Roles are the caller's.
	Roles []Role `yaml:"roles"`
}

// Tenant has senders of its own.
type Tenant struct {
	// Name is the tenant's.
	Name string `yaml:"name"`
	// Senders are the addresses it may use; they are for it, and for other tenants
	// that list them, only. Wallets are those of the tenant that made them, listed or not.
	Senders []string `yaml:"senders"`
}

// IsSet says whether there is a way to be known.
func (c Config) IsSet() bool {
	return c.APIKeys || len(c.Issuers) > 0 || len(c.ClientCertificates) > 0 || len(c.Networks) > 0 || c.AttachedNetworks
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	names := map[string]bool{}
	for i, s := range c.Issuers {
		for _, err := range []error{s.validate(), unused(names, "jwt:"+s.Name)} {
			if err != nil {
				errs = append(errs, fmt.Errorf("access.issuers: %d (%s): %w", i+1, s.Name, err))
			}
		}
	}
	for i, s := range c.ClientCertificates {
		if err := s.validate(); err != nil {
			errs = append(errs, fmt.Errorf("access.clientCertificates: %d (%s): %w", i+1, s.Name, err))
		}
	}
	errs = append(errs, c.validateNetworks(names)...)
	for i, t := range c.Tenants {
		for _, err := range []error{t.validate(), unused(names, t.Name)} {
			if err != nil {
				errs = append(errs, fmt.Errorf("access.tenants: %d (%s): %w", i+1, t.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// validateNetworks reports what is wrong with networks and what belongs to them.
func (c Config) validateNetworks(names map[string]bool) []error {
	var errs []error
	for i, n := range c.Networks {
		for _, err := range []error{n.validate(), unused(names, "net:"+n.Name)} {
			if err != nil {
				errs = append(errs, fmt.Errorf("access.networks: %d (%s): %w", i+1, n.Name, err))
			}
		}
	}
	if _, err := parsePrefixes(c.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("access.trustedProxies: %w", err))
	}
	for _, host := range c.Hosts {
		if host == "" || strings.ContainsAny(host, ":/ ") {
			errs = append(errs, fmt.Errorf("access.hosts: %q is no host name; it has neither scheme nor port", host))
		}
	}
	return errs
}

func unused(names map[string]bool, name string) error {
	if names[name] {
		return errors.New("the name is used twice")
	}
	names[name] = true
	return nil
}

func (s Issuer) validate() error {
	var errs []error
	if err := checkName(s.Name); err != nil || strings.Contains(s.Name, "/") {
		errs = append(errs, errors.New("name: is needed, without spaces and slashes"))
	}
	if s.Issuer == "" || s.Audience == "" {
		errs = append(errs, errors.New("issuer and audience: are needed, since a token for somebody else must not be let in"))
	}
	if (s.TenantClaim == "") == (s.Tenant == "") {
		errs = append(errs, errors.New("either tenantClaim or tenant must be given"))
	}
	if s.Tenant != "" {
		errs = append(errs, checkTenant(s.Tenant))
	}
	if s.RolesClaim == "" {
		errs = append(errs, checkRoles(s.Roles))
	} else if len(s.Roles) > 0 {
		errs = append(errs, checkRoles(s.Roles))
	}
	for role := range s.RoleNames {
		errs = append(errs, checkRoles([]Role{role}))
	}
	if u, err := url.Parse(s.JWKSURL.Reveal()); err == nil && u.Scheme == "http" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" {
		errs = append(errs, errors.New("jwksUrl: must be https, since who changes the keys on the way is everybody"))
	}
	return errors.Join(append(errs, s.strategy().Validate())...)
}

// keyRefresh is how often published keys are read.
const keyRefresh = 5 * time.Minute

// strategy is the issuer for package auth.
func (s Issuer) strategy() auth.Strategy {
	keep := []string{}
	for _, claim := range []string{s.TenantClaim, s.RolesClaim} {
		if claim != "" {
			keep = append(keep, claim)
		}
	}
	return auth.Strategy{Kind: auth.KindJWT, JWT: &auth.JWT{
		Issuers: []string{s.Issuer}, Audiences: []string{s.Audience}, Algorithms: s.Algorithms, RequiredClaims: []string{"exp"},
		Keys: s.Keys, JWKSURL: s.JWKSURL, JWKSRefresh: keyRefresh, KeepClaims: keep,
	}}
}

func (s ClientCertificate) validate() error {
	var errs []error
	errs = append(errs, checkName(s.Name), checkTenant(s.Tenant), checkRoles(s.Roles))
	if s.CommonName == "" && s.DNSName == "" && s.URI == "" && s.Email == "" {
		errs = append(errs, errors.New("commonName, dnsName, uri or email must be given"))
	}
	return errors.Join(errs...)
}

func (t Tenant) validate() error {
	errs := []error{checkTenant(t.Name)}
	if len(t.Senders) == 0 {
		errs = append(errs, errors.New("senders: at least one is needed"))
	}
	for _, s := range t.Senders {
		if !common.IsHexAddress(s) {
			errs = append(errs, fmt.Errorf("senders: %q is no address", s))
		}
	}
	return errors.Join(errs...)
}
