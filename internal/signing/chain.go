package signing

import (
	"errors"

	"github.com/ethereum/go-ethereum/common"
)

// Keys finds signers; a Keyring is one.
type Keys interface {
	// Signer returns the signer of an address, or ErrUnknownSigner.
	Signer(address common.Address) (Signer, error)
	// Signers lists the signers that are there from the start.
	Signers() []Signer
}

// Chain asks one source of signers after the other.
type Chain []Keys

// Signer implements Keys: the first source that knows the address answers.
func (c Chain) Signer(address common.Address) (Signer, error) {
	for _, keys := range c {
		s, err := keys.Signer(address)
		if !errors.Is(err, ErrUnknownSigner) {
			return s, err
		}
	}
	return nil, ErrUnknownSigner
}

// Signers implements Keys.
func (c Chain) Signers() []Signer {
	var out []Signer
	for _, keys := range c {
		out = append(out, keys.Signers()...)
	}
	return out
}
