package config

import "github.com/slipwayhq/slipway/internal/tlsfiles"

// TLSServerFile is a section tls of a port that is listened on.
type TLSServerFile struct {
	// Whether clients are served with TLS, and only so.
	Enabled bool `yaml:"enabled"`
	// File of the certificate chain, PEM. It is read again when it changes.
	CertFile string `yaml:"certFile,omitempty"`
	// File of the certificate's private key, PEM. It is read again when it changes.
	KeyFile string `yaml:"keyFile,omitempty"`
	// File of the CAs, PEM, by one of which the certificate that every client then needs must be signed.
	CAFile string `yaml:"caFile,omitempty"`
}

// apply gives the files to serve with; nil serves without TLS. Files that are
// named and not used are said so: somebody believes in them.
func (f *TLSServerFile) apply(path string, r *report) *tlsfiles.Config {
	if f == nil {
		return nil
	}
	if !f.Enabled {
		if f.CertFile != "" || f.KeyFile != "" || f.CAFile != "" {
			r.warn(path, r.places[path], "enabled is not true, clients are served without TLS")
		}
		return nil
	}
	for _, file := range []struct{ key, value string }{{"certFile", f.CertFile}, {"keyFile", f.KeyFile}} {
		if file.value == "" {
			r.fail(path+"."+file.key, "is needed")
		}
	}
	return &tlsfiles.Config{CertFile: f.CertFile, KeyFile: f.KeyFile, CAFile: f.CAFile}
}
