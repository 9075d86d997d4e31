package tlsfiles

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/lifecycle"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
)

// authority signs certificates of tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(tb testing.TB, name string) authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(tb, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(tb, err)
	return authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue makes a certificate for 127.0.0.1 and its key, both PEM.
func (a authority) issue(tb testing.TB, name string) (cert, key []byte) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	require.NoError(tb, err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(tb, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// folder holds files as Kubernetes mounts a secret: the names are links into a
// folder that is itself a link, and a change moves that one link.
type folder struct {
	dir     string
	version int
}

func (f *folder) config(withCA bool) Config {
	c := Config{CertFile: filepath.Join(f.dir, "tls.crt"), KeyFile: filepath.Join(f.dir, "tls.key")}
	if withCA {
		c.CAFile = filepath.Join(f.dir, "ca.crt")
	}
	return c
}

func (f *folder) put(tb testing.TB, cert, key, ca []byte) {
	tb.Helper()
	f.version++
	name := "..v" + string(rune('0'+f.version))
	require.NoError(tb, os.Mkdir(filepath.Join(f.dir, name), 0o700))
	for file, text := range map[string][]byte{"tls.crt": cert, "tls.key": key, "ca.crt": ca} {
		require.NoError(tb, os.WriteFile(filepath.Join(f.dir, name, file), text, 0o600))
		if f.version == 1 {
			require.NoError(tb, os.Symlink(filepath.Join("..data", file), filepath.Join(f.dir, file)))
		}
	}
	next := filepath.Join(f.dir, "..next")
	require.NoError(tb, os.Symlink(name, next))
	require.NoError(tb, os.Rename(next, filepath.Join(f.dir, "..data")))
}

// serve runs a server over the files; its clients are told what they speak and
// who they are.
func serve(t *testing.T, f *Files) (address string) {
	t.Helper()
	at := make(chan net.Addr, 1)
	server := &lifecycle.HTTPServer{
		Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), TLS: f.Server(), UnencryptedHTTP2: true,
		OnListen: func(a net.Addr) { at <- a },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name := ""
			if len(r.TLS.PeerCertificates) > 0 {
				name = " " + r.TLS.PeerCertificates[0].Subject.CommonName
			}
			_, _ = io.WriteString(w, r.Proto+name)
		}),
	}
	lifecycletest.Start(t, server.Run)
	return (<-at).String()
}

// client trusts an authority.
func client(t *testing.T, trusted authority, more func(*http.Transport)) *http.Transport {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(trusted.cert)
	out := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	if more != nil {
		more(out)
	}
	t.Cleanup(out.CloseIdleConnections)
	return out
}

// get says what the server answers, and which name its certificate has.
func get(t *testing.T, c *http.Transport, address string) (text, server string, err error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, nil)
	require.NoError(t, err)
	response, err := c.RoundTrip(request)
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), response.TLS.PeerCertificates[0].Subject.CommonName, err
}

// read makes files that have read once.
func read(t *testing.T, cfg Config, log io.Writer) *Files {
	t.Helper()
	f := New(cfg, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, f.Run(ctx, cancel))
	return f
}

func TestFiles_NewOnesHoldForNewConnections(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	files := &folder{dir: t.TempDir()}
	cert, key := ca.issue(t, "first")
	files.put(t, cert, key, nil)
	f := read(t, files.config(false), io.Discard)
	address := serve(t, f)

	for name, protocols := range map[string]func(*http.Transport){
		"HTTP/2.0": nil,
		"HTTP/1.1": func(c *http.Transport) { c.Protocols = new(http.Protocols); c.Protocols.SetHTTP1(true) },
	} {
		text, server, err := get(t, client(t, ca, protocols), address)
		require.NoError(t, err)
		require.Equal(t, name, text)
		require.Equal(t, "first", server)
	}

	open := client(t, ca, nil)
	_, _, err := get(t, open, address)
	require.NoError(t, err)
	cert, key = ca.issue(t, "second")
	files.put(t, cert, key, nil)
	f.look(t.Context())

	_, server, err := get(t, open, address)
	require.NoError(t, err)
	require.Equal(t, "first", server, "the open connection goes on")
	_, server, err = get(t, client(t, ca, nil), address)
	require.NoError(t, err)
	require.Equal(t, "second", server)
}

func TestFiles_ClientsNeedACertificate(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	files := &folder{dir: t.TempDir()}
	cert, key := ca.issue(t, "server")
	files.put(t, cert, key, ca.pem)
	f := read(t, files.config(true), io.Discard)
	address := serve(t, f)
	with := func(from authority) *http.Transport {
		cert, key := from.issue(t, "alice")
		pair, err := tls.X509KeyPair(cert, key)
		require.NoError(t, err)
		return client(t, ca, func(c *http.Transport) {
			c.TLSClientConfig.Certificates = []tls.Certificate{pair}
			c.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		})
	}

	_, _, err := get(t, client(t, ca, nil), address)
	require.Error(t, err) // in which words depends on who notices first
	_, _, err = get(t, with(other), address)
	require.Error(t, err)
	alice := with(ca)
	text, _, err := get(t, alice, address)
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0 alice", text)

	files.put(t, cert, key, other.pem)
	f.look(t.Context())
	alice.CloseIdleConnections()
	_, _, err = get(t, alice, address)
	require.Error(t, err, "who was let in by the old CA is not let in by a ticket")
	_, _, err = get(t, with(other), address)
	require.NoError(t, err)
}

func TestFiles_OldTLSIsNotSpoken(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	files := &folder{dir: t.TempDir()}
	cert, key := ca.issue(t, "server")
	files.put(t, cert, key, nil)
	old := client(t, ca, func(c *http.Transport) {
		c.TLSClientConfig.MinVersion, c.TLSClientConfig.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	})

	_, _, err := get(t, old, serve(t, read(t, files.config(false), io.Discard)))

	require.ErrorContains(t, err, "protocol version")
}

func TestFiles_BrokenOnesLeaveTheOldInForceAndAreSaidOnce(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	cert, key := ca.issue(t, "first")
	otherCert, otherKey := ca.issue(t, "second")
	files := &folder{dir: t.TempDir()}
	files.put(t, cert, key, nil)
	var log bytes.Buffer
	f := read(t, files.config(false), &log)
	first := f.current.Load()

	files.put(t, otherCert, key, nil)
	f.look(t.Context())
	require.NotContains(t, log.String(), "cannot be used", "the key may be on its way")
	for range 5 {
		f.look(t.Context())
	}
	require.Equal(t, 1, strings.Count(log.String(), "cannot be used"), log.String())
	require.Same(t, first, f.current.Load())

	files.put(t, otherCert, otherKey, nil)
	f.look(t.Context())
	require.NotSame(t, first, f.current.Load())
	require.NoError(t, os.Remove(filepath.Join(files.dir, "tls.crt")))
	for range 3 {
		f.look(t.Context())
	}
	require.Equal(t, 2, strings.Count(log.String(), "cannot be used"), log.String())
}

func TestFiles_RunLooksAgain(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	files := &folder{dir: t.TempDir()}
	cert, key := ca.issue(t, "first")
	files.put(t, cert, key, nil)
	synctest.Test(t, func(t *testing.T) {
		f := New(files.config(false), slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx, func() {}) }()
		synctest.Wait()
		first := f.current.Load()
		cert, key := ca.issue(t, "second")
		files.put(t, cert, key, nil)

		<-time.After(pollInterval)
		synctest.Wait()

		require.NotSame(t, first, f.current.Load())
		stop()
		require.NoError(t, <-done)
	})
}

func TestFiles_BadOnesAtTheStartAreOneLine(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	cert, key := ca.issue(t, "server")
	_, otherKey := ca.issue(t, "other")
	cases := map[string]struct {
		cert, key, ca []byte
		want          string
	}{
		"key of another": {cert, otherKey, ca.pem, "private key does not match public key"},
		"no certificate": {[]byte("hello"), key, ca.pem, "failed to find any PEM data in certificate input"},
		"empty CA":       {cert, key, []byte("hello"), "ca.crt: holds no certificate"},
		"huge":           {cert, key, make([]byte, maxFileBytes+1), "ca.crt: larger than 1048576 bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := &folder{dir: t.TempDir()}
			files.put(t, c.cert, c.key, c.ca)
			err := New(files.config(true), slog.New(slog.DiscardHandler)).Run(t.Context(), func() { t.Error("is not ready") })
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	err := New(Config{CertFile: "/nowhere.crt", KeyFile: "/nowhere.key"}, slog.New(slog.DiscardHandler)).Run(t.Context(), nil)
	require.EqualError(t, err, "TLS: open /nowhere.crt: no such file or directory")
	require.EqualError(t, Config{}.Validate(), "certificate file: is needed\nkey file: is needed")
	_, err = New(Config{}, slog.New(slog.DiscardHandler)).Server().GetConfigForClient(nil)
	require.ErrorIs(t, err, errNotRead)
}
