// Package signing knows who may sign and with what. A Signer is one key behind
// one address; the Keyring is the set a process may use. Where the key lives
// (in this process, in a key service) is the business of the packages below.
package signing

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/ethereum/go-ethereum/common"
)

// ErrUnknownSigner says that no key of the keyring belongs to an address.
var ErrUnknownSigner = errors.New("no key for this address")

// KeyRef names a key in configuration, database rows and logs. It is a URI
// whose scheme tells the kind of key, such as "local:m/44'/60'/0'/0/0". It is
// no secret.
type KeyRef string

// Signature is a recoverable secp256k1 signature: r (32 bytes), s (32 bytes, in
// the lower half of the group order, EIP-2) and the recovery id (0 or 1).
type Signature [65]byte

// Signer signs with one key.
type Signer interface {
	// Address is the account of the key. It never fails: a Signer that cannot
	// say its address is not constructed.
	Address() common.Address
	// Ref names the key.
	Ref() KeyRef
	// Sign signs a 32-byte digest as it stands.
	Sign(ctx context.Context, digest [32]byte) (Signature, error)
}

// Keyring is a fixed set of signers. It is safe for concurrent use.
type Keyring struct {
	signers map[common.Address]Signer
}

// NewKeyring collects signers. Of two signers for one address the first is kept.
func NewKeyring(signers ...Signer) *Keyring {
	k := &Keyring{signers: make(map[common.Address]Signer, len(signers))}
	for _, s := range signers {
		if _, known := k.signers[s.Address()]; !known {
			k.signers[s.Address()] = s
		}
	}
	return k
}

// Signer returns the signer of an address, or ErrUnknownSigner.
func (k *Keyring) Signer(address common.Address) (Signer, error) {
	s, ok := k.signers[address]
	if !ok {
		return nil, ErrUnknownSigner
	}
	return s, nil
}

// Signers lists all signers, sorted by address.
func (k *Keyring) Signers() []Signer {
	out := make([]Signer, 0, len(k.signers))
	for _, s := range k.signers {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Signer) int {
		x, y := a.Address(), b.Address()
		return bytes.Compare(x[:], y[:])
	})
	return out
}
