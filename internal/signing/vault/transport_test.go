package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/signing"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{cert, key}
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue makes a certificate for vault.test and its key.
func (a authority) issue(t *testing.T) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"vault.test"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	require.NoError(t, os.WriteFile(name, content, 0o600))
	return name
}

// Vault behind TLS that asks for a certificate; then everything is replaced.
func TestTransport_TLSAndItsRotation(t *testing.T) {
	t.Parallel()
	s := ready(t)
	target, err := url.Parse(s.Address)
	require.NoError(t, err)
	front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(target))
	var settings atomic.Pointer[tls.Config]
	use := func(a authority) {
		cert, key := a.issue(t)
		pair, err := tls.X509KeyPair(cert, key)
		require.NoError(t, err)
		pool := x509.NewCertPool()
		pool.AddCert(a.cert)
		settings.Store(&tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})
	}
	front.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return settings.Load(), nil }}
	first, second := newAuthority(t), newAuthority(t)
	use(first)
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)

	dir := t.TempDir()
	cert, key := first.issue(t)
	cfg := tokenConfig(s, s.NewToken(t, "signer", "1h"))
	cfg.Address, cfg.ServerName = front.URL, "vault.test"
	cfg.CAFile = write(t, filepath.Join(dir, "ca.pem"), first.pem())
	cfg.ClientCertFile, cfg.ClientKeyFile = write(t, filepath.Join(dir, "tls.crt"), cert), write(t, filepath.Join(dir, "tls.key"), key)
	c := client(t, cfg)
	signer := digestSigners(t, c)
	requireSigns(t, signer)

	use(second)
	front.CloseClientConnections()
	require.Eventually(t, func() bool { // the first call may meet the connection that was cut
		_, err = signer.Sign(t.Context(), [32]byte{1})
		var unavailable *signing.UnavailableError
		return errors.As(err, &unavailable) && strings.Contains(err.Error(), "certificate is not trusted")
	}, 10*time.Second, 10*time.Millisecond, "%v", &err)

	write(t, cfg.CAFile, []byte("half a file"))
	require.ErrorContains(t, c.transport.reload(), "no certificate in PEM")
	cert, key = second.issue(t)
	write(t, cfg.CAFile, second.pem())
	write(t, cfg.ClientCertFile, cert)
	require.Error(t, c.transport.reload(), "a certificate beside an old key is not used")
	write(t, cfg.ClientKeyFile, key)
	require.NoError(t, c.transport.reload())
	requireSigns(t, signer)
}

// What a load balancer, a standby or a proxy says in Vault's place.
func TestClassify_WhatAnswersInVaultsPlace(t *testing.T) {
	t.Parallel()
	s := ready(t)
	target, err := url.Parse(s.Address)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	var answer atomic.Pointer[http.HandlerFunc]
	var stolen, namespaces atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	t.Cleanup(other.Close)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Namespace") == "team/a" {
			namespaces.Add(1)
			r.Header.Del("X-Vault-Namespace") // the free Vault has none
		}
		if h := answer.Load(); h != nil {
			(*h)(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	cfg := tokenConfig(s, s.NewToken(t, "signer", "1h"))
	cfg.Address, cfg.Namespace, cfg.Timeout = front.URL, "team/a", 500*time.Millisecond
	signer := digestSigners(t, client(t, cfg))
	require.Positive(t, namespaces.Load())

	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	cases := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"sealed":     {status(503), "sealed or not ready"},
		"overloaded": {status(429), "status 429"},
		"broken":     {status(502), "status 502"},
		"standby": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
		}, "standby"},
		"slow": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-stop:
			}
		}, "did not answer within 500ms"},
		"cut off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "cannot be reached"},
	}
	for name, c := range cases {
		answer.Store(&c.answer)
		_, err := signer.Sign(t.Context(), [32]byte{1})
		var unavailable *signing.UnavailableError
		require.ErrorAs(t, err, &unavailable, name)
		require.ErrorContains(t, err, c.want, name)
	}
	require.Zero(t, stolen.Load(), "the token follows no redirect")

	wrong := map[string]string{
		"no JSON":          `<html>`,
		"nothing":          `{}`,
		"no signature":     `{"data":{"signature":7}}`,
		"short r":          `{"data":{"signature":"AQ=="}}`,
		"zero":             `{"data":{"signature":"0x` + zeros(128) + `"}}`,
		"of another key":   `{"data":{"signature":"0x` + zeros(63) + `1` + zeros(63) + `1"}}`,
		"no transactions?": `{"data":{"signed_transaction":"0x00"}}`,
	}
	for name, body := range wrong {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
		answer.Store(&h)
		_, err := signer.Sign(t.Context(), [32]byte{1})
		require.Error(t, err, name)
		require.True(t, isClassified(err), "%s: %v", name, err)
	}
	answer.Store(nil)
	requireSigns(t, signer)
}

func zeros(n int) string { return strings.Repeat("0", n) }

func isClassified(err error) bool {
	var permanent *signing.PermanentError
	var unavailable *signing.UnavailableError
	return errors.As(err, &permanent) || errors.As(err, &unavailable)
}
