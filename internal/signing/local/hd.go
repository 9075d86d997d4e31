package local

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
)

// HD derives any account of one mnemonic, when it is asked for. It is safe for
// concurrent use.
type HD struct {
	seed []byte
	id   common.Address
}

// NewHD checks a mnemonic.
func NewHD(mnemonic, passphrase secret.String) (*HD, error) {
	seed, err := seedOf(mnemonic, passphrase)
	if err != nil {
		return nil, err
	}
	master, err := derive(seed, nil)
	if err != nil {
		return nil, err
	}
	return &HD{seed: seed, id: crypto.PubkeyToAddress(master.PublicKey)}, nil
}

// ID names the mnemonic: the address of its master key, which signs nothing.
func (h *HD) ID() common.Address { return h.id }

// Signer derives the account of a path.
func (h *HD) Signer(path accounts.DerivationPath) (signing.Signer, error) {
	key, err := derive(h.seed, path)
	if err != nil {
		return nil, fmt.Errorf("account %s: %w", path, err)
	}
	return newSigner(key, signing.KeyRef(scheme+path.String())), nil
}

// Key derives 32 bytes for another use than signing (HKDF with SHA-256,
// RFC 5869). Keys of two purposes tell nothing of each other, nor of any account.
func (h *HD) Key(purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, h.seed, nil, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("derive key for %s: %w", purpose, err)
	}
	return key, nil
}

// String keeps the seed out of every log and dump.
func (h *HD) String() string { return "mnemonic " + h.id.Hex() }

// GoString keeps the seed out of %#v.
func (h *HD) GoString() string { return h.String() }
