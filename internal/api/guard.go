package api

import (
	"errors"
	"net"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"
)

// errForeignOrigin says that a web page of another origin, or a name that only
// points to this machine, is behind a request.
var errForeignOrigin = errors.New("request from a foreign origin")

// guardLocal refuses what a browser sends on behalf of a web page from
// elsewhere. Listening on loopback keeps other machines out, but not the pages
// their user has open: those may post to 127.0.0.1, directly (Origin) or under
// a name that was re-bound to it (Host).
func guardLocal(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if r := c.Request(); !isLocalHost(r.Host) || !isLocalOrigin(r.Header) {
			return errForeignOrigin
		}
		return next(c)
	}
}

func isLocalOrigin(h http.Header) bool {
	origin := h.Get("Origin")
	if origin == "" {
		return true // no browser, or a page from here
	}
	u, err := url.Parse(origin)
	return err == nil && isLocalHost(u.Host)
}

// isLocalHost says whether a host, with or without port, is this machine's
// loopback by its very spelling.
func isLocalHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
