package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoadGateway_Headers(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/headers.yaml", environment())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"Strict-Transport-Security": "max-age=63072000"}, got.App.Front.ResponseHeaders)
	require.Equal(t, []string{"X-Tenant", "X-Request-Id", "Authorization"}, got.App.Projects[0].ForwardHeaders)
	text, err := got.YAML()
	require.NoError(t, err)
	require.Contains(t, string(text), "Strict-Transport-Security: max-age=63072000")
	require.Contains(t, string(text), "- X-Tenant")
}
