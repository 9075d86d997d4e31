package genesis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/secret"
)

// keyLength is the length of a secp256k1 private key, in bytes.
const keyLength = 32

// NodeKey is the key of a node, or of the faucet's account. Its private half
// leaves it only by Private.
type NodeKey struct {
	private *ecdsa.PrivateKey
}

// NewNodeKey draws a key from the operating system's source of randomness.
func NewNodeKey() (NodeKey, error) {
	return readNodeKey(rand.Reader)
}

// readNodeKey takes the first 32 bytes of source that are a key.
func readNodeKey(source io.Reader) (NodeKey, error) {
	var raw [keyLength]byte
	for {
		if _, err := io.ReadFull(source, raw[:]); err != nil {
			return NodeKey{}, fmt.Errorf("draw a node key: %w", err)
		}
		// Fewer than one in 2^127 draws is zero or above the order of the curve.
		if private, err := crypto.ToECDSA(raw[:]); err == nil {
			return NodeKey{private: private}, nil
		}
	}
}

// ParseNodeKey reads a private key of 64 hex digits, with or without 0x, as
// Besu's --node-private-key-file has it. The error never contains the text.
func ParseNodeKey(text string) (NodeKey, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(text), "0x"))
	if err != nil || len(raw) != keyLength {
		return NodeKey{}, errors.New("a private key is 64 hex digits")
	}
	private, err := crypto.ToECDSA(raw)
	if err != nil {
		return NodeKey{}, errors.New("the digits are no private key of secp256k1")
	}
	return NodeKey{private: private}, nil
}

// Private is the private key, 0x and 64 hex digits.
func (k NodeKey) Private() secret.String {
	return secret.New("0x" + hex.EncodeToString(crypto.FromECDSA(k.private)))
}

// Address is the account, and for a validator what extraData names.
func (k NodeKey) Address() common.Address { return crypto.PubkeyToAddress(k.private.PublicKey) }

// PublicKey is the uncompressed public key: 0x04 and 128 hex digits.
func (k NodeKey) PublicKey() string { return "0x" + hex.EncodeToString(k.uncompressed()) }

// ID is the node's id in an enode URL: 128 hex digits.
func (k NodeKey) ID() string { return hex.EncodeToString(k.uncompressed()[1:]) }

func (k NodeKey) uncompressed() []byte {
	return elliptic.Marshal(crypto.S256(), k.private.X, k.private.Y) //nolint:staticcheck // crypto/ecdh does not have secp256k1
}

// Addresses are those of keys, in the same order.
func Addresses(keys []NodeKey) []common.Address {
	out := make([]common.Address, len(keys))
	for i, key := range keys {
		out[i] = key.Address()
	}
	return out
}

// duplicate finds an address that occurs twice.
func duplicate(addresses []common.Address) (common.Address, bool) {
	seen := make(map[common.Address]bool, len(addresses))
	for _, address := range addresses {
		if seen[address] {
			return address, true
		}
		seen[address] = true
	}
	return common.Address{}, false
}

func sorted(addresses []common.Address) []common.Address {
	out := slices.Clone(addresses)
	slices.SortFunc(out, compareAddresses)
	return out
}
