// Package signingtest is what every kind of key must pass. A key service that
// cannot be had in a test stands behind a server that speaks its protocol; the
// suite does not know the difference.
package signingtest

import (
	"context"
	"crypto/sha256"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/signing"
)

// Key is one key of one kind, as the suite sees it.
type Key struct {
	// Open opens the key anew. It is the same key every time.
	Open func(t *testing.T) signing.Signer
	// Address is the account of the key.
	Address common.Address
	// WholeTransactions says that the key signs no digests.
	WholeTransactions bool
	// Interrupt makes the key service unavailable until the returned function is
	// called. It is nil for a key in this process.
	Interrupt func(t *testing.T) (resume func())
	// Forbid makes the key service refuse the key for good. It is nil for a key
	// in this process.
	Forbid func(t *testing.T)
}

// chainID is larger than 32 bits, which is where services lose digits.
const chainID = 53771311147

// patience is how long a key may take to notice that its service is back.
const patience = 20 * time.Second

// Run puts a key through the suite. Each part opens the key itself; open makes
// a service of its own for each.
func Run(t *testing.T, open func(t *testing.T) Key) {
	t.Helper()
	t.Run("address and signature", func(t *testing.T) { t.Parallel(); testSigns(t, open(t)) })
	t.Run("transactions", func(t *testing.T) { t.Parallel(); testTransactions(t, open(t)) })
	t.Run("concurrency", func(t *testing.T) { t.Parallel(); testConcurrency(t, open(t)) })
	t.Run("cancelled", func(t *testing.T) { t.Parallel(); testCancelled(t, open(t)) })
	t.Run("unavailable, then back", func(t *testing.T) { t.Parallel(); testInterrupted(t, open(t)) })
	t.Run("forbidden", func(t *testing.T) { t.Parallel(); testForbidden(t, open(t)) })
}

func testSigns(t *testing.T, k Key) {
	t.Helper()
	signer, again := k.Open(t), k.Open(t)
	require.Equal(t, k.Address, signer.Address())
	require.Equal(t, k.Address, again.Address())
	require.NotEmpty(t, signer.Ref())
	require.Equal(t, signer.Ref(), again.Ref())

	if k.WholeTransactions {
		_, err := signer.Sign(t.Context(), [32]byte{1})
		var permanent *signing.PermanentError
		require.ErrorAs(t, err, &permanent)
		return
	}
	// Among this many signatures r and s begin with a zero byte, and a service
	// that does not normalise has returned a high s.
	for i := range 40 {
		digest := sha256.Sum256([]byte{byte(i)})
		sig, err := signer.Sign(t.Context(), digest)
		require.NoError(t, err)
		requireGood(t, sig, digest, k.Address)
	}
}

// requireGood checks a signature without the code under test.
func requireGood(t *testing.T, sig signing.Signature, digest [32]byte, address common.Address) {
	t.Helper()
	public, err := crypto.SigToPub(digest[:], sig[:])
	require.NoError(t, err)
	require.Equal(t, address, crypto.PubkeyToAddress(*public))
	require.True(t, crypto.ValidateSignatureValues(sig[64], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64]), true), "low s (EIP-2)")
}

func legacy(nonce uint64) *types.Transaction {
	to := common.HexToAddress("0x00000000000000000000000000000000000000aa")
	return types.NewTx(&types.LegacyTx{Nonce: nonce, GasPrice: big.NewInt(7), Gas: 90_000, To: &to, Value: big.NewInt(3), Data: []byte{0, 1, 2}})
}

func rules() types.Signer { return types.LatestSignerForChainID(big.NewInt(chainID)) }

func testTransactions(t *testing.T, k Key) {
	t.Helper()
	signer := k.Open(t)
	to := common.HexToAddress("0x00000000000000000000000000000000000000aa")
	cases := map[string]types.TxData{
		"legacy":       &types.LegacyTx{Nonce: 1, GasPrice: big.NewInt(7), Gas: 90_000, To: &to, Value: big.NewInt(3), Data: []byte{0, 1, 2}},
		"free":         &types.LegacyTx{Nonce: 0, GasPrice: new(big.Int), Gas: 90_000, To: &to, Value: new(big.Int)},
		"deploy":       &types.LegacyTx{Nonce: 300, GasPrice: big.NewInt(7), Gas: 90_000, Value: new(big.Int), Data: []byte{0x60, 0, 0x60, 0}},
		"large values": &types.LegacyTx{Nonce: 1 << 40, GasPrice: big.NewInt(1e18), Gas: 1 << 50, To: &to, Value: new(big.Int).Lsh(big.NewInt(1), 200)},
	}
	if !k.WholeTransactions {
		cases["dynamic fee"] = &types.DynamicFeeTx{ChainID: big.NewInt(chainID), Nonce: 1, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(7), Gas: 90_000, To: &to}
		cases["access list"] = &types.AccessListTx{ChainID: big.NewInt(chainID), Nonce: 1, GasPrice: big.NewInt(7), Gas: 90_000, To: &to, AccessList: types.AccessList{{Address: to}}}
	}
	for name, data := range cases {
		tx := types.NewTx(data)
		signed, err := signing.SignTransaction(t.Context(), signer, tx, rules())
		require.NoError(t, err, name)
		sender, err := types.Sender(rules(), signed)
		require.NoError(t, err, name)
		require.Equal(t, k.Address, sender, name)
		require.Equal(t, rules().Hash(tx), rules().Hash(signed), name)
	}
}

func testConcurrency(t *testing.T, k Key) {
	t.Helper()
	signer := k.Open(t)
	var group sync.WaitGroup
	errs, senders := make([]error, 32), make([]common.Address, 32)
	for i := range errs {
		group.Go(func() {
			signed, err := signing.SignTransaction(t.Context(), signer, legacy(uint64(i)), rules())
			if err == nil {
				senders[i], err = types.Sender(rules(), signed)
			}
			errs[i] = err
		})
	}
	group.Wait()
	for i, err := range errs {
		require.NoError(t, err)
		require.Equal(t, k.Address, senders[i])
	}
}

func testCancelled(t *testing.T, k Key) {
	t.Helper()
	signer := k.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := signing.SignTransaction(ctx, signer, legacy(1), rules())
	require.ErrorIs(t, err, context.Canceled)
	var permanent *signing.PermanentError
	require.NotErrorAs(t, err, &permanent)

	_, err = signing.SignTransaction(t.Context(), signer, legacy(1), rules())
	require.NoError(t, err, "the key is as good as before")
}

func testInterrupted(t *testing.T, k Key) {
	t.Helper()
	if k.Interrupt == nil {
		return // a key in this process is never away
	}
	signer := k.Open(t)
	resume := k.Interrupt(t)
	_, err := signing.SignTransaction(t.Context(), signer, legacy(1), rules())
	var unavailable *signing.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.Equal(t, "signer_unavailable", unavailable.Code())

	resume()
	require.Eventually(t, func() bool {
		_, err = signing.SignTransaction(t.Context(), signer, legacy(1), rules())
		return err == nil
	}, patience, 10*time.Millisecond, "%v", &err)
}

func testForbidden(t *testing.T, k Key) {
	t.Helper()
	if k.Forbid == nil {
		return // nobody can forbid a key in this process
	}
	signer := k.Open(t)
	k.Forbid(t)
	_, err := signing.SignTransaction(t.Context(), signer, legacy(1), rules())
	var permanent *signing.PermanentError
	require.ErrorAs(t, err, &permanent)
	require.Equal(t, "signer_refused", permanent.Code())
}
