package wallets

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/local"
)

// What one tenant made is not there for another one.
func TestTenants_AreApart(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t))
	address := create(t, s)
	theirs, err := s.Create(t.Context(), "other", "vault", "user", nil)
	require.NoError(t, err)
	v, _, err := s.AddVerification(t.Context(), acme, address, NewVerification{Name: "pin", Type: Pincode, Pincode: "1234"})
	require.NoError(t, err)
	list, err := s.Challenges(t.Context(), Target{Tenant: acme, Address: &address}, 1)
	require.NoError(t, err)
	response := pinResponse(pinDigest(list[0].Salt, "1234"), list[0].Secret)

	_, err = s.Verifications(t.Context(), "other", address)
	require.ErrorIs(t, err, ErrUnknownWallet)
	_, _, err = s.AddVerification(t.Context(), "other", address, NewVerification{Name: "pin", Type: Pincode, Pincode: "0000"})
	require.ErrorIs(t, err, ErrUnknownWallet)
	require.ErrorIs(t, s.DeleteVerification(t.Context(), "other", address, v.ID), ErrUnknownWallet)
	_, err = s.Challenges(t.Context(), Target{Tenant: "other", Address: &address}, 1)
	require.ErrorIs(t, err, ErrUnknownWallet)
	for _, target := range []Target{{Address: &address}, {Challenge: list[0].ID}, {Verification: v.ID, Challenge: list[0].ID}, {Challenge: uuid.New()}} {
		for _, tenant := range []string{"other", ""} {
			target.Tenant = tenant
			require.ErrorIs(t, s.Verify(t.Context(), target, response), ErrUnverified)
		}
	}
	_, err = s.Create(t.Context(), "other", "vault", "user", index(2))
	require.ErrorIs(t, err, ErrIndexTaken)
	require.NoError(t, s.Verify(t.Context(), Target{Tenant: acme, Challenge: list[0].ID}, response), "nothing was used up")

	mine, err := s.Addresses(t.Context(), acme)
	require.NoError(t, err)
	require.Equal(t, []common.Address{address}, mine)
	rows, err := s.List(t.Context(), "other")
	require.NoError(t, err)
	require.Equal(t, []Wallet{theirs}, rows)
}

func TestOwners(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	own, err := local.Accounts(local.Config{Mnemonic: secret.New(junk), Accounts: 2})
	require.NoError(t, err)
	a := replica(t, dsn, func(_ *Config, d *Deps) { d.Accounts = signing.NewKeyring(own...) })
	account, nobody := own[0].Address(), common.HexToAddress("0x01")
	later, _, err := a.derive(2)
	require.NoError(t, err)
	for range 2 {
		got, err := a.Owners(t.Context(), account, nobody, later)
		require.NoError(t, err)
		require.Empty(t, got)
	}

	require.Equal(t, later, create(t, replica(t, dsn)), "made by another replica")
	for range 2 {
		got, err := a.Owners(t.Context(), account, nobody, later)
		require.NoError(t, err)
		require.Equal(t, map[common.Address]string{later: acme}, got, "no wallet is overlooked because it was not there before")
	}
	a.deps.Store.pool.Close()
	got, err := a.Owners(t.Context(), account, later)
	require.NoError(t, err, "both are remembered")
	require.Equal(t, map[common.Address]string{later: acme}, got)
	_, err = a.Owners(t.Context(), nobody)
	require.ErrorIs(t, err, ErrUnavailable)
}

// Wallets from before there were tenants are the default tenant's.
func TestOwners_OfWalletsFromBefore(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t))
	address, path, err := s.derive(7)
	require.NoError(t, err)
	id := s.deps.HD.ID()
	_, err = s.deps.Store.pool.Exec(t.Context(), `insert into wallet_vaults (vault) values ($1)`, id[:])
	require.NoError(t, err)
	_, err = s.deps.Store.pool.Exec(t.Context(), `insert into wallets (id, vault, wallet_index, name, address, derivation_path) values ($1, $2, 7, 'x', $3, $4)`,
		uuid.New(), id[:], address[:], path)
	require.NoError(t, err)
	got, err := s.Owners(t.Context(), address)
	require.NoError(t, err)
	require.Equal(t, map[common.Address]string{address: "default"}, got)
}
