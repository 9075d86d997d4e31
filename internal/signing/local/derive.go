package local

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"errors"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/crypto"
)

// errDerivation is met with a probability below 2^-127 (BIP-32: the next index
// is to be used instead).
var errDerivation = errors.New("derive key: this path has no valid key")

// node is an extended private key of BIP-32.
type node struct {
	key       secp256k1.ModNScalar
	chainCode []byte
}

func masterNode(seed []byte) (node, error) { return newNode([]byte("Bitcoin seed"), seed, nil) }

// newNode computes HMAC-SHA512(key, data) and adds its left half to the parent.
func newNode(key, data []byte, parent *secp256k1.ModNScalar) (node, error) {
	mac := hmac.New(sha512.New, key)
	mac.Write(data)
	sum := mac.Sum(nil)

	n := node{chainCode: sum[32:]}
	if overflow := n.key.SetByteSlice(sum[:32]); overflow {
		return node{}, errDerivation
	}
	if parent != nil {
		n.key.Add(parent)
	}
	if n.key.IsZero() {
		return node{}, errDerivation
	}
	return n, nil
}

// hardened is the first index whose child needs the private key (BIP-32).
const hardened = 0x80000000

func (n *node) child(index uint32) (node, error) {
	data := make([]byte, 0, 37)
	if index >= hardened {
		key := n.key.Bytes()
		data = append(data, 0)
		data = append(data, key[:]...)
	} else {
		data = append(data, secp256k1.NewPrivateKey(&n.key).PubKey().SerializeCompressed()...)
	}
	data = binary.BigEndian.AppendUint32(data, index)
	return newNode(n.chainCode, data, &n.key)
}

// derive walks a path from the seed to a private key.
func derive(seed []byte, path accounts.DerivationPath) (*ecdsa.PrivateKey, error) {
	n, err := masterNode(seed)
	if err != nil {
		return nil, err
	}
	for _, index := range path {
		if n, err = n.child(index); err != nil {
			return nil, err
		}
	}
	key := n.key.Bytes()
	return crypto.ToECDSA(key[:])
}
