package config

import (
	"strings"

	"github.com/slipwayhq/slipway/internal/gateway"
)

// responseHeaders are the header fields that are added to every answer.
func (s ServerFile) responseHeaders(r *report) map[string]string {
	for name, value := range s.ResponseHeaders {
		if err := gateway.CheckAnswerHeader(name, value); err != nil {
			r.fail("server.responseHeaders."+name, "%s", err)
		}
	}
	return s.ResponseHeaders
}

// forwardHeaders are the header fields of clients that go on to the nodes. What
// shows the gateway who its clients are is not shown to nodes.
func (p ProjectFile) forwardHeaders(path string, r *report) []string {
	isKnown := p.Auth != nil && len(p.Auth.Strategies) > 0
	for i, name := range p.ForwardHeaders {
		at := spot{path: path}.item(i).path
		if err := gateway.CheckForwardedHeader(name); err != nil {
			r.fail(at, "%s", err)
		} else if isKnown && strings.EqualFold(name, "Authorization") {
			r.fail(at, "shows the gateway who the clients are, as auth says, and does not go on")
		}
	}
	return p.ForwardHeaders
}
