package local

import (
	"context"
	"crypto/ecdsa"
	"fmt"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
)

// Config describes the accounts of one mnemonic.
type Config struct {
	// Mnemonic is a BIP-39 phrase of 12 to 24 English words.
	Mnemonic secret.String
	// Passphrase is the optional extra word of BIP-39.
	Passphrase secret.String
	// Path is the BIP-44 path of the first account; the others count up its
	// last element. Empty means m/44'/60'/0'/0/0.
	Path string
	// Accounts is how many accounts to derive.
	Accounts int
}

// Accounts derives the configured accounts.
func Accounts(cfg Config) ([]signing.Signer, error) {
	seed, err := seedOf(cfg.Mnemonic, cfg.Passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(seed)

	path := accounts.DefaultBaseDerivationPath
	if cfg.Path != "" {
		if path, err = accounts.ParseDerivationPath(cfg.Path); err != nil {
			return nil, fmt.Errorf("derivation path %q: %w", cfg.Path, err)
		}
	}
	signers := make([]signing.Signer, 0, cfg.Accounts)
	for i := range cfg.Accounts {
		account := append(accounts.DerivationPath{}, path...)
		account[len(account)-1] += uint32(i)
		key, err := derive(seed, account)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", account, err)
		}
		signers = append(signers, newSigner(key, account))
	}
	return signers, nil
}

// signer holds one private key in memory.
type signer struct {
	key     *ecdsa.PrivateKey
	address common.Address
	ref     signing.KeyRef
}

func newSigner(key *ecdsa.PrivateKey, path accounts.DerivationPath) *signer {
	return &signer{key: key, address: crypto.PubkeyToAddress(key.PublicKey), ref: signing.KeyRef("local:" + path.String())}
}

func (s *signer) Address() common.Address { return s.address }

func (s *signer) Ref() signing.KeyRef { return s.ref }

// Sign is deterministic (RFC 6979): the same digest gives the same signature.
func (s *signer) Sign(_ context.Context, digest [32]byte) (signing.Signature, error) {
	sig, err := crypto.Sign(digest[:], s.key)
	if err != nil {
		return signing.Signature{}, fmt.Errorf("sign: %w", err)
	}
	return signing.Signature(sig), nil
}

// String keeps the key out of every log and dump.
func (s *signer) String() string { return string(s.ref) }

// GoString keeps the key out of %#v.
func (s *signer) GoString() string { return string(s.ref) }
