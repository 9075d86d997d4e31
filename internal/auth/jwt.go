package auth

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// clockLeeway is how far the clocks of an issuer and of the gateway may differ.
const clockLeeway = 10 * time.Second

// maxUserBytes bounds the name of a client: it stands in logs and is the key of
// counters.
const maxUserBytes = 256

// maxTriedKeys bounds the verifications that one token costs.
const maxTriedKeys = 8

// tokenJudge knows clients by a signed token.
type tokenJudge struct {
	cfg     JWT
	as      Principal
	budgets []string
	parser  *jwt.Parser
	static  map[string]key
	remote  *keySet // nil without a URL
	known   *verified
}

func newTokenJudge(cfg JWT, as Principal, budgets []string, m *scopeMetrics, log *slog.Logger) (*tokenJudge, error) {
	static, err := cfg.staticKeys()
	if err != nil {
		return nil, err
	}
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = publicKeyAlgorithms()
	}
	if cfg.BudgetClaim == "" {
		cfg.BudgetClaim = "rlm" // eRPC's default
	}
	cfg.Keys = nil
	j := &tokenJudge{
		cfg: cfg, as: as, budgets: budgets, static: static, known: newVerified(),
		parser: jwt.NewParser(jwt.WithValidMethods(cfg.Algorithms), jwt.WithLeeway(clockLeeway)),
	}
	if !cfg.JWKSURL.IsEmpty() {
		j.remote = newKeySet(cfg, m, log, j.known.clear)
	}
	return j, nil
}

func (j *tokenJudge) judge(ctx context.Context, c Credentials) (*Principal, Reason) {
	if c.token.IsEmpty() {
		return nil, ReasonMissing
	}
	digest := digestOf(c.token.Reveal())
	now := time.Now()
	if p := j.known.get(digest, now); p != nil {
		return p, ReasonNone
	}
	claims, reason := j.verify(ctx, c.token.Reveal())
	if reason != ReasonNone {
		return nil, reason
	}
	p, reason := j.principal(claims)
	if p != nil {
		j.known.put(digest, p, now, p.Expires)
	}
	return p, reason
}

// verify checks signature and time of a token.
func (j *tokenJudge) verify(ctx context.Context, token string) (jwt.MapClaims, Reason) {
	claims := jwt.MapClaims{}
	reason := ReasonAlgorithm // stays if the parser refuses before it asks for a key
	_, err := j.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		var keys []key
		keys, reason = j.keys(ctx, t)
		if reason != ReasonNone {
			return nil, errors.New("no key")
		}
		set := jwt.VerificationKeySet{}
		for _, k := range keys {
			set.Keys = append(set.Keys, k.value)
		}
		return set, nil
	})
	switch {
	case err == nil:
		return claims, ReasonNone
	case errors.Is(err, jwt.ErrTokenMalformed):
		return nil, ReasonMalformed
	case reason != ReasonNone:
		return nil, reason
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, ReasonExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return nil, ReasonNotYetValid
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return nil, ReasonClaim
	default:
		return nil, ReasonSignature
	}
}

// keys finds the keys a token may be signed with.
func (j *tokenJudge) keys(ctx context.Context, t *jwt.Token) ([]key, Reason) {
	if _, has := t.Header["crit"]; has {
		return nil, ReasonMalformed // an extension that must be understood, RFC 7515, 4.1.11
	}
	id, _ := t.Header["kid"].(string)
	algorithm := t.Method.Alg()
	if k, isKnown := j.static[id]; isKnown && k.isFor(algorithm) {
		return []key{k}, ReasonNone
	}
	var found []key
	if id == "" || j.remote == nil {
		// The ids of keys in the file are the operator's own; an issuer need not
		// know them.
		for _, k := range j.static {
			found = append(found, k)
		}
		found = usable(found, algorithm)
	}
	if j.remote == nil || len(found) > 0 {
		if len(found) == 0 {
			return nil, ReasonUnknownKey
		}
		return found, ReasonNone
	}
	return j.remote.find(ctx, id, algorithm)
}

func usable(keys []key, algorithm string) []key {
	var out []key
	for _, k := range keys {
		if k.isFor(algorithm) && len(out) < maxTriedKeys {
			out = append(out, k)
		}
	}
	return out
}

// principal checks the claims of a token whose signature is right.
func (j *tokenJudge) principal(claims jwt.MapClaims) (*Principal, Reason) {
	if issuer, err := claims.GetIssuer(); len(j.cfg.Issuers) > 0 && (err != nil || !slices.Contains(j.cfg.Issuers, issuer)) {
		return nil, ReasonIssuer
	}
	if audience, err := claims.GetAudience(); len(j.cfg.Audiences) > 0 && (err != nil || !containsAny(j.cfg.Audiences, audience)) {
		return nil, ReasonAudience
	}
	for _, name := range j.cfg.RequiredClaims {
		if _, has := claims[name]; !has {
			return nil, ReasonClaim
		}
	}
	for name, allowed := range j.cfg.ClaimMatchers {
		if len(allowed) > 0 && !containsAny(allowed, claimTexts(claims[name])) {
			return nil, ReasonClaim
		}
	}
	subject, err := claims.GetSubject()
	if err != nil || subject == "" || len(subject) > maxUserBytes {
		return nil, ReasonClaim
	}
	p := j.as
	p.User = subject
	if expires, err := claims.GetExpirationTime(); err == nil && expires != nil {
		p.Expires = expires.Time
	}
	if budget, isText := claims[j.cfg.BudgetClaim].(string); isText && slices.Contains(j.budgets, budget) {
		p.Budget = budget
	}
	p.claims = j.kept(claims)
	return &p, ReasonNone
}

// kept are the claims that somebody reads later, nil for none.
func (j *tokenJudge) kept(claims jwt.MapClaims) map[string][]string {
	if len(j.cfg.KeepClaims) == 0 {
		return nil
	}
	out := make(map[string][]string, len(j.cfg.KeepClaims))
	for _, name := range j.cfg.KeepClaims {
		out[name] = claimTexts(claimAt(claims, name))
	}
	return out
}

// claimAt finds a claim by its name, or within objects by the names on the way.
func claimAt(claims map[string]any, name string) any {
	if claim, has := claims[name]; has {
		return claim
	}
	outer, inner, isPath := strings.Cut(name, ".")
	object, isObject := claims[outer].(map[string]any)
	if !isPath || !isObject {
		return nil
	}
	return claimAt(object, inner)
}

// claimTexts are the texts of a claim: one, a list, or a list of objects with a
// field value, as SCIM writes groups.
func claimTexts(claim any) []string {
	switch value := claim.(type) {
	case string:
		return []string{value}
	case []any:
		var out []string
		for _, item := range value {
			if object, isObject := item.(map[string]any); isObject {
				item = object["value"]
			}
			if text, isText := item.(string); isText {
				out = append(out, text)
			}
		}
		return out
	default:
		return nil
	}
}

func containsAny(allowed, values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return slices.Contains(allowed, v) })
}
