// Package signing knows who may sign and with what. A Signer is one key behind
// one address; the Keyring is the set a process may use. Where the key lives
// (in this process, in a key service) is the business of the packages below.
package signing

import (
	"context"

	"github.com/ethereum/go-ethereum/common"
)

// KeyRef names a key in configuration, database rows and logs. It is a URI
// whose scheme tells the kind of key, such as "local:m/44'/60'/0'/0/0". It is
// no secret.
type KeyRef string

// Signature is a recoverable secp256k1 signature: r (32 bytes), s (32 bytes, in
// the lower half of the group order, EIP-2) and the recovery id (0 or 1).
type Signature [65]byte

// Signer signs with one key. An error of Sign is an UnavailableError, a
// PermanentError, or the end of ctx.
type Signer interface {
	// Address is the account of the key. It never fails: a Signer that cannot
	// say its address is not constructed.
	Address() common.Address
	// Ref names the key.
	Ref() KeyRef
	// Sign signs a 32-byte digest as it stands.
	Sign(ctx context.Context, digest [32]byte) (Signature, error)
}
