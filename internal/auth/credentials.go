package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/slipwayhq/slipway/internal/secret"
)

// Bounds of what a client may show, in bytes. Longer credentials count as
// malformed.
const (
	maxSecretBytes    = 4 << 10
	maxTokenBytes     = 16 << 10
	maxMessageBytes   = 8 << 10
	maxSignatureBytes = 512
)

// Credentials is what a request shows of its client. It holds digests and
// secret.String only, so that it can be printed.
type Credentials struct {
	// Remote is the client's address, trusted proxies already resolved.
	Remote netip.Addr

	hasSecret    bool
	secretDigest [sha256.Size]byte // of the secret that was shown
	token        secret.String     // a JSON Web Token
	message      string            // of a sign-in with Ethereum
	signature    secret.String     // of that message
	tooLong      bool              // something was left out for its length
}

// ReadCredentials reads what a request shows. Of each kind the first place that
// has something counts: of secrets the query parameters token and secret, the
// header X-ERPC-Secret-Token and the password of Basic; of tokens Bearer and the
// parameter jwt; of signed messages the parameters message and signature and the
// headers X-Siwe-Message and X-Siwe-Signature. Remote is the client's address.
func ReadCredentials(r *http.Request, remote netip.Addr) Credentials {
	c := Credentials{Remote: remote.Unmap().WithZone("")}
	var query url.Values
	if r.URL != nil && r.URL.RawQuery != "" {
		query = r.URL.Query()
	}
	password, bearer := readAuthorization(r.Header.Get("Authorization"))
	c.setSecret(firstOf(query.Get("token"), query.Get("secret"), r.Header.Get("X-Erpc-Secret-Token"), password))
	c.setToken(firstOf(bearer, query.Get("jwt")))
	if query.Get("signature") != "" && query.Get("message") != "" {
		c.setMessage(query.Get("message"), query.Get("signature"))
	} else {
		c.setMessage(r.Header.Get("X-Siwe-Message"), r.Header.Get("X-Siwe-Signature"))
	}
	return c
}

// readAuthorization gives the password of Basic or the token of Bearer.
func readAuthorization(header string) (password, token string) {
	scheme, rest, found := strings.Cut(header, " ")
	if !found {
		return "", ""
	}
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return "", rest
	case strings.EqualFold(scheme, "Basic"):
		text, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return "", ""
		}
		_, password, _ = strings.Cut(string(text), ":")
		return password, ""
	default:
		return "", ""
	}
}

func (c *Credentials) setSecret(value string) {
	if value == "" || c.isTooLong(value, maxSecretBytes) {
		return
	}
	c.hasSecret, c.secretDigest = true, sha256.Sum256([]byte(value))
}

func (c *Credentials) setToken(value string) {
	if value != "" && !c.isTooLong(value, maxTokenBytes) {
		c.token = secret.New(value)
	}
}

// setMessage takes a signed message. It may come as base64, since a header
// cannot hold its line breaks.
func (c *Credentials) setMessage(message, signature string) {
	if message == "" || signature == "" || c.isTooLong(message, 2*maxMessageBytes) || c.isTooLong(signature, maxSignatureBytes) {
		return
	}
	if plain, err := base64.StdEncoding.DecodeString(message); err == nil {
		message = string(plain)
	}
	if !c.isTooLong(message, maxMessageBytes) {
		c.message, c.signature = message, secret.New(signature)
	}
}

func (c *Credentials) isTooLong(value string, most int) bool {
	if len(value) <= most {
		return false
	}
	c.tooLong = true
	return true
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
