package signing

import (
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	decred "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// ErrSignature says that bytes are no signature of the digest by the key they
// were asked of.
var ErrSignature = errors.New("wrong signature")

// FromDER makes a Signature of the DER form of (r, s) that key services return:
// strict DER, s brought to the lower half of the group order (EIP-2), and the
// recovery id that leads to address. It fails with ErrSignature.
func FromDER(der []byte, digest [32]byte, address common.Address) (Signature, error) {
	sig, err := decred.ParseDERSignature(der)
	if err != nil {
		return Signature{}, fmt.Errorf("%w: no strict DER", ErrSignature)
	}
	r, s := sig.R(), sig.S()
	return recoverable(&r, &s, digest, address)
}

// FromRS makes a Signature of 64 bytes r and s, as FromDER does.
func FromRS(rs []byte, digest [32]byte, address common.Address) (Signature, error) {
	if len(rs) != 64 {
		return Signature{}, fmt.Errorf("%w: %d bytes instead of 64", ErrSignature, len(rs))
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(rs[:32]) || s.SetByteSlice(rs[32:]) || r.IsZero() || s.IsZero() {
		return Signature{}, fmt.Errorf("%w: r or s is out of range", ErrSignature)
	}
	return recoverable(&r, &s, digest, address)
}

// recoverable normalises s and finds the recovery id. Ids 2 and 3 stand for an r
// above the group order, which no honest signer meets (probability 2^-127).
func recoverable(r, s *secp256k1.ModNScalar, digest [32]byte, address common.Address) (Signature, error) {
	if s.IsOverHalfOrder() {
		s.Negate()
	}
	var out Signature
	r.PutBytesUnchecked(out[:32])
	s.PutBytesUnchecked(out[32:64])
	for id := range byte(2) {
		out[64] = id
		if Verify(out, digest, address) == nil {
			return out, nil
		}
	}
	return Signature{}, fmt.Errorf("%w: of another key or another digest", ErrSignature)
}

// Verify checks that a signature is in its one form (low s, recovery id 0 or 1)
// and made by the key of address. It fails with ErrSignature.
func Verify(sig Signature, digest [32]byte, address common.Address) error {
	var s secp256k1.ModNScalar
	if s.SetByteSlice(sig[32:64]) || s.IsOverHalfOrder() {
		return fmt.Errorf("%w: s is in the upper half", ErrSignature)
	}
	if sig[64] > 1 {
		return fmt.Errorf("%w: recovery id %d", ErrSignature, sig[64])
	}
	key, err := crypto.SigToPub(digest[:], sig[:])
	if err != nil || crypto.PubkeyToAddress(*key) != address {
		return fmt.Errorf("%w: of another key or another digest", ErrSignature)
	}
	return nil
}

// ErrPublicKey says that bytes are no public key on secp256k1.
var ErrPublicKey = errors.New("no public key on secp256k1")

// spki is SubjectPublicKeyInfo (RFC 5280, 4.1) of an elliptic curve (RFC 5480).
type spki struct {
	Algorithm struct {
		Algorithm asn1.ObjectIdentifier
		Curve     asn1.ObjectIdentifier
	}
	PublicKey asn1.BitString
}

// ParsePublicKey reads a public key on secp256k1 in DER (SubjectPublicKeyInfo),
// the form in which key services give it. It fails with ErrPublicKey.
func ParsePublicKey(der []byte) (*ecdsa.PublicKey, error) {
	var info spki
	rest, err := asn1.Unmarshal(der, &info)
	if err != nil || len(rest) != 0 {
		return nil, fmt.Errorf("%w: no SubjectPublicKeyInfo in DER", ErrPublicKey)
	}
	// RFC 5480, 2.1.1 and SEC 2, A.2.
	ecPublicKey, curve := asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, asn1.ObjectIdentifier{1, 3, 132, 0, 10}
	if !info.Algorithm.Algorithm.Equal(ecPublicKey) || !info.Algorithm.Curve.Equal(curve) {
		return nil, fmt.Errorf("%w: another algorithm or curve", ErrPublicKey)
	}
	key, err := crypto.UnmarshalPubkey(info.PublicKey.RightAlign())
	if err != nil {
		return nil, fmt.Errorf("%w: no uncompressed point", ErrPublicKey)
	}
	return key, nil
}
