package gatewayapp_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/tlsfiles"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// certificate writes the certificate that httptest has for 127.0.0.1.
func certificate(t *testing.T) (files tlsfiles.Config, roots *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	own := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	require.NoError(t, err)
	files = tlsfiles.Config{CertFile: filepath.Join(t.TempDir(), "tls.crt"), KeyFile: filepath.Join(t.TempDir(), "tls.key")}
	require.NoError(t, os.WriteFile(files.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]}), 0o600))
	require.NoError(t, os.WriteFile(files.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return files, roots
}

func TestApp_TLSOnBothPorts(t *testing.T) {
	t.Parallel()

	files, roots := certificate(t)
	cfg := config(upstreamtest.New(t))
	cfg.TLS, cfg.AdminTLS = &files, &files
	app := start(t, cfg)
	client := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	t.Cleanup(client.CloseIdleConnections)

	for _, url := range []string{"https://" + app.Addr() + "/livez", "https://" + app.AdminAddr() + "/readyz"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		response, err := client.RoundTrip(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 200, response.StatusCode)
		require.Equal(t, 2, response.ProtoMajor)
		status, _ := get(t, strings.Replace(url, "https", "http", 1))
		require.Equal(t, 400, status, "nothing is served without TLS")
	}
	cfg.TLS = nil
	require.Equal(t, []string{"TLS"}, app.NeedsRestart(cfg))
}

func TestApp_TLSWithoutFilesDoesNotStart(t *testing.T) {
	t.Parallel()

	cfg := config(upstreamtest.New(t))
	cfg.TLS = &tlsfiles.Config{CertFile: "/nowhere.crt", KeyFile: "/nowhere.key"}
	app, err := gatewayapp.New(cfg, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.EqualError(t, app.Run(t.Context(), func() {}), "certificate: TLS: open /nowhere.crt: no such file or directory")

	cfg.TLS = &tlsfiles.Config{}
	_, err = gatewayapp.New(cfg, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "TLS: certificate file: is needed")
}
