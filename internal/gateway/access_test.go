package gateway

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
)

func TestAdmit(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		allow, ignore  []string
		passes, denied []string
	}{
		"nothing is said": {nil, nil, []string{"eth_call", "foo_bar", "txpool_status"}, []string{"admin_peers", "debug_traceCall", "eth_sign"}},
		"ignored":         {nil, []string{"txpool_*|eth_getLogs"}, []string{"eth_call"}, []string{"txpool_status", "eth_getLogs", "admin_peers"}},
		"allowed alone":   {[]string{"eth_*"}, nil, []string{"eth_call"}, []string{"net_version", "debug_traceCall"}},
		"allowed wins":    {[]string{"eth_call"}, []string{"eth_*"}, []string{"eth_call", "net_version"}, []string{"eth_getLogs"}},
		"all is not debug": {
			[]string{"*"}, nil, []string{"eth_call"}, []string{"debug_traceCall", "admin_peers"},
		},
		"debug is named": {
			[]string{"*", "trace_*|debug_*"}, nil, []string{"eth_call", "debug_traceCall"}, []string{"admin_peers", "eth_sign"},
		},
		"one method is named": {
			[]string{"*", "debug_traceTransaction"}, []string{"debug_traceCall"}, []string{"debug_traceTransaction"}, []string{"admin_peers"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			project := DefaultProject()
			project.AllowMethods, project.IgnoreMethods = c.allow, c.ignore
			stage, err := newAdmitStage(methods.New(), project)
			require.NoError(t, err)
			handler := stage.Wrap(miss)
			for _, method := range c.passes {
				_, err := handler(t.Context(), &Call{Method: method})
				require.ErrorIs(t, err, errMiss, method)
			}
			for _, method := range c.denied {
				_, err := handler(t.Context(), &Call{Method: method})
				var denied *DeniedError
				require.ErrorAs(t, err, &denied, method)
			}
		})
	}
	_, err := newAdmitStage(methods.New(), ProjectConfig{AllowMethods: []string{"a & b"}})
	require.ErrorContains(t, err, "allowMethods")
	require.ErrorContains(t, ProjectConfig{ID: "a", IgnoreMethods: []string{""}}.Validate(), "ignoreMethods")
}
