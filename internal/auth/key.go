package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipwayhq/slipway/internal/secret"
)

// key verifies signatures.
type key struct {
	family    family
	algorithm string // the only one it is for; empty for all of its family
	value     any    // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or []byte
}

func (k key) isFor(algorithm string) bool {
	return k.family == familyOf(algorithm) && (k.algorithm == "" || k.algorithm == algorithm)
}

// Bounds of RSA moduli in bits. RFC 7518, 3.3 wants 2048 at least; a very large
// one makes each verification slow.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// minSecretBytes is the least length of an HMAC secret: RFC 7518, 3.2 wants the
// length of the digest, which is 32 bytes for HS256.
const minSecretBytes = 32

// staticKeys reads the keys of the configuration, by key id.
func (j JWT) staticKeys() (map[string]key, error) {
	out := map[string]key{}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(j.Keys)) {
		k, err := j.staticKey(j.Keys[id])
		if err != nil {
			errs = append(errs, fmt.Errorf("key %q: %w", id, err))
		}
		out[id] = k
	}
	return out, errors.Join(errs...)
}

// staticKey reads PEM, or a secret where an HS algorithm is allowed. Its errors
// do not show the key.
func (j JWT) staticKey(from secret.String) (key, error) {
	text := strings.TrimSpace(from.Reveal())
	if strings.Contains(text, "-----BEGIN") {
		return parsePEM(text)
	}
	if !slices.ContainsFunc(j.Algorithms, func(a string) bool { return familyOf(a) == familyHMAC }) {
		return key{}, errors.New("is no PEM; a secret needs HS256, HS384 or HS512 among the allowed algorithms")
	}
	if len(text) < minSecretBytes {
		return key{}, fmt.Errorf("a secret needs %d bytes at least", minSecretBytes)
	}
	return key{family: familyHMAC, value: []byte(text)}, nil
}

func parsePEM(text string) (key, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return key{}, errors.New("the PEM cannot be read")
	}
	switch block.Type {
	case "PUBLIC KEY", "EC PUBLIC KEY":
		return anyKey(x509.ParsePKIXPublicKey(block.Bytes))
	case "RSA PUBLIC KEY":
		if k, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
			return publicKey(k)
		}
		return anyKey(x509.ParsePKIXPublicKey(block.Bytes))
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return key{}, errors.New("the certificate cannot be read")
		}
		return publicKey(certificate.PublicKey)
	default:
		return key{}, errors.New("the PEM is no public key")
	}
}

func anyKey(value any, err error) (key, error) {
	if err != nil {
		return key{}, errors.New("the public key cannot be read")
	}
	return publicKey(value)
}

func publicKey(value any) (key, error) {
	switch k := value.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return key{}, fmt.Errorf("an RSA key must have %d to %d bits", minRSABits, maxRSABits)
		}
		return key{family: familyRSA, value: k}, nil
	case *ecdsa.PublicKey:
		return key{family: familyECDSA, value: k}, nil
	case ed25519.PublicKey:
		return key{family: familyEdDSA, value: k}, nil
	default:
		return key{}, errors.New("is of a kind that no algorithm uses")
	}
}
