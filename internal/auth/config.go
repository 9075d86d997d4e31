package auth

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/secret"
)

// Config is how the clients of one project, or of the admin endpoint, are known.
type Config struct {
	// Scope is the project in metrics.
	Scope string
	// Strategies in the order in which they are tried. Without any, everybody is
	// let in.
	Strategies []Strategy
	// Budgets are the names that a token's claim may give. A name that is not
	// among them leaves the token the strategy's own budget.
	Budgets []string
}

// Kind is a kind of strategy, and a metric label.
type Kind string

// The kinds.
const (
	KindSecret  Kind = "secret"
	KindJWT     Kind = "jwt"
	KindNetwork Kind = "network"
	KindSIWE    Kind = "siwe"
)

// Strategy is one way to know a client. Exactly the part of its Kind is set.
type Strategy struct {
	Kind    Kind
	Secret  *Secret
	JWT     *JWT
	Network *Network
	SIWE    *SIWE
	// Budget is the rate limit budget of its clients; empty for none. A claim of
	// a token may name another.
	Budget string
	// AllowMethods and IgnoreMethods are patterns of methods, see MethodFilter.
	AllowMethods, IgnoreMethods []string
}

// Secret knows the clients that show a value.
type Secret struct {
	// ID names the client.
	ID string
	// Value is the secret, or "sha256:" and the 64 hexadecimal digits of its
	// SHA-256 digest, so that the secret itself is nowhere at rest. The digest is
	// not salted: the value must be random and long.
	Value secret.String
}

// JWT knows the clients that show a signed token. Its subject names the client.
type JWT struct {
	// Issuers and Audiences of which a token must name one; empty allows all.
	Issuers, Audiences []string
	// Algorithms that are allowed; empty allows all with public keys. HS256,
	// HS384 and HS512 must be named, and use no key but static secrets. "none" is
	// never allowed.
	Algorithms []string
	// RequiredClaims must be in a token, whatever their value.
	RequiredClaims []string
	// ClaimMatchers gives the values of which a claim must have one.
	ClaimMatchers map[string][]string
	// Keys are public keys as PEM, or secrets for HS algorithms, by key id.
	Keys map[string]secret.String
	// JWKSURL is where an issuer publishes its keys; empty for nowhere.
	JWKSURL secret.String
	// JWKSRefresh is how often they are read; 0 means 5 minutes.
	JWKSRefresh time.Duration
	// JWKSInsecure takes the keys from a server that cannot prove its name.
	JWKSInsecure bool
	// BudgetClaim is the claim that names the budget; empty means "rlm".
	BudgetClaim string
	// KeepClaims are claims whose texts the principal keeps. A name with dots that
	// is no claim itself leads into objects: realm_access.roles.
	KeepClaims []string
}

// Network knows clients by their address.
type Network struct {
	IPs   []netip.Addr
	CIDRs []netip.Prefix
	// AllowLocalhost allows loopback addresses.
	AllowLocalhost bool
	// IPAsUser names a client from a CIDR by its address, not by the CIDR.
	IPAsUser bool
}

// SIWE knows clients that sign in with Ethereum (EIP-4361). Their address, in
// lower case, names them.
type SIWE struct {
	// Domains for which a message may be signed.
	Domains []string
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	for i, s := range c.Strategies {
		if err := s.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("strategy %d: %w", i+1, err))
		}
	}
	return errors.Join(errs...)
}

// Validate reports everything that is wrong with a strategy.
func (s Strategy) Validate() error {
	_, err := NewMethodFilter(s.AllowMethods, s.IgnoreMethods)
	switch {
	case s.Kind == KindSecret && s.Secret != nil:
		return errors.Join(err, s.Secret.validate())
	case s.Kind == KindJWT && s.JWT != nil:
		return errors.Join(err, s.JWT.validate())
	case s.Kind == KindNetwork && s.Network != nil:
		return errors.Join(err, s.Network.validate())
	case s.Kind == KindSIWE && s.SIWE != nil:
		return errors.Join(err, s.SIWE.validate())
	default:
		return errors.Join(err, fmt.Errorf("%q is not set up", s.Kind))
	}
}

func (s Secret) validate() error {
	if _, err := s.digest(); err != nil {
		return err
	}
	return nil
}

// digestPrefix begins a value that is a digest.
const digestPrefix = "sha256:"

// digest is the SHA-256 digest of the secret.
func (s Secret) digest() ([32]byte, error) {
	value := s.Value.Reveal()
	if value == "" {
		return [32]byte{}, errors.New("value: is needed")
	}
	text, isDigest := strings.CutPrefix(value, digestPrefix)
	if !isDigest {
		return digestOf(value), nil
	}
	bytes, err := hex.DecodeString(text)
	if err != nil || len(bytes) != 32 {
		return [32]byte{}, errors.New("value: after sha256: there must be 64 hexadecimal digits")
	}
	return [32]byte(bytes), nil
}

func (j JWT) validate() error {
	var errs []error
	if j.JWKSURL.IsEmpty() && len(j.Keys) == 0 {
		errs = append(errs, errors.New("keys or the URL of a key set are needed"))
	}
	if u, err := url.Parse(j.JWKSURL.Reveal()); !j.JWKSURL.IsEmpty() && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		errs = append(errs, errors.New("the URL of the key set must begin with http:// or https://"))
	}
	for _, name := range j.Algorithms {
		if familyOf(name) == familyNone {
			errs = append(errs, fmt.Errorf("%q is no algorithm that can be allowed", name))
		}
	}
	_, err := j.staticKeys()
	return errors.Join(append(errs, err)...)
}

func (n Network) validate() error {
	if len(n.IPs) == 0 && len(n.CIDRs) == 0 && !n.AllowLocalhost {
		return errors.New("allows no address")
	}
	return nil
}

func (s SIWE) validate() error {
	if len(s.Domains) == 0 || slices.Contains(s.Domains, "") {
		return errors.New("domains: at least one is needed, and none may be empty")
	}
	return nil
}
