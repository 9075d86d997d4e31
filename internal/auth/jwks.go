package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
)

// maxPublishedKeys bounds a key set; issuers publish a handful.
const maxPublishedKeys = 100

// publishedKey is a JSON Web Key (RFC 7517) as far as it is needed.
type publishedKey struct {
	Kty string `json:"kty"`
	Kid string `json:"kid"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Crv string `json:"crv"`
	N   string `json:"n"`
	E   string `json:"e"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

// publishedKeys are the keys of a set that can be used.
type publishedKeys struct {
	byID map[string][]key // two keys may share an id if their kinds differ
	all  []key
}

// parseKeySet reads a JSON Web Key Set. Keys that are not for signatures or of
// an unknown kind are left out, as RFC 7517, 5 asks. A set without any other is
// an error.
func parseKeySet(text []byte) (publishedKeys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return publishedKeys{}, errors.New("the answer is no JSON Web Key Set")
	}
	if len(set.Keys) > maxPublishedKeys {
		return publishedKeys{}, fmt.Errorf("the key set has more than %d keys", maxPublishedKeys)
	}
	out := publishedKeys{byID: map[string][]key{}}
	for _, raw := range set.Keys {
		var published publishedKey
		if json.Unmarshal(raw, &published) != nil || published.Use != "" && published.Use != "sig" {
			continue
		}
		k, err := published.key()
		if err != nil {
			continue
		}
		out.byID[published.Kid] = append(out.byID[published.Kid], k)
		out.all = append(out.all, k)
	}
	if len(out.all) == 0 {
		return publishedKeys{}, errors.New("the key set has no key for signatures")
	}
	return out, nil
}

// key reads one key. Secrets ("oct") are never taken from a published set.
func (p publishedKey) key() (key, error) {
	var value any
	var err error
	switch p.Kty {
	case "RSA":
		value, err = p.rsa()
	case "EC":
		value, err = p.ecdsa()
	case "OKP":
		value, err = p.ed25519()
	default:
		return key{}, errors.New("unknown kind of key")
	}
	if err != nil {
		return key{}, err
	}
	k, err := publicKey(value)
	if err == nil && p.Alg != "" && familyOf(p.Alg) != k.family {
		return key{}, errors.New("the algorithm is not one for this key")
	}
	k.algorithm = p.Alg
	return k, err
}

func (p publishedKey) rsa() (*rsa.PublicKey, error) {
	n, err := decode(p.N)
	if err != nil {
		return nil, err
	}
	e, err := decode(p.E)
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(e)
	if !exponent.IsInt64() || exponent.Int64() < 3 || exponent.Int64() > math.MaxInt32 || exponent.Bit(0) == 0 {
		return nil, errors.New("the exponent cannot be used")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}

func (p publishedKey) ecdsa() (*ecdsa.PublicKey, error) {
	var curve elliptic.Curve
	switch p.Crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, errors.New("unknown curve")
	}
	x, err := decode(p.X)
	if err != nil {
		return nil, err
	}
	y, err := decode(p.Y)
	if err != nil {
		return nil, err
	}
	point := append(append([]byte{4}, x...), y...) // 4: both coordinates follow
	return ecdsa.ParseUncompressedPublicKey(curve, point)
}

func (p publishedKey) ed25519() (ed25519.PublicKey, error) {
	x, err := decode(p.X)
	if err != nil || p.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil, errors.New("unknown curve")
	}
	return ed25519.PublicKey(x), nil
}

func decode(text string) ([]byte, error) {
	if text == "" {
		return nil, errors.New("a part of the key is missing")
	}
	return base64.RawURLEncoding.DecodeString(text)
}
