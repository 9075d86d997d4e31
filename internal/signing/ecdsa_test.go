package signing

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
)

// testKey is a key of tests, and nobody's.
func testKey(t *testing.T, id byte) *ecdsa.PrivateKey {
	t.Helper()
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{id}, 32))
	require.NoError(t, err)
	return key
}

// raw signs and splits into r and s.
func raw(t *testing.T, key *ecdsa.PrivateKey, digest [32]byte) (r, s *big.Int) {
	t.Helper()
	sig, err := crypto.Sign(digest[:], key)
	require.NoError(t, err)
	return new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64])
}

func der(t *testing.T, r, s *big.Int) []byte {
	t.Helper()
	out, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	require.NoError(t, err)
	return out
}

func high(s *big.Int) *big.Int { return new(big.Int).Sub(crypto.S256().Params().N, s) }

func TestFromDER_EveryHonestSignature(t *testing.T) {
	t.Parallel()
	key := testKey(t, 1)
	address := crypto.PubkeyToAddress(key.PublicKey)

	short := 0
	for i := range 1000 {
		digest := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		r, s := raw(t, key, digest)
		if r.BitLen() <= 248 || s.BitLen() <= 248 {
			short++
		}
		want, err := crypto.Sign(digest[:], key)
		require.NoError(t, err)

		for _, s := range []*big.Int{s, high(s)} {
			got, err := FromDER(der(t, r, s), digest, address)
			require.NoError(t, err)
			require.Equal(t, want, got[:], "low s, and the recovery id that belongs to it")
			got, err = FromRS(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), digest, address)
			require.NoError(t, err)
			require.Equal(t, want, got[:])
		}
	}
	require.Positive(t, short, "r or s that begin with a zero byte are among them")
}

func TestFromDER_RefusesTheRest(t *testing.T) {
	t.Parallel()
	key, other := testKey(t, 1), testKey(t, 2)
	address := crypto.PubkeyToAddress(key.PublicKey)
	digest := sha256.Sum256([]byte("digest"))
	r, s := raw(t, key, digest)
	good := der(t, r, s)
	n := crypto.S256().Params().N
	otherR, otherS := raw(t, other, digest)

	padded := append([]byte{0x30, good[1] + 1, 0x02, good[3] + 1, 0}, good[4:]...)
	cases := map[string][]byte{
		"empty":            nil,
		"cut":              good[:len(good)-1],
		"trailing byte":    append(bytes.Clone(good), 0),
		"not minimal":      padded,
		"r is zero":        der(t, new(big.Int), s),
		"s is the order":   der(t, r, n),
		"negative":         der(t, new(big.Int).Neg(r), s),
		"another key":      der(t, otherR, otherS),
		"r and s swapped":  der(t, s, r),
		"64 bytes, no DER": append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...),
		"long form length": append([]byte{0x30, 0x81, good[1]}, good[2:]...),
	}
	for name, in := range cases {
		_, err := FromDER(in, digest, address)
		require.ErrorIs(t, err, ErrSignature, name)
	}
	_, err := FromDER(good, sha256.Sum256([]byte("another")), address)
	require.ErrorIs(t, err, ErrSignature)

	_, err = FromRS(r.Bytes(), digest, address)
	require.ErrorContains(t, err, "32 bytes instead of 64")
	_, err = FromRS(make([]byte, 64), digest, address)
	require.ErrorIs(t, err, ErrSignature)
}

func TestVerify_OneFormOnly(t *testing.T) {
	t.Parallel()
	key := testKey(t, 1)
	address := crypto.PubkeyToAddress(key.PublicKey)
	digest := sha256.Sum256([]byte("digest"))
	b, err := crypto.Sign(digest[:], key)
	require.NoError(t, err)
	good := Signature(b)
	require.NoError(t, Verify(good, digest, address))

	twin := good // valid for ECDSA, and of the same key
	high(new(big.Int).SetBytes(good[32:64])).FillBytes(twin[32:64])
	twin[64] ^= 1
	require.ErrorContains(t, Verify(twin, digest, address), "upper half")
	flipped := good
	flipped[64] ^= 1
	require.ErrorIs(t, Verify(flipped, digest, address), ErrSignature)
	legacy := good
	legacy[64] += 27
	require.ErrorContains(t, Verify(legacy, digest, address), "recovery id")
	require.ErrorIs(t, Verify(Signature{}, digest, address), ErrSignature)
	require.ErrorIs(t, Verify(good, digest, common.Address{1}), ErrSignature)
}

// lying is a key service that answers with what it likes.
type lying struct {
	address common.Address
	sig     Signature
}

func (l lying) Address() common.Address { return l.address }

func (l lying) Ref() KeyRef { return "lying:1" }

func (l lying) Sign(context.Context, [32]byte) (Signature, error) { return l.sig, nil }

type lyingWhole struct{ lying }

func (l lyingWhole) SignTransaction(context.Context, *types.Transaction, types.Signer) (Signature, error) {
	return l.sig, nil
}

func TestVerified_ReturnsNoWrongSignature(t *testing.T) {
	t.Parallel()
	key := testKey(t, 1)
	rules := types.LatestSignerForChainID(big.NewInt(1))
	tx := types.NewTx(&types.LegacyTx{Nonce: 1, GasPrice: big.NewInt(1), Gas: 21000, Value: new(big.Int)})
	b, err := crypto.Sign(rules.Hash(tx).Bytes(), key)
	require.NoError(t, err)
	honest := lying{address: crypto.PubkeyToAddress(key.PublicKey), sig: Signature(b)}
	liar := honest
	liar.address = crypto.PubkeyToAddress(testKey(t, 2).PublicKey)

	for name, pair := range map[string][2]Signer{"digest": {honest, liar}, "transaction": {lyingWhole{honest}, lyingWhole{liar}}} {
		signed, err := SignTransaction(t.Context(), Verified(pair[0]), tx, rules)
		require.NoError(t, err, name)
		sender, err := types.Sender(rules, signed)
		require.NoError(t, err)
		require.Equal(t, honest.address, sender)

		_, err = SignTransaction(t.Context(), Verified(pair[1]), tx, rules)
		var permanent *PermanentError
		require.ErrorAs(t, err, &permanent, name)
		require.ErrorIs(t, err, ErrSignature, name)
		require.EqualValues(t, "lying:1", permanent.Key)
	}
	_, whole := Verified(honest).(TransactionSigner)
	require.False(t, whole, "a key that signs digests is asked for digests")
}

func TestParsePublicKey(t *testing.T) {
	t.Parallel()
	key := testKey(t, 1)
	marshal := func(algorithm, curve asn1.ObjectIdentifier, point []byte) []byte {
		var info spki
		info.Algorithm.Algorithm, info.Algorithm.Curve = algorithm, curve
		info.PublicKey = asn1.BitString{Bytes: point, BitLength: 8 * len(point)}
		out, err := asn1.Marshal(info)
		require.NoError(t, err)
		return out
	}
	ec, k1, r1 := asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, asn1.ObjectIdentifier{1, 3, 132, 0, 10}, asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	point := crypto.FromECDSAPub(&key.PublicKey)
	good := marshal(ec, k1, point)

	got, err := ParsePublicKey(good)
	require.NoError(t, err)
	require.True(t, key.PublicKey.Equal(got))

	for name, in := range map[string][]byte{
		"empty": nil, "trailing byte": append(bytes.Clone(good), 0), "P-256": marshal(ec, r1, point),
		"compressed": marshal(ec, k1, crypto.CompressPubkey(&key.PublicKey)), "off the curve": marshal(ec, k1, append([]byte{4}, make([]byte, 64)...)),
	} {
		_, err := ParsePublicKey(in)
		require.ErrorIs(t, err, ErrPublicKey, name)
	}
}

func FuzzFromDER(f *testing.F) {
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{1}, 32))
	require.NoError(f, err)
	digest := sha256.Sum256([]byte("digest"))
	address := crypto.PubkeyToAddress(key.PublicKey)
	f.Fuzz(func(t *testing.T, in []byte) {
		if sig, err := FromDER(in, digest, address); err == nil {
			require.NoError(t, Verify(sig, digest, address))
		}
		if key, err := ParsePublicKey(in); err == nil {
			require.NotNil(t, key)
		}
	})
}
