package clustertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pki are the files of a small authority.
type pki struct {
	ca             string
	serving, admin pair
}

type pair struct{ cert, key string }

// Addresses within a cluster: of Services, of the API server's own Service, which
// is the first of these, and of the machine whose pods run.
const (
	serviceRange  = "10.96.0.0/16"
	serverService = "10.96.0.1"
	nodeAddress   = "10.244.0.1"
)

// writePKI makes an authority and what it signs: a server that is found at
// 127.0.0.1 and by pods, and an administrator, by the group that Kubernetes
// allows everything.
func writePKI(dir string) (pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return pki{}, fmt.Errorf("make a folder: %w", err)
	}
	authority := template("test authority", 1)
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	key, files, err := issue(dir, "ca", authority, authority, nil)
	if err != nil {
		return pki{}, err
	}
	out := pki{ca: files.cert}
	server := template("kube-apiserver", 2)
	server.IPAddresses = []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP(serverService), net.ParseIP(nodeAddress)}
	server.DNSNames = []string{"kubernetes.default.svc"}
	if _, out.serving, err = issue(dir, "server", server, authority, key); err != nil {
		return pki{}, err
	}
	admin := template("admin", 3)
	admin.Subject.Organization = []string{"system:masters"}
	_, out.admin, err = issue(dir, "admin", admin, authority, key)
	return out, err
}

func template(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// issue signs a certificate, with its own key where signer is nil.
func issue(dir, name string, cert, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, pair{}, fmt.Errorf("make a key: %w", err)
	}
	if signer == nil {
		signer = key
	}
	signed, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), signer)
	if err != nil {
		return nil, pair{}, fmt.Errorf("sign a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, pair{}, fmt.Errorf("write a key: %w", err)
	}
	files := pair{cert: filepath.Join(dir, name+".crt"), key: filepath.Join(dir, name+".key")}
	for path, block := range map[string]*pem.Block{
		files.cert: {Type: "CERTIFICATE", Bytes: signed}, files.key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, pair{}, fmt.Errorf("write a certificate: %w", err)
		}
	}
	return key, files, nil
}

func pemOf(certificate []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}
