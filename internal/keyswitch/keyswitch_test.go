package keyswitch

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/schema"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/local"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, pgtest.Template(schema.Migrate))) }

func TestSwitch_HoldsForAllReplicasAndForGood(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.DSN(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	signers, err := local.Accounts(local.Config{Mnemonic: secret.New("test test test test test test test test test test test junk"), Accounts: 2})
	require.NoError(t, err)
	address := signers[0].Address()
	replica := func() *Switch {
		s := New(signing.NewKeyring(signers...), NewStore(pool), slog.New(slog.DiscardHandler))
		lifecycletest.Start(t, s.Run)
		return s
	}
	a, b := replica(), replica()

	require.NoError(t, a.Disable(t.Context(), address))
	require.NoError(t, a.Disable(t.Context(), address), "again is no fault")

	isOff := func(s *Switch) bool {
		_, err := s.Signer(address)
		return err != nil
	}
	_, err = a.Signer(address)
	require.ErrorIs(t, err, signing.ErrDisabledSigner)
	require.Equal(t, []signing.Signer{signers[1]}, a.Signers())
	require.Equal(t, []common.Address{address}, a.Disabled())
	require.Eventually(t, func() bool { return isOff(b) }, 20*time.Second, 10*time.Millisecond)
	require.True(t, isOff(replica()), "one that starts later has it from the start")
	_, err = a.Signer(common.HexToAddress("0x01"))
	require.ErrorIs(t, err, signing.ErrUnknownSigner)

	require.NoError(t, b.Enable(t.Context(), address))
	require.False(t, isOff(b))
	require.Len(t, b.Signers(), 2)
	require.Eventually(t, func() bool { return !isOff(a) }, 20*time.Second, 10*time.Millisecond)
}

func TestSwitch_WithoutDatabase(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://user:hunter2@127.0.0.1:1/x")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	s := New(signing.NewKeyring(), NewStore(pool), slog.New(slog.DiscardHandler))

	err = s.Run(t.Context(), func() { t.Error("must not be ready") })
	require.ErrorIs(t, err, ErrUnavailable)
	require.NotContains(t, err.Error(), "hunter2")
	require.ErrorIs(t, s.Disable(t.Context(), common.Address{}), ErrUnavailable)
	require.ErrorIs(t, s.Enable(t.Context(), common.Address{}), ErrUnavailable)
}
