// Package sealed keeps small secrets in the database unreadable for those who
// have only the database: they are sealed with a key from the configuration.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// KeySize is the length of a key, in bytes (AES-256).
const KeySize = 32

// ErrOpen says that the key or the owner is another one, or the text was changed.
var ErrOpen = errors.New("a sealed secret cannot be opened: the encryption key is another one, or the row was changed")

// Box seals with AES-256-GCM.
type Box struct{ aead cipher.AEAD }

// New makes the box of a key of KeySize bytes.
func New(key []byte) (*Box, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("encryption key: has %d bytes, must have %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	return &Box{aead: aead}, nil
}

// Seal binds a secret to its owner: moved to another row it cannot be opened.
func (b *Box) Seal(owner uuid.UUID, plain []byte) []byte {
	return b.aead.Seal(nil, nil, plain, owner[:]) //nolint:gosec // this AEAD makes the nonce itself
}

// Open returns ErrOpen for what was not sealed for this owner with this key.
func (b *Box) Open(owner uuid.UUID, text []byte) ([]byte, error) {
	plain, err := b.aead.Open(nil, nil, text, owner[:])
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// DeriveKey makes a key for one purpose from another secret (HKDF-SHA256).
func DeriveKey(from []byte, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, from, nil, purpose, KeySize)
}
