package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Files are certificates and keys in PEM: an authority's, and those of a server
// at 127.0.0.1 and of a client, which the authority signed.
type Files struct{ CA, ServerCert, ServerKey, ClientCert, ClientKey string }

// Certificates makes new ones in a folder of the test's own.
func Certificates(tb testing.TB) Files {
	tb.Helper()
	dir := tb.TempDir()
	files := Files{
		CA:         filepath.Join(dir, "ca.pem"),
		ServerCert: filepath.Join(dir, "server.pem"), ServerKey: filepath.Join(dir, "server.key"),
		ClientCert: filepath.Join(dir, "client.pem"), ClientKey: filepath.Join(dir, "client.key"),
	}
	authority := template(1, "test authority")
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	key := newKey(tb)
	writePEM(tb, files.CA, "CERTIFICATE", sign(tb, authority, authority, key, key))
	for i, pair := range [][2]string{{files.ServerCert, files.ServerKey}, {files.ClientCert, files.ClientKey}} {
		own := newKey(tb)
		writePEM(tb, pair[0], "CERTIFICATE", sign(tb, template(int64(i+2), "test"), authority, own, key))
		text, err := x509.MarshalECPrivateKey(own)
		require.NoError(tb, err)
		writePEM(tb, pair[1], "EC PRIVATE KEY", text)
	}
	return files
}

func template(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	return key
}

func sign(tb testing.TB, of, by *x509.Certificate, own, signer *ecdsa.PrivateKey) []byte {
	tb.Helper()
	text, err := x509.CreateCertificate(rand.Reader, of, by, &own.PublicKey, signer)
	require.NoError(tb, err)
	return text
}

func writePEM(tb testing.TB, path, kind string, text []byte) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: text}), 0o600))
}

func (f Files) clientConfig(tb testing.TB) *tls.Config {
	tb.Helper()
	text, err := os.ReadFile(f.CA)
	require.NoError(tb, err)
	pool := x509.NewCertPool()
	require.True(tb, pool.AppendCertsFromPEM(text))
	pair, err := tls.LoadX509KeyPair(f.ClientCert, f.ClientKey)
	require.NoError(tb, err)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}
