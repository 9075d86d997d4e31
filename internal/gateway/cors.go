package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// CORS says which web pages may read the answers, as browsers ask by the CORS
// protocol of the Fetch standard. Credentials of browsers, such as cookies, are
// never allowed: the gateway has no use for them.
type CORS struct {
	// AllowedOrigins are origins, such as https://app.example.org, all below a
	// domain, as https://*.example.org, or "*" for every page. Empty allows none.
	AllowedOrigins []string
	// AllowedMethods are the HTTP methods that pages may use.
	AllowedMethods []string
	// AllowedHeaders are the request header fields that pages may set. "*" is every
	// field but Authorization, which must be named.
	AllowedHeaders []string
	// MaxAge is how long a browser may remember the answer, in whole seconds.
	MaxAge time.Duration
}

// DefaultCORS lets every page in, as public nodes do: answers are the same for
// everybody.
func DefaultCORS() CORS {
	return CORS{
		AllowedOrigins: []string{"*"},
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowedHeaders: []string{"*", "Authorization"},
		MaxAge:         2 * time.Hour, // Chromium remembers no longer
	}
}

// Validate reports everything that is wrong.
func (c CORS) Validate() error {
	var errs []error
	for _, origin := range c.AllowedOrigins {
		if !isOriginPattern(origin) {
			errs = append(errs, fmt.Errorf("CORS origin %q: must be *, https://host[:port] or https://*.domain", origin))
		}
	}
	for _, method := range c.AllowedMethods {
		if !isToken(method) {
			errs = append(errs, fmt.Errorf("CORS method %q: is no HTTP method", method))
		}
	}
	for _, field := range c.AllowedHeaders {
		if !isToken(field) {
			errs = append(errs, fmt.Errorf("CORS header %q: is no name of a header field", field))
		}
	}
	if c.MaxAge < 0 {
		errs = append(errs, errors.New("CORS max age: must not be negative"))
	}
	return errors.Join(errs...)
}

// isOriginPattern keeps to what browsers can send: a scheme, a host and perhaps
// a port. An asterisk is the whole of a host's first label.
func isOriginPattern(s string) bool {
	if s == "*" {
		return true
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || s != u.Scheme+"://"+u.Host {
		return false
	}
	host := strings.TrimPrefix(u.Host, "*.")
	return host != "" && !strings.Contains(host, "*") && !strings.HasPrefix(host, ".")
}

// isToken says whether s is a token of HTTP (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		isAlphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !isAlphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// cors is a CORS made ready: header values are built once and never changed.
type cors struct {
	isAny bool
	exact map[string]bool
	wild  []wildOrigin

	any, methods, headers, maxAge, vary []string
}

// wildOrigin is an origin with one asterisk, cut there.
type wildOrigin struct{ before, after string }

func newCORS(c CORS) *cors {
	made := &cors{
		exact:   map[string]bool{},
		any:     []string{"*"},
		methods: []string{strings.Join(c.AllowedMethods, ", ")},
		headers: []string{strings.Join(c.AllowedHeaders, ", ")},
		maxAge:  []string{strconv.FormatInt(int64(c.MaxAge/time.Second), 10)},
	}
	for _, origin := range c.AllowedOrigins {
		before, after, isWild := strings.Cut(strings.ToLower(origin), "*")
		switch {
		case origin == "*":
			made.isAny = true
		case isWild:
			made.wild = append(made.wild, wildOrigin{before, after})
		default:
			made.exact[before] = true
		}
	}
	if !made.isAny && len(c.AllowedOrigins) > 0 {
		made.vary = []string{"Origin"}
	}
	return made
}

// allows says whether a page of this origin may read answers.
func (c *cors) allows(origin string) bool {
	if c.isAny || c.exact[origin] {
		return true
	}
	for _, w := range c.wild {
		if w.matches(origin) {
			return true
		}
	}
	return false
}

// matches wants a name in the place of the asterisk, and nothing that could end
// the host before the domain.
func (w wildOrigin) matches(origin string) bool {
	rest, hasBefore := strings.CutPrefix(origin, w.before)
	name, hasAfter := strings.CutSuffix(rest, w.after)
	return hasBefore && hasAfter && name != "" && !strings.ContainsAny(name, "/:@?#\\")
}

// allow writes the fields that every answer to a page needs. It says whether
// the request comes from a page that is let in.
func (c *cors) allow(header http.Header, r *http.Request) bool {
	if c.vary != nil {
		header["Vary"] = c.vary // whether the page is let in or not
	}
	origin := r.Header["Origin"]
	if len(origin) != 1 || !c.allows(origin[0]) {
		return false
	}
	header["Access-Control-Expose-Headers"] = c.any
	header["Access-Control-Allow-Origin"] = origin
	if c.isAny {
		header["Access-Control-Allow-Origin"] = c.any
	}
	return true
}

// allowedMethods are what the gateway answers.
const allowedMethods = "GET, HEAD, OPTIONS, POST"

// serveOptions answers OPTIONS: a browser's question before its request, or
// anybody's which methods there are. A page that is not let in learns it from
// what is missing.
func (c *cors) serveOptions(w http.ResponseWriter, isAllowed bool) {
	header := w.Header()
	header.Set("Allow", allowedMethods)
	if isAllowed {
		header["Access-Control-Allow-Methods"] = c.methods
		header["Access-Control-Allow-Headers"] = c.headers
		header["Access-Control-Max-Age"] = c.maxAge
	}
	w.WriteHeader(http.StatusNoContent)
}
