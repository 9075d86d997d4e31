package wallets

import (
	"encoding/base32"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/schema"
	"github.com/slipwayhq/slipway/internal/sealed"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/local"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, pgtest.Template(schema.Migrate))) }

const (
	junk      = "test test test test test test test test test test test junk"
	testChain = 4242
	acme      = "acme"
)

// replica makes a service with a pool of its own, as another process would.
func replica(t *testing.T, dsn string, change ...func(*Config, *Deps)) *Service {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `insert into chains (chain_id) values ($1) on conflict do nothing`, testChain)
	require.NoError(t, err)
	hd, err := local.NewHD(secret.New(junk), secret.String{})
	require.NoError(t, err)
	cfg := Default()
	deps := Deps{Store: NewStore(pool, testChain), HD: hd, Path: accounts.DefaultBaseDerivationPath, Reserved: 2}
	for _, c := range change {
		c(&cfg, &deps)
	}
	s, err := New(cfg, deps)
	require.NoError(t, err)
	return s
}

func create(t *testing.T, s *Service) common.Address {
	t.Helper()
	w, err := s.Create(t.Context(), acme, "vault", "user", nil)
	require.NoError(t, err)
	return w.Address
}

func index(i int64) *int64 { return &i }

func TestCreate_DerivesWhatEveryToolDerives(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t))

	w, err := s.Create(t.Context(), acme, "atk-hd-private-key", "Alice", nil)
	require.NoError(t, err)
	require.Equal(t, "Alice", w.Name)
	require.Equal(t, "m/44'/60'/0'/0/2", w.Path)
	require.Equal(t, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", w.Address.Hex())

	// A wanted index is taken, and stepped over later.
	w, err = s.Create(t.Context(), acme, "v", "Bob", index(4))
	require.NoError(t, err)
	require.Equal(t, "m/44'/60'/0'/0/4", w.Path)
	for _, path := range []string{"m/44'/60'/0'/0/3", "m/44'/60'/0'/0/5"} {
		w, err = s.Create(t.Context(), acme, "v", "Bob", nil)
		require.NoError(t, err)
		require.Equal(t, path, w.Path)
	}
	_, err = s.Create(t.Context(), acme, "v", "Bob", index(4))
	require.ErrorIs(t, err, ErrIndexTaken)
	list, err := s.Addresses(t.Context(), acme)
	require.NoError(t, err)
	require.Len(t, list, 4)
	require.Equal(t, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", list[0].Hex())

	for name, bad := range map[string]func() error{
		"vault":       func() error { _, err := s.Create(t.Context(), acme, "", "n", nil); return err },
		"name":        func() error { _, err := s.Create(t.Context(), acme, "v", "", nil); return err },
		"walletIndex": func() error { _, err := s.Create(t.Context(), acme, "v", "n", index(1)); return err },
		"2^31":        func() error { _, err := s.Create(t.Context(), acme, "v", "n", index(1<<31)); return err },
	} {
		var invalid *InvalidError
		require.ErrorAs(t, bad(), &invalid, name)
	}
	only := replica(t, pgtest.DSN(t), func(c *Config, _ *Deps) { c.KeyVaultID = "mine" })
	_, err = only.Create(t.Context(), acme, "another", "n", nil)
	require.ErrorContains(t, err, "no such key vault")
}

// However many create at the same time on however many replicas, no index is
// given out twice and none is left out.
func TestCreate_NeverGivesAnIndexTwice(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	replicas := []*Service{replica(t, dsn), replica(t, dsn)}
	const each, wanted = 20, 7

	var group sync.WaitGroup
	var mu sync.Mutex
	paths := map[string]int{}
	for _, s := range replicas {
		for i := range each {
			group.Go(func() {
				var at *int64
				if i == 0 {
					at = index(wanted)
				}
				w, err := s.Create(t.Context(), acme, "v", "user", at)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					paths[err.Error()]++
					return
				}
				paths[w.Path]++
			})
		}
	}
	group.Wait()

	highest := 0
	for path, n := range paths {
		if path == "create wallet: "+ErrIndexTaken.Error() {
			require.LessOrEqual(t, n, 2)
			continue
		}
		require.Equal(t, 1, n, path)
		parsed, err := accounts.ParseDerivationPath(path)
		require.NoError(t, err)
		highest = max(highest, int(parsed[4]))
	}
	list, err := replicas[0].Addresses(t.Context(), acme)
	require.NoError(t, err)
	require.Len(t, list, highest-1, "2 to the highest, without a hole")
}

func TestSigner_IsFoundOnEveryReplica(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	one, two := replica(t, dsn), replica(t, dsn)
	address := create(t, one)

	signer, err := two.Signer(address)
	require.NoError(t, err)
	require.Equal(t, address, signer.Address())
	again, err := two.Signer(address)
	require.NoError(t, err)
	require.Same(t, signer, again)
	var ref string
	require.NoError(t, two.deps.Store.pool.QueryRow(t.Context(), `select key_ref from senders where chain_id = $1 and address = $2`, testChain, address[:]).Scan(&ref))
	require.EqualValues(t, signer.Ref(), ref, "the queue can drive it")

	digest := [32]byte{1}
	sig, err := signer.Sign(t.Context(), digest)
	require.NoError(t, err)
	public, err := crypto.SigToPub(digest[:], sig[:])
	require.NoError(t, err)
	require.Equal(t, address, crypto.PubkeyToAddress(*public))

	_, err = two.Signer(common.Address{1})
	require.ErrorIs(t, err, signing.ErrUnknownSigner)
	other := replica(t, dsn, func(_ *Config, d *Deps) {
		d.HD, err = local.NewHD(secret.New(junk), secret.New("another passphrase"))
		require.NoError(t, err)
	})
	_, err = other.Signer(address)
	require.ErrorIs(t, err, signing.ErrUnknownSigner, "of another mnemonic")
	require.Empty(t, two.Signers())
}

// A row that was tampered with makes no key sign for another account.
func TestSigner_APathThatLeadsElsewhereIsNotUsed(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t))
	address := create(t, s)
	for path, want := range map[string]string{"m/44'/60'/0'/0/7": "another account", "m/x": "malformed"} {
		_, err := s.deps.Store.pool.Exec(t.Context(), `update wallets set derivation_path = $1`, path)
		require.NoError(t, err)
		_, err = s.Signer(address)
		require.ErrorContains(t, err, want)
		require.NotErrorIs(t, err, signing.ErrUnknownSigner)
	}
}

func TestSigner_ADatabaseThatIsAwayIsNoUnknownAccount(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t))
	address := create(t, s)
	s.deps.Store.pool.Close()

	_, err := s.Signer(address)
	require.ErrorIs(t, err, ErrUnavailable)
	_, err = s.IsProtected(t.Context(), address)
	require.ErrorIs(t, err, ErrUnavailable)
}

// protected is a wallet with a PIN.
func protected(t *testing.T, s *Service) (common.Address, Verification) {
	t.Helper()
	address := create(t, s)
	v, parameters, err := s.AddVerification(t.Context(), acme, address, NewVerification{Name: "pin", Type: Pincode, Pincode: "271828"})
	require.NoError(t, err)
	require.Empty(t, parameters)
	return address, v
}

func challenge(t *testing.T, s *Service, target Target) Challenge {
	t.Helper()
	list, err := s.Challenges(t.Context(), target, 1)
	require.NoError(t, err)
	require.Len(t, list, 1)
	return list[0]
}

// response is what the client computes.
func response(c Challenge, pin string) string {
	return hexSHA256(hexSHA256(c.Salt+pin) + "_" + c.Secret)
}

func TestVerify_Pincode(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t))
	address, v := protected(t, s)
	is, err := s.IsProtected(t.Context(), address)
	require.NoError(t, err)
	require.True(t, is)

	for name, target := range map[string]func(Challenge) Target{
		"by address":      func(Challenge) Target { return Target{Tenant: acme, Address: &address} },
		"by verification": func(Challenge) Target { return Target{Tenant: acme, Address: &address, Verification: v.ID} },
		"by challenge":    func(c Challenge) Target { return Target{Tenant: acme, Challenge: c.ID} },
		"by everything": func(c Challenge) Target {
			return Target{Tenant: acme, Address: &address, Verification: v.ID, Challenge: c.ID}
		},
	} {
		c := challenge(t, s, Target{Tenant: acme, Address: &address, Verification: v.ID})
		require.Equal(t, v, c.Verification)
		require.ErrorIs(t, s.Verify(t.Context(), target(c), response(c, "314159")), ErrUnverified, name)
		require.NoError(t, s.Verify(t.Context(), target(c), response(c, "271828")), name)
		require.ErrorIs(t, s.Verify(t.Context(), target(c), response(c, "271828")), ErrUnverified, "%s: once", name)
		fresh := challenge(t, s, Target{Tenant: acme, Address: &address})
		require.NoError(t, s.Verify(t.Context(), target(fresh), response(fresh, "271828")), "the count begins anew")
	}

	// A challenge of one wallet is nothing to another one.
	bob, _ := protected(t, s)
	c := challenge(t, s, Target{Tenant: acme, Address: &address})
	require.ErrorIs(t, s.Verify(t.Context(), Target{Tenant: acme, Address: &bob, Challenge: c.ID}, response(c, "271828")), ErrUnverified)
	require.NoError(t, s.Verify(t.Context(), Target{Tenant: acme, Address: &address, Challenge: c.ID}, response(c, "271828")))
}

func TestVerify_OTPAndCodes(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t))
	address := create(t, s)
	v, parameters, err := s.AddVerification(t.Context(), acme, address, NewVerification{Name: "app", Type: OTP, Algorithm: "SHA512", Digits: 8, Issuer: "Bank"})
	require.NoError(t, err)
	u, err := url.Parse(parameters["uri"])
	require.NoError(t, err)
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
	require.NoError(t, err)
	password := otpSettings{Algorithm: "SHA512", Digits: 8}.code(key, time.Now().Unix()/30)
	require.NoError(t, s.Verify(t.Context(), Target{Tenant: acme, Address: &address, Verification: v.ID}, password))
	require.ErrorIs(t, s.Verify(t.Context(), Target{Tenant: acme, Address: &address, Verification: v.ID}, password), ErrUnverified, "a password works once")

	_, parameters, err = s.AddVerification(t.Context(), acme, address, NewVerification{Name: "paper", Type: SecretCodes})
	require.NoError(t, err)
	codes := strings.Split(parameters["secretCodes"], ",")
	require.Len(t, codes, codeCount)
	require.NoError(t, s.Verify(t.Context(), Target{Tenant: acme, Address: &address}, codes[9]))
	require.ErrorIs(t, s.Verify(t.Context(), Target{Tenant: acme, Address: &address}, codes[9]), ErrUnverified, "a code works once")
	require.NoError(t, s.Verify(t.Context(), Target{Tenant: acme, Address: &address}, codes[0]))

	list, err := s.Challenges(t.Context(), Target{Tenant: acme, Address: &address}, 3)
	require.NoError(t, err)
	require.Len(t, list, 6)
	for _, c := range list {
		require.Empty(t, c.Salt+c.Secret, "nothing to be asked with")
	}
}

// One challenge, one code, many who answer at the same moment on two replicas:
// one of them is let through.
func TestVerify_IsWonOnce(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	lenient := func(c *Config, _ *Deps) { c.MaxFailures = 100 }
	replicas := []*Service{replica(t, dsn, lenient), replica(t, dsn, lenient)}
	address, _ := protected(t, replicas[0])
	pin := challenge(t, replicas[0], Target{Tenant: acme, Address: &address})
	bob := create(t, replicas[0])
	_, parameters, err := replicas[0].AddVerification(t.Context(), acme, bob, NewVerification{Name: "paper", Type: SecretCodes})
	require.NoError(t, err)
	code := strings.Split(parameters["secretCodes"], ",")[0]

	var passed [2]atomic.Int64
	var group sync.WaitGroup
	for i := range 16 {
		s := replicas[i%2]
		group.Go(func() {
			if s.Verify(t.Context(), Target{Tenant: acme, Challenge: pin.ID}, response(pin, "271828")) == nil {
				passed[0].Add(1)
			}
			if s.Verify(t.Context(), Target{Tenant: acme, Address: &bob}, code) == nil {
				passed[1].Add(1)
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 1, passed[0].Load())
	require.EqualValues(t, 1, passed[1].Load())
}

func TestVerify_LockSurvivesARestartAndEnds(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	strict := func(c *Config, _ *Deps) { c.MaxFailures, c.LockFor = 3, 2*time.Second }
	s := replica(t, dsn, strict)
	address, v := protected(t, s)
	target := Target{Tenant: acme, Address: &address, Verification: v.ID}
	for range 3 {
		require.ErrorIs(t, s.Verify(t.Context(), target, "wrong"), ErrUnverified)
	}

	s = replica(t, dsn, strict) // another process
	c := challenge(t, s, target)
	var locked *LockedError
	require.ErrorAs(t, s.Verify(t.Context(), target, response(c, "271828")), &locked)
	require.ErrorAs(t, s.Verify(t.Context(), Target{Tenant: acme, Challenge: c.ID}, response(c, "271828")), &locked)
	require.Eventually(t, func() bool { return s.Verify(t.Context(), target, response(c, "271828")) == nil }, 10*time.Second, 50*time.Millisecond)
}

func TestVerify_ManyAtOnceGetNoMoreAttempts(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t), func(c *Config, _ *Deps) { c.MaxFailures = 4 })
	address, _ := protected(t, s)
	var unverified atomic.Int64
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := s.Verify(t.Context(), Target{Tenant: acme, Address: &address}, "wrong"); err != nil && strings.Contains(err.Error(), ErrUnverified.Error()) {
				unverified.Add(1)
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 4, unverified.Load())
}

func TestChallenges_Expire(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t), func(c *Config, _ *Deps) { c.ChallengeTTL = time.Second })
	address, _ := protected(t, s)
	c := challenge(t, s, Target{Tenant: acme, Address: &address})
	require.Eventually(t, func() bool {
		var open bool
		err := s.deps.Store.pool.QueryRow(t.Context(), `select expires_at > clock_timestamp() from wallet_challenges where id = $1`, c.ID).Scan(&open)
		return err == nil && !open
	}, 10*time.Second, 20*time.Millisecond)
	require.ErrorIs(t, s.Verify(t.Context(), Target{Tenant: acme, Challenge: c.ID}, response(c, "271828")), ErrUnverified)

	challenge(t, s, Target{Tenant: acme, Address: &address})
	var n int
	require.NoError(t, s.deps.Store.pool.QueryRow(t.Context(), `select count(*) from wallet_challenges`).Scan(&n))
	require.Equal(t, 1, n, "the old one is swept away")
}

func TestChallenges_AreBounded(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t))
	address, _ := protected(t, s)
	for range 7 {
		_, err := s.Challenges(t.Context(), Target{Tenant: acme, Address: &address}, MaxChallenges)
		require.NoError(t, err)
	}
	var n int
	require.NoError(t, s.deps.Store.pool.QueryRow(t.Context(), `select count(*) from wallet_challenges`).Scan(&n))
	require.Equal(t, maxOpenChallenges, n)
}

func TestVerifications_ListAndDelete(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t))
	address, v := protected(t, s)
	for range maxVerifications - 1 {
		_, _, err := s.AddVerification(t.Context(), acme, address, NewVerification{Name: "app", Type: OTP})
		require.NoError(t, err)
	}
	_, _, err := s.AddVerification(t.Context(), acme, address, NewVerification{Name: "app", Type: OTP})
	require.ErrorIs(t, err, ErrTooMany)
	list, err := s.Verifications(t.Context(), acme, address)
	require.NoError(t, err)
	require.Len(t, list, maxVerifications)
	require.Equal(t, v, list[0])

	bob := create(t, s)
	require.ErrorIs(t, s.DeleteVerification(t.Context(), acme, bob, v.ID), ErrUnknownVerification)
	challenge(t, s, Target{Tenant: acme, Address: &address, Verification: v.ID})
	require.NoError(t, s.DeleteVerification(t.Context(), acme, address, v.ID))
	require.ErrorIs(t, s.DeleteVerification(t.Context(), acme, address, v.ID), ErrUnknownVerification)
	_, err = s.Challenges(t.Context(), Target{Tenant: acme, Address: &address, Verification: v.ID}, 1)
	require.ErrorIs(t, err, ErrUnknownVerification)

	nobody := common.Address{1}
	_, err = s.Verifications(t.Context(), acme, nobody)
	require.ErrorIs(t, err, ErrUnknownWallet)
	_, _, err = s.AddVerification(t.Context(), acme, nobody, NewVerification{Name: "n", Type: SecretCodes})
	require.ErrorIs(t, err, ErrUnknownWallet)
	_, err = s.Challenges(t.Context(), Target{Tenant: acme, Address: &nobody}, 1)
	require.ErrorIs(t, err, ErrUnknownWallet)
	require.ErrorIs(t, s.Verify(t.Context(), Target{Tenant: acme, Challenge: uuid.New()}, "x"), ErrUnverified)
	is, err := s.IsProtected(t.Context(), bob)
	require.NoError(t, err)
	require.False(t, is)
}

// Whoever reads the database can neither sign nor answer.
func TestDatabase_HoldsNoSecretInClear(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t))
	address, _ := protected(t, s)
	_, otp, err := s.AddVerification(t.Context(), acme, address, NewVerification{Name: "app", Type: OTP})
	require.NoError(t, err)
	_, paper, err := s.AddVerification(t.Context(), acme, address, NewVerification{Name: "paper", Type: SecretCodes})
	require.NoError(t, err)
	u, err := url.Parse(otp["uri"])
	require.NoError(t, err)
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
	require.NoError(t, err)
	c := challenge(t, s, Target{Tenant: acme, Address: &address, Verification: mustList(t, s, address)[0].ID})

	var dump string
	require.NoError(t, s.deps.Store.pool.QueryRow(t.Context(), `
		select string_agg(encode(convert_to(v::text, 'UTF8'), 'escape') || coalesce(encode(sealed, 'escape'), ''), ' ') from wallet_verifications v`).Scan(&dump))
	require.Contains(t, dump, "paper")
	for _, hidden := range []string{"271828", pinDigest(c.Salt, "271828"), string(key), u.Query().Get("secret"), normalCode(strings.Split(paper["secretCodes"], ",")[0])} {
		require.NotContains(t, dump, hidden)
	}

	stranger := replica(t, s.deps.Store.pool.Config().ConnString(), func(_ *Config, d *Deps) { d.Key = make([]byte, sealed.KeySize) })
	require.ErrorIs(t, stranger.Verify(t.Context(), Target{Tenant: acme, Challenge: c.ID}, response(c, "271828")), ErrSealed)
}

func mustList(t *testing.T, s *Service, address common.Address) []Verification {
	t.Helper()
	list, err := s.Verifications(t.Context(), acme, address)
	require.NoError(t, err)
	return list
}

// What a user agreed to may be repeated for as long as his response was good; later
// only what was accepted. Nothing else may.
func TestVerify_ARepeatedRequest(t *testing.T) {
	t.Parallel()
	s := replica(t, pgtest.DSN(t), func(c *Config, _ *Deps) { c.ChallengeTTL = 2 * time.Second })
	address := create(t, s)
	_, _, err := s.AddVerification(t.Context(), acme, address, NewVerification{Name: "pin", Type: Pincode, Pincode: "1234"})
	require.NoError(t, err)
	list, err := s.Challenges(t.Context(), Target{Tenant: acme, Address: &address}, 1)
	require.NoError(t, err)
	target := Target{Tenant: acme, Address: &address, Challenge: list[0].ID}
	response := pinResponse(pinDigest(list[0].Salt, "1234"), list[0].Secret)
	r := Request{IdempotencyKey: "k", Hash: [32]byte{1}, Actor: "key:portal"}

	require.ErrorIs(t, s.Verify(t.Context(), target, "wrong", r), ErrUnverified)
	require.NoError(t, s.Verify(t.Context(), target, response, r))
	require.NoError(t, s.Verify(t.Context(), target, response, r))
	for name, requests := range map[string][]Request{
		"none": nil, "another key": {{"x", r.Hash, r.Actor}}, "another request": {{r.IdempotencyKey, [32]byte{2}, r.Actor}}, "another caller": {{r.IdempotencyKey, r.Hash, "key:x"}},
		"and another one": {r, {"x", r.Hash, r.Actor}},
	} {
		require.ErrorIs(t, s.Verify(t.Context(), target, response, requests...), ErrUnverified, name)
	}
	other := target
	other.Tenant = "other"
	require.ErrorIs(t, s.Verify(t.Context(), other, response, r), ErrUnverified)
	require.Eventually(t, func() bool { return s.Verify(t.Context(), target, response, r) != nil }, 20*time.Second, 100*time.Millisecond, "it was never accepted")
}
