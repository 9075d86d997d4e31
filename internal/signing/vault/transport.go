package vault

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"
)

// errElsewhere is what a standby answers that does not forward requests. Its
// redirect is not followed: the token would go to a host nobody configured.
var errElsewhere = errors.New("vault sends the request to another host")

// transport talks to Vault with the CA and the client certificate that lie in
// files, and takes new ones over.
type transport struct {
	cfg Config

	mu      sync.RWMutex // guards the fields below
	current *http.Transport
	inUse   [3][]byte // CA, certificate, key
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.RLock()
	current := t.current
	t.mu.RUnlock()
	if current == nil {
		return nil, errors.New("the TLS files are not read yet")
	}
	resp, err := current.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		resp.Body.Close()
		return nil, errElsewhere
	}
	return resp, nil
}

// reload reads the files and takes them over if they have changed. What cannot
// be used leaves what was read before in force.
func (t *transport) reload() error {
	var material [3][]byte
	for i, name := range []string{t.cfg.CAFile, t.cfg.ClientCertFile, t.cfg.ClientKeyFile} {
		if name == "" {
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read TLS files of Vault: %w", err)
		}
		material[i] = content
	}
	t.mu.RLock()
	same := t.current != nil
	for i := range material {
		same = same && bytes.Equal(material[i], t.inUse[i])
	}
	t.mu.RUnlock()
	if same {
		return nil
	}
	settings, err := t.tls(material)
	if err != nil {
		return err
	}
	next := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: settings, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 32, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: t.cfg.Timeout,
	}
	t.mu.Lock()
	before := t.current
	t.current, t.inUse = next, material
	t.mu.Unlock()
	if before != nil {
		before.CloseIdleConnections()
	}
	return nil
}

func (t *transport) tls(material [3][]byte) (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.cfg.ServerName}
	if t.cfg.CAFile != "" {
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(material[0]) {
			return nil, fmt.Errorf("caFile %s: no certificate in PEM", t.cfg.CAFile)
		}
	}
	if t.cfg.ClientCertFile != "" {
		pair, err := tls.X509KeyPair(material[1], material[2])
		if err != nil {
			return nil, fmt.Errorf("clientCertFile %s: %w", t.cfg.ClientCertFile, err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

// close lets go of idle connections.
func (t *transport) close() {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.current != nil {
		t.current.CloseIdleConnections()
	}
}
