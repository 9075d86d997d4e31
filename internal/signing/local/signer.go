package local

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
)

// Config describes the accounts of one mnemonic.
type Config struct {
	// Name stands in the accounts' references; empty if there is one mnemonic only.
	Name string
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

// scheme begins the references of keys that live in this process.
const scheme = "local:"

// Accounts derives the configured accounts.
func Accounts(cfg Config) ([]signing.Signer, error) {
	seed, err := seedOf(cfg.Mnemonic, cfg.Passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(seed)

	path, err := ParsePath(cfg.Path, cfg.Accounts)
	if err != nil {
		return nil, err
	}
	prefix := scheme
	if cfg.Name != "" {
		prefix += cfg.Name + "/"
	}
	signers := make([]signing.Signer, 0, cfg.Accounts)
	for i := range cfg.Accounts {
		account := append(accounts.DerivationPath{}, path...)
		account[len(account)-1] += uint32(i)
		key, err := derive(seed, account)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", account, err)
		}
		signers = append(signers, newSigner(key, signing.KeyRef(prefix+account.String())))
	}
	return signers, nil
}

// ParsePath reads the path of the first of count accounts; empty means
// m/44'/60'/0'/0/0. Counting up may not turn a normal index into a hardened one.
func ParsePath(text string, count int) (accounts.DerivationPath, error) {
	if text == "" {
		return accounts.DefaultBaseDerivationPath, nil
	}
	path, err := accounts.ParseDerivationPath(text)
	if err != nil {
		return nil, fmt.Errorf("derivation path %q: %w", text, err)
	}
	last := path[len(path)-1]
	if uint64(last%hardened)+uint64(max(count, 1)) > hardened {
		return nil, fmt.Errorf("derivation path %q: no room for %d accounts", text, count)
	}
	return path, nil
}

// ErrKey says that a text is no private key. Errors never repeat it.
var ErrKey = errors.New("invalid private key")

// Raw takes one private key, 32 bytes in hexadecimal with or without 0x. A key
// that lies about as text is for development.
func Raw(name string, text secret.String) (signing.Signer, error) {
	digits := strings.TrimPrefix(strings.TrimSpace(text.Reveal()), "0x")
	if len(digits) != 64 {
		return nil, fmt.Errorf("%w: %d characters; 64 hexadecimal digits are needed", ErrKey, len(digits))
	}
	key, err := crypto.HexToECDSA(digits)
	if err != nil {
		return nil, fmt.Errorf("%w: no hexadecimal number in the range of secp256k1", ErrKey)
	}
	return newSigner(key, signing.KeyRef(scheme+name)), nil
}

// signer holds one private key in memory.
type signer struct {
	key     *ecdsa.PrivateKey
	address common.Address
	ref     signing.KeyRef
}

func newSigner(key *ecdsa.PrivateKey, ref signing.KeyRef) *signer {
	return &signer{key: key, address: crypto.PubkeyToAddress(key.PublicKey), ref: ref}
}

func (s *signer) Address() common.Address { return s.address }

func (s *signer) Ref() signing.KeyRef { return s.ref }

// Sign is deterministic (RFC 6979): the same digest gives the same signature.
func (s *signer) Sign(ctx context.Context, digest [32]byte) (signing.Signature, error) {
	if err := ctx.Err(); err != nil {
		return signing.Signature{}, fmt.Errorf("sign: %w", err)
	}
	sig, err := crypto.Sign(digest[:], s.key)
	if err != nil {
		return signing.Signature{}, &signing.PermanentError{Key: s.ref, Reason: "the key cannot sign", Err: err}
	}
	return signing.Signature(sig), nil
}

// String keeps the key out of every log and dump.
func (s *signer) String() string { return string(s.ref) }

// GoString keeps the key out of %#v.
func (s *signer) GoString() string { return string(s.ref) }
