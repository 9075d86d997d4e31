package api

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// textHeaders are the headers whose values are looked up or kept.
func textHeaders() []string {
	return []string{
		"Idempotency-Key", "X-Idempotency-Key", "X-Auth-Challenge-Response", "X-Auth-Challenge-Id", "X-Auth-Verification-Id", "Last-Event-Id",
	}
}

// readableTexts refuses requests whose path, parameters or headers are no texts:
// what is not UTF-8 or has a NUL character names nothing, and the database would
// fail at it. Bodies are looked at where they are read.
func (s *server) readableTexts(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := checkTexts(c.Request())
		switch {
		case err == nil:
			return next(c)
		case c.Path() == "/":
			return s.writeRPC(c, http.StatusBadRequest, jsonrpc.AppendError(nil, nil, jsonrpc.NewError(jsonrpc.CodeInvalidRequest, err.Error())))
		default:
			return err
		}
	}
}

func checkTexts(r *http.Request) error {
	if !isText(r.URL.Path) {
		return invalid("the path is not UTF-8 without NUL")
	}
	for _, name := range textHeaders() {
		if !isText(r.Header.Get(name)) {
			return invalid("the header " + name + " is not UTF-8 without NUL")
		}
	}
	if r.URL.RawQuery == "" {
		return nil
	}
	// What the URL library cannot read it leaves out without a word.
	parameters, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalid("the query cannot be read")
	}
	for name, values := range parameters {
		if !isText(name) || !isText(strings.Join(values, "")) {
			return invalid("a query parameter is not UTF-8 without NUL")
		}
	}
	return nil
}

func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
