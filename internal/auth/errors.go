package auth

import "fmt"

// Reason says why a client was not let in. It doubles as metric label. Reasons
// are ordered by how far the credentials got: of several strategies that refuse,
// the one that came farthest is told.
type Reason uint8

// The reasons.
const (
	// ReasonNone stands for no refusal.
	ReasonNone Reason = iota
	// ReasonMissing is a request that shows nothing any strategy could judge.
	ReasonMissing
	// ReasonAddress is an address that no network strategy allows.
	ReasonAddress
	// ReasonSecret is a secret that is none of ours.
	ReasonSecret
	// ReasonMalformed is a token, message or signature that cannot be read.
	ReasonMalformed
	// ReasonAlgorithm is a token signed in a way that is not allowed.
	ReasonAlgorithm
	// ReasonUnknownKey is a token signed with a key we do not have.
	ReasonUnknownKey
	// ReasonKeysUnavailable is a token we cannot judge: the keys were never reached.
	ReasonKeysUnavailable
	// ReasonSignature is a signature that is not that of the key or address.
	ReasonSignature
	// ReasonDomain is a signed message for another domain.
	ReasonDomain
	// ReasonIssuer is a token of an issuer that is not allowed.
	ReasonIssuer
	// ReasonAudience is a token for somebody else.
	ReasonAudience
	// ReasonClaim is a token that lacks a claim or has a value that is not allowed.
	ReasonClaim
	// ReasonNotYetValid is a token or message whose time has not come.
	ReasonNotYetValid
	// ReasonExpired is a token or message whose time is over.
	ReasonExpired
)

// String is the metric label.
func (r Reason) String() string {
	return [...]string{
		"none", "missing", "address", "secret", "malformed", "algorithm", "unknown_key", "keys_unavailable", "signature",
		"domain", "issuer", "audience", "claim", "not_yet_valid", "expired",
	}[r]
}

func (r Reason) text() string {
	return [...]string{
		"let in", "no credentials", "the address is not allowed", "the secret is not known", "the credentials cannot be read",
		"the algorithm of the token is not allowed", "the key of the token is not known", "the keys cannot be reached at present",
		"the signature is wrong", "the domain is not allowed", "the issuer is not allowed", "the audience is not allowed",
		"a claim is missing or not allowed", "the credentials are not valid yet", "the credentials have expired",
	}[r]
}

// Error is a refusal. It never shows what the client showed.
type Error struct {
	// Reason says why.
	Reason Reason
	// Strategy is the kind of strategy that refused; empty with ReasonMissing.
	Strategy Kind
}

// Error implements error.
func (e *Error) Error() string {
	if e.Strategy == "" {
		return "not authenticated: " + e.Reason.text()
	}
	return fmt.Sprintf("not authenticated by %s: %s", e.Strategy, e.Reason.text())
}

// IsMissing says whether there were no credentials to judge, rather than wrong
// ones.
func (e *Error) IsMissing() bool { return e.Reason == ReasonMissing }

// IsTemporary says whether the same credentials may be good a little later.
func (e *Error) IsTemporary() bool { return e.Reason == ReasonKeysUnavailable }
