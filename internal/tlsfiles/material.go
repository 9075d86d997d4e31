package tlsfiles

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
)

// Config names the files.
type Config struct {
	// CertFile holds the certificate chain, PEM, the server's own one first.
	CertFile string
	// KeyFile holds the private key of the certificate, PEM.
	KeyFile string
	// CAFile holds the certificates, PEM, by one of which those of clients must be
	// signed; empty asks clients for none.
	CAFile string
	// MayBeMissing lets clients in without a certificate as well; one that is shown
	// must be signed by the CA all the same.
	MayBeMissing bool
}

// Validate reports everything that is wrong with the settings. Whether the
// files are there, Run tells.
func (c Config) Validate() error {
	var errs []error
	if c.CertFile == "" {
		errs = append(errs, errors.New("certificate file: is needed"))
	}
	if c.KeyFile == "" {
		errs = append(errs, errors.New("key file: is needed"))
	}
	return errors.Join(errs...)
}

// material is the content of the files.
type material struct{ cert, key, ca []byte }

func (m material) equal(other material) bool {
	return bytes.Equal(m.cert, other.cert) && bytes.Equal(m.key, other.key) && bytes.Equal(m.ca, other.ca)
}

// maxFileBytes bounds a file. The bundle of all public CAs has a quarter of it.
const maxFileBytes = 1 << 20

// read reads the files. Its errors name a file and show nothing of its content.
func (c Config) read() (material, error) {
	var m material
	for _, file := range []struct {
		path string
		to   *[]byte
	}{{c.CertFile, &m.cert}, {c.KeyFile, &m.key}, {c.CAFile, &m.ca}} {
		if file.path == "" {
			continue
		}
		text, err := readFile(file.path)
		if err != nil {
			return material{}, err
		}
		*file.to = text
	}
	return m, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err // names the file
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFileBytes)
	}
	return text, nil
}

// server makes the settings of a server. TLS 1.0 and 1.1 are not spoken
// (RFC 8996).
func (c Config) server(m material) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(m.cert, m.key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", c.CertFile, c.KeyFile, err)
	}
	out := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if c.CAFile == "" {
		return out, nil
	}
	out.ClientCAs = x509.NewCertPool()
	if !out.ClientCAs.AppendCertsFromPEM(m.ca) {
		return nil, fmt.Errorf("CA %s: holds no certificate", c.CAFile)
	}
	out.ClientAuth = tls.RequireAndVerifyClientCert
	if c.MayBeMissing {
		out.ClientAuth = tls.VerifyClientCertIfGiven
	}
	// A ticket would let in again whom the CA of today does not know.
	out.SessionTicketsDisabled = true
	return out, nil
}
