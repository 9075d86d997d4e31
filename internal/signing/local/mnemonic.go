// Package local signs in this process: with keys derived from a BIP-39 mnemonic
// (BIP-32, BIP-44), or with one key as it stands.
package local

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tyler-smith/go-bip39"
	"golang.org/x/text/unicode/norm"

	"github.com/slipwayhq/slipway/internal/secret"
)

// ErrMnemonic says that a text is no BIP-39 mnemonic. Errors never repeat any
// of its words.
var ErrMnemonic = errors.New("invalid mnemonic")

// seedOf checks a mnemonic (word count, English word list, checksum) and turns
// it, with an optional passphrase, into the 64-byte seed of BIP-39, which wants
// both in the normal form NFKD.
func seedOf(mnemonic, passphrase secret.String) ([]byte, error) {
	words := strings.Fields(norm.NFKD.String(mnemonic.Reveal()))
	if !slices.Contains([]int{12, 15, 18, 21, 24}, len(words)) {
		return nil, fmt.Errorf("%w: %d words; BIP-39 has 12, 15, 18, 21 or 24", ErrMnemonic, len(words))
	}
	for i, word := range words {
		if _, known := bip39.GetWordIndex(word); !known {
			return nil, fmt.Errorf("%w: word %d is not in the English word list", ErrMnemonic, i+1)
		}
	}
	seed, err := bip39.NewSeedWithErrorChecking(strings.Join(words, " "), norm.NFKD.String(passphrase.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("%w: the checksum does not fit (a word is wrong or misplaced)", ErrMnemonic)
	}
	return seed, nil
}
