package config

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
)

// AuthFile is the section auth of a project.
type AuthFile struct {
	// Ways to know a client, of which the first that does decides; without any, every client is let in.
	Strategies []AuthStrategyFile `yaml:"strategies,omitempty"`
}

// AdminFile is the section admin. Without auth there is no such endpoint.
type AdminFile struct {
	// How operators are known.
	Auth *AuthFile `yaml:"auth,omitempty"`
	// Which web pages may call the endpoint; without it, none.
	CORS *CORSFile `yaml:"cors,omitempty"`
	// Admin methods that may be called, as patterns; they win over denyMethods and, alone, exclude all others.
	AllowMethods []string `yaml:"allowMethods,omitempty"`
	// Admin methods that may not be called, as patterns.
	DenyMethods []string `yaml:"denyMethods,omitempty"`
}

func (f *AdminFile) config(budgets []string, r *report) gatewayapp.AdminConfig {
	var out gatewayapp.AdminConfig
	if f == nil {
		return out
	}
	out.Auth = f.Auth.config("admin.auth", budgets, r)
	if len(out.Auth.Strategies) == 0 {
		r.fail("admin.auth", "at least one strategy is needed: operators must say who they are")
	}
	if f.CORS != nil {
		out.CORS = gateway.DefaultCORS()
		out.CORS.AllowedOrigins = nil
		f.CORS.apply(&out.CORS)
	}
	out.AllowMethods, out.DenyMethods = f.AllowMethods, f.DenyMethods
	if _, err := auth.NewMethodFilter(f.AllowMethods, f.DenyMethods); err != nil {
		r.fail("admin", "%s", strings.ReplaceAll(err.Error(), "ignoreMethods", "denyMethods"))
	}
	return out
}

// AuthStrategyFile is one way to know a client.
type AuthStrategyFile struct {
	// Kind: secret, jwt, network or siwe.
	Type string `yaml:"type"`
	// Methods its clients may call, as patterns; they win over ignoreMethods and, alone, exclude all others.
	AllowMethods []string `yaml:"allowMethods,omitempty"`
	// Methods its clients may not call, as patterns.
	IgnoreMethods []string `yaml:"ignoreMethods,omitempty"`
	// Budget of its clients, of those under rateLimiters.
	RateLimitBudget string `yaml:"rateLimitBudget,omitempty"`
	// With type secret: the secret.
	Secret *SecretStrategyFile `yaml:"secret,omitempty"`
	// With type jwt: which tokens are taken.
	JWT *JWTStrategyFile `yaml:"jwt,omitempty"`
	// With type network: which addresses are let in. A request that shows credentials of another kind is judged by those.
	Network *NetworkStrategyFile `yaml:"network,omitempty"`
	// With type siwe: whose messages (EIP-4361) are taken.
	SIWE *SIWEStrategyFile `yaml:"siwe,omitempty"`
}

// SecretStrategyFile knows the clients that show a value.
type SecretStrategyFile struct {
	// Name of the client in metrics and budgets.
	ID string `yaml:"id,omitempty"`
	// The secret, or sha256: and the 64 hexadecimal digits of its digest (ours); never printed.
	Value secret.String `yaml:"value"`
	// Budget of the client, instead of the strategy's.
	RateLimitBudget string `yaml:"rateLimitBudget,omitempty"`
}

// JWTStrategyFile knows the clients that show a signed token, by its subject.
type JWTStrategyFile struct {
	// Issuers of which a token must name one; empty allows all.
	AllowedIssuers []string `yaml:"allowedIssuers,omitempty"`
	// Audiences of which a token must name one; empty allows all.
	AllowedAudiences []string `yaml:"allowedAudiences,omitempty"`
	// Algorithms that are allowed; empty allows all with public keys. HS256, HS384 and HS512 must be named.
	AllowedAlgorithms []string `yaml:"allowedAlgorithms,omitempty"`
	// Claims that must be in a token.
	RequiredClaims []string `yaml:"requiredClaims,omitempty"`
	// For a claim, the values of which it must have one.
	ClaimMatchers map[string][]string `yaml:"claimMatchers,omitempty"`
	// By key id: public key or certificate as PEM, a secret for HS algorithms, or file:// and a path; never printed.
	VerificationKeys map[string]secret.String `yaml:"verificationKeys,omitempty"`
	// URL at which the issuer publishes its keys (JSON Web Key Set); never printed.
	VerificationJwksURL secret.String `yaml:"verificationJwksUrl"`
	// How often they are read; left out, 5 minutes.
	VerificationJwksRefreshInterval time.Duration `yaml:"verificationJwksRefreshInterval,omitempty"`
	// Whether the server with the keys need not prove its name. Whoever is in between can then make tokens.
	VerificationJwksTLSInsecureSkipVerify bool `yaml:"verificationJwksTlsInsecureSkipVerify,omitempty"`
	// Claim that names the budget of the client; left out, rlm.
	RateLimitBudgetClaimName string `yaml:"rateLimitBudgetClaimName,omitempty"`
}

// NetworkStrategyFile knows clients by their address.
type NetworkStrategyFile struct {
	// Addresses that are let in.
	AllowedIPs []string `yaml:"allowedIPs,omitempty"`
	// Networks that are let in.
	AllowedCIDRs []string `yaml:"allowedCIDRs,omitempty"` //nolint:tagliatelle // as eRPC spells it
	// Whether loopback addresses are let in.
	AllowLocalhost bool `yaml:"allowLocalhost,omitempty"`
	// Budget of these clients, instead of the strategy's.
	RateLimitBudget string `yaml:"rateLimitBudget,omitempty"`
	// Whether each address of a network is a client of its own.
	IPAsUser bool `yaml:"ipAsUser,omitempty"`
}

// SIWEStrategyFile knows clients that sign in with Ethereum, by their address.
type SIWEStrategyFile struct {
	// Domains for which a message may be signed.
	AllowedDomains []string `yaml:"allowedDomains"`
	// Budget of these clients, instead of the strategy's.
	RateLimitBudget string `yaml:"rateLimitBudget,omitempty"`
}

// config makes what the section at a path says. Budgets are the names that are
// defined.
func (f *AuthFile) config(path string, budgets []string, r *report) auth.Config {
	out := auth.Config{Budgets: budgets}
	if f == nil {
		return out
	}
	if at, isWritten := r.places[path]; isWritten && len(f.Strategies) == 0 && path != "admin.auth" {
		r.warn("projects[].auth", at, "without strategies every client is let in")
	}
	for i, s := range f.Strategies {
		out.Strategies = append(out.Strategies, s.strategy(path+".strategies["+strconv.Itoa(i)+"]", budgets, r))
	}
	return out
}

func (s AuthStrategyFile) strategy(path string, budgets []string, r *report) auth.Strategy {
	out := auth.Strategy{Kind: auth.Kind(s.Type), AllowMethods: s.AllowMethods, IgnoreMethods: s.IgnoreMethods}
	checkMethods(path, s.AllowMethods, s.IgnoreMethods, r)
	checkBudget(path+".rateLimitBudget", s.RateLimitBudget, budgets, r)
	own, before := "", len(r.problems)
	switch {
	case out.Kind == auth.KindSecret && s.Secret != nil:
		out.Secret = &auth.Secret{ID: s.Secret.ID, Value: s.Secret.Value}
		own = s.Secret.RateLimitBudget
	case out.Kind == auth.KindJWT && s.JWT != nil:
		out.JWT = s.JWT.config(path+".jwt", r)
	case out.Kind == auth.KindNetwork && s.Network != nil:
		out.Network = s.Network.config(path+".network", r)
		own = s.Network.RateLimitBudget
	case out.Kind == auth.KindSIWE && s.SIWE != nil:
		out.SIWE = &auth.SIWE{Domains: s.SIWE.AllowedDomains}
		own = s.SIWE.RateLimitBudget
	case s.Type == "secret" || s.Type == "jwt" || s.Type == "network" || s.Type == "siwe":
		r.fail(path, "the section %s is needed with type %s", s.Type, s.Type)
		return out
	default:
		r.fail(path+".type", "must be secret, jwt, network or siwe, is %q", s.Type)
		return out
	}
	checkBudget(path+"."+s.Type+".rateLimitBudget", own, budgets, r)
	if out.Budget = own; own == "" {
		out.Budget = s.RateLimitBudget
	}
	if len(r.problems) == before { // otherwise it would be said twice
		alone := out
		alone.AllowMethods, alone.IgnoreMethods = nil, nil // checked above
		failAll(path+"."+s.Type, alone.Validate(), r)
	}
	return out
}

func (f JWTStrategyFile) config(path string, r *report) *auth.JWT {
	out := &auth.JWT{
		Issuers: f.AllowedIssuers, Audiences: f.AllowedAudiences, Algorithms: f.AllowedAlgorithms,
		RequiredClaims: f.RequiredClaims, ClaimMatchers: f.ClaimMatchers, Keys: map[string]secret.String{},
		JWKSURL: f.VerificationJwksURL, JWKSRefresh: f.VerificationJwksRefreshInterval,
		JWKSInsecure: f.VerificationJwksTLSInsecureSkipVerify, BudgetClaim: f.RateLimitBudgetClaimName,
	}
	for id, value := range f.VerificationKeys {
		name, isFile := strings.CutPrefix(value.Reveal(), "file://")
		if isFile {
			text, err := os.ReadFile(name)
			if err != nil {
				r.fail(path+".verificationKeys", "the file of a key cannot be read")
			}
			value = secret.New(string(text))
		}
		out.Keys[id] = value
	}
	return out
}

func (f NetworkStrategyFile) config(path string, r *report) *auth.Network {
	out := &auth.Network{AllowLocalhost: f.AllowLocalhost, IPAsUser: f.IPAsUser}
	for i, text := range f.AllowedIPs {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			r.fail(path+".allowedIPs["+strconv.Itoa(i)+"]", "%q is no IP address", text)
		}
		out.IPs = append(out.IPs, ip)
	}
	for i, text := range f.AllowedCIDRs {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			r.fail(path+".allowedCIDRs["+strconv.Itoa(i)+"]", "%q is no network, such as 10.0.0.0/8", text)
		}
		out.CIDRs = append(out.CIDRs, prefix)
	}
	return out
}

// checkMethods checks the patterns of allowMethods and ignoreMethods.
func checkMethods(path string, allow, ignore []string, r *report) {
	if _, err := auth.NewMethodFilter(allow, nil); err != nil {
		r.fail(path+".allowMethods", "%s", strings.TrimPrefix(err.Error(), "allowMethods: "))
	}
	if _, err := auth.NewMethodFilter(nil, ignore); err != nil {
		r.fail(path+".ignoreMethods", "%s", strings.TrimPrefix(err.Error(), "ignoreMethods: "))
	}
}

// failAll reports every error of a join.
func failAll(path string, err error, r *report) {
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		r.fail(path, "%s", strings.TrimSpace(line))
	}
}
