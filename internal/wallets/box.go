package wallets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"github.com/google/uuid"
)

// box seals small secrets for the database.
type box struct{ aead cipher.AEAD }

func newBox(key []byte) (*box, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	return &box{aead: aead}, nil
}

// seal binds a secret to its row: it cannot be moved to another one.
func (b *box) seal(row uuid.UUID, plain []byte) []byte {
	return b.aead.Seal(nil, nil, plain, row[:]) //nolint:gosec // this AEAD makes the nonce itself
}

// open returns ErrSealed when the key or the row is another one.
func (b *box) open(row uuid.UUID, sealed []byte) ([]byte, error) {
	plain, err := b.aead.Open(nil, nil, sealed, row[:])
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// randomBytes returns n bytes nobody can guess.
func randomBytes(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.Read(out) // never fails: it ends the program instead
	return out
}
