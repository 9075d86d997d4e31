package gateway

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
)

func TestDirectives(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		allowed, query string
		header         map[string]string
		defaults, want Directives
	}{
		"none":                    {"*", "", nil, Directives{RetryEmpty: true}, Directives{RetryEmpty: true}},
		"a header":                {"*", "", map[string]string{"X-ERPC-Skip-Cache-Read": "true"}, Directives{}, Directives{SkipCacheRead: true}},
		"the query":               {"*", "?skip-consensus=true&use-upstream=besu-*", nil, Directives{}, Directives{SkipConsensus: true, UseUpstream: "besu-*"}},
		"the query wins":          {"*", "?retry-empty=false", map[string]string{"X-ERPC-Retry-Empty": "true"}, Directives{}, Directives{}},
		"only true is true":       {"*", "?skip-interpolation=1", nil, Directives{}, Directives{}},
		"a default is taken back": {"*", "?retry-pending=false", nil, Directives{RetryPending: true}, Directives{}},
		"not allowed":             {"retry-*", "?use-upstream=a&retry-empty=true", map[string]string{"X-ERPC-Skip-Cache-Read": "true"}, Directives{}, Directives{RetryEmpty: true}},
		"a broken query":          {"*", "?retry-empty=%zz", nil, Directives{}, Directives{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			allowed, err := methods.ParsePattern(c.allowed)
			require.NoError(t, err)
			request := httptest.NewRequestWithContext(t.Context(), "POST", "/"+c.query, nil)
			for field, value := range c.header {
				request.Header.Set(field, value)
			}
			reader := newDirectiveReader(allowed)
			got := c.defaults
			reader.read(&got, request)
			require.Equal(t, c.want, got)
		})
	}
}
