package access

import "errors"

// Errors of callers and of those who manage keys.
var (
	// ErrMissing says that a request shows no credentials.
	ErrMissing = errors.New("credentials are missing: an API key, a bearer token or a client certificate is needed")
	// ErrProxied says that a request shows no credentials and came through a proxy, so
	// that its network is not known.
	ErrProxied = errors.New("credentials are missing, and a proxy that is not listed under access.trustedProxies hides the network of the caller")
	// ErrWebPage says that a request would be let in by its network if it did not come
	// from a web page, or under a host name that is not known to be this signer's.
	ErrWebPage = errors.New("a web page, or a host name that is not listed under access.hosts, is not let in by its network")
	// ErrKey says that an API key is unknown, expired or revoked; which, is not told.
	ErrKey = errors.New("the API key is not valid")
	// ErrCertificate says that no rule knows a client certificate.
	ErrCertificate = errors.New("no rule knows the client certificate")
	// ErrUnavailable says that credentials cannot be judged now.
	ErrUnavailable = errors.New("credentials cannot be judged at present")
	// ErrNoKey says that there is no such key in the tenant.
	ErrNoKey = errors.New("there is no such API key")
	// ErrNameTaken says that a caller of this name has active keys.
	ErrNameTaken = errors.New("the name has an active key: rotate that one, or choose another name")
	// ErrTooMany says that both keys of a caller are active.
	ErrTooMany = errors.New("two keys of this name are active: revoke one of them first")
	// ErrInvalid says that a key cannot be made as asked; the text says why.
	ErrInvalid = errors.New("the API key cannot be made")
)

// TokenError says why a token was refused. It never shows the token.
type TokenError struct{ Why string }

func (e *TokenError) Error() string { return e.Why }
