package config

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/tlsfiles"
)

func TestLoadGateway_TLS(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/tls.yaml", environment())

	require.NoError(t, err)
	require.Equal(t, &tlsfiles.Config{CertFile: "/tls/tls.crt", KeyFile: "/tls/tls.key", CAFile: "/tls/ca.crt"}, got.App.TLS)
	require.Equal(t, &tlsfiles.Config{CertFile: "/tls/tls.crt", KeyFile: "/tls/tls.key"}, got.App.AdminTLS)
	text, err := got.YAML()
	require.NoError(t, err)
	again, err := parseGateway("effective", bytes.ReplaceAll(text, []byte("[redacted]"), []byte("http://node:8545")), environment())
	require.NoError(t, err)
	require.Equal(t, got.App.TLS, again.App.TLS)
	require.Equal(t, got.App.AdminTLS, again.App.AdminTLS)

	got, err = LoadGateway("testdata/good/without-effect.yaml", environment())
	require.NoError(t, err)
	require.Nil(t, got.App.TLS, "enabled is not said")
}
