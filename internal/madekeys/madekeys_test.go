package madekeys

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/schema"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/awskms"
	"github.com/slipwayhq/slipway/internal/signing/awskms/kmstest"
	"github.com/slipwayhq/slipway/internal/signing/keys"
	"github.com/slipwayhq/slipway/internal/signing/vault"
	"github.com/slipwayhq/slipway/internal/signing/vault/vaulttest"
)

// TestMain gives the SDK's default chain the credentials of the fake, and nothing of the
// machine's own.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": kmstest.AccessKeyID, "AWS_SECRET_ACCESS_KEY": kmstest.SecretAccessKey, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(pgtest.Main(m, pgtest.Template(schema.Migrate)))
}

var program vaulttest.Builder //nolint:gochecknoglobals // one build for all tests

func pool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), pgtest.DSN(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `insert into chains (chain_id) values (1)`)
	require.NoError(t, err)
	return pool
}

// replica is the service of a process of its own.
func replica(t *testing.T, pool *pgxpool.Pool, log *bytes.Buffer, configs ...keys.Config) *Service {
	t.Helper()
	out := slog.New(slog.DiscardHandler)
	if log != nil {
		out = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	sources, err := keys.Open(configs, out)
	require.NoError(t, err)
	return New(NewStore(pool, 1), sources, sources.Keyring(), out)
}

func inKMS(f *kmstest.Server) keys.Config {
	return keys.Config{
		ID: "cold", Kind: keys.AWSKMS, AWSKMS: awskms.Config{Region: kmstest.Region, Endpoint: f.URL, Timeout: 5 * time.Second},
		Create: keys.CreateConfig{Enabled: true, Prefix: "team", Tags: map[string]string{"cost": "7"}},
	}
}

func order(source, idem string) Order {
	return Order{Tenant: "acme", IdempotencyKey: idem, Source: source, Name: "hot"}
}

func requireSigns(t *testing.T, s *Service, address common.Address) {
	t.Helper()
	key, err := s.Signer(address)
	require.NoError(t, err)
	digest := [32]byte{1, 2}
	signature, err := key.Sign(t.Context(), digest)
	require.NoError(t, err)
	require.NoError(t, signing.Verify(signature, digest, address))
}

func TestMake_InKMS(t *testing.T) {
	t.Parallel()
	f, db := kmstest.New(t), pool(t)
	a, b := replica(t, db, nil, inKMS(f)), replica(t, db, nil, inKMS(f))

	key, isNew, err := a.Make(t.Context(), order("cold", "k"))
	require.NoError(t, err)
	require.True(t, isNew)
	require.Len(t, f.Made, 1)
	made := f.Made[0]
	require.Equal(t, crypto.PubkeyToAddress(made.Key.PublicKey), key.Address)
	require.EqualValues(t, "awskms:"+made.ARN, key.Ref)
	require.Equal(t, "Slipway: hot", made.Description)
	require.Equal(t, "7", made.Tags["cost"])
	require.Equal(t, map[string]string{"alias/team-" + made.Tags[awskms.OrderTag]: made.ARN}, f.Aliases)

	again, isNew, err := b.Make(t.Context(), order("cold", "k"))
	require.NoError(t, err)
	require.False(t, isNew)
	require.Equal(t, key, again)
	for _, other := range []Order{{"acme", "k", "cold", "other"}, {"acme", "k", "", "hot"}} {
		_, err = a.OrderID(t.Context(), other)
		require.ErrorIs(t, err, ErrKeyReused)
	}
	theirs, _, err := b.Make(t.Context(), Order{Tenant: "other", IdempotencyKey: "k", Source: "cold", Name: "hot"})
	require.NoError(t, err)
	require.NotEqual(t, key.Address, theirs.Address, "an idempotency key is its tenant's")
	requireSigns(t, b, key.Address)

	owners, err := b.Owners(t.Context(), key.Address, theirs.Address, common.Address{9})
	require.NoError(t, err)
	require.Equal(t, map[common.Address]string{key.Address: "acme", theirs.Address: "other"}, owners)
	list, err := a.Keys(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, []Key{key}, list)
	_, err = a.Signer(common.Address{9})
	require.ErrorIs(t, err, signing.ErrUnknownSigner)
}

// Whatever fails on the way: the order repeated leads to one key.
func TestMake_InKMS_FailsOnTheWay(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		breaks func(f *kmstest.Server)
		want   string
	}{
		"the answer with the key is lost": {func(f *kmstest.Server) { f.Lose = map[string]int{"CreateKey": 1} }, "signer_unavailable"},
		"no alias":                        {func(f *kmstest.Server) { f.Refuse = map[string]string{"CreateAlias": "AccessDeniedException"} }, "signer_refused"},
		"the answer to the alias is lost": {func(f *kmstest.Server) { f.Lose = map[string]int{"CreateAlias": 1} }, ""},
		"no public key":                   {func(f *kmstest.Server) { f.Refuse = map[string]string{"GetPublicKey": "KMSInternalException"} }, "signer_unavailable"},
		"forbidden":                       {func(f *kmstest.Server) { f.Refuse = map[string]string{"CreateKey": "AccessDeniedException"} }, "signer_refused"},
		"throttled":                       {func(f *kmstest.Server) { f.Refuse = map[string]string{"CreateKey": "ThrottlingException"} }, "signer_unavailable"},
		"no more":                         {func(f *kmstest.Server) { f.Refuse = map[string]string{"CreateKey": "LimitExceededException"} }, "signer_unavailable"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, db := kmstest.New(t), pool(t)
			var log bytes.Buffer
			s := replica(t, db, &log, inKMS(f))
			f.Set(func() { tc.breaks(f) })
			_, _, err := s.Make(t.Context(), order("cold", "k"))
			if tc.want == "" {
				require.NoError(t, err) // the SDK has tried again
			} else {
				var coded interface{ Code() string }
				require.ErrorAs(t, err, &coded)
				require.Equal(t, tc.want, coded.Code())
			}

			f.Set(func() { f.Refuse, f.Lose = nil, nil })
			other := replica(t, db, nil, inKMS(f))
			key, _, err := other.Make(t.Context(), order("cold", "k"))
			require.NoError(t, err)
			require.Len(t, f.Made, 1, "one key alone")
			require.Len(t, f.Aliases, 1)
			requireSigns(t, other, key.Address)
			if f.Count("CreateAlias") > 1 {
				require.Contains(t, log.String(), f.Made[0].ARN, "the log names what was left")
			}
		})
	}
}

// A replica that ends between the key service and the database has left a claim; the
// order goes on with its key when that is over.
func TestMake_AReplicaThatEnded(t *testing.T) {
	t.Parallel()
	f, db := kmstest.New(t), pool(t)
	s := replica(t, db, nil, inKMS(f))
	r, err := s.store.order(t.Context(), order("cold", "k"))
	require.NoError(t, err)
	isOurs, err := s.store.claim(t.Context(), r.id, time.Second)
	require.NoError(t, err)
	require.True(t, isOurs)
	_, err = s.sources.Make(t.Context(), "cold", signing.Order{ID: r.id.String(), Note: func(context.Context, string) error { return ErrUnavailable }})
	require.ErrorIs(t, err, ErrUnavailable)
	require.Len(t, f.Made, 1)
	require.Empty(t, f.Aliases)

	key, isNew, err := replica(t, db, nil, inKMS(f)).Make(t.Context(), order("cold", "k"))
	require.NoError(t, err)
	require.True(t, isNew)
	require.Len(t, f.Made, 1)
	require.Equal(t, crypto.PubkeyToAddress(f.Made[0].Key.PublicKey), key.Address)
}

// Many at once, on two replicas: one key.
func TestMake_ManyAtOnce(t *testing.T) {
	t.Parallel()
	f, db := kmstest.New(t), pool(t)
	replicas := []*Service{replica(t, db, nil, inKMS(f)), replica(t, db, nil, inKMS(f))}
	var group sync.WaitGroup
	var mu sync.Mutex
	addresses, created := map[common.Address]bool{}, 0
	for i := range 8 {
		group.Go(func() {
			key, isNew, err := replicas[i%2].Make(t.Context(), order("cold", "k"))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			addresses[key.Address] = true
			if isNew {
				created++
			}
		})
	}
	group.Wait()
	require.Len(t, addresses, 1)
	require.Equal(t, 1, created)
	require.Len(t, f.Made, 1)
}

func TestMake_InVault(t *testing.T) {
	t.Parallel()
	server, db := program.Start(t), pool(t)
	for path, engine := range map[string]string{"secret": "kv", "ethereum": "ethsign", "quorum": "digest", "bare": "ethsign"} {
		server.Mount(t, path, engine)
	}
	way := vault.Config{Address: server.Address, Auth: vault.AuthConfig{Method: vault.MethodToken, Token: secret.New(server.Token)}}
	create := keys.CreateConfig{Enabled: true}
	configs := []keys.Config{
		{ID: "kv", Kind: keys.VaultKV, Vault: way, Create: create},
		{ID: "whole", Kind: keys.VaultEthsign, Vault: way, Create: create},
		{ID: "digest", Kind: keys.VaultDigest, Vault: way, Create: create},
		{ID: "bare", Kind: keys.VaultDigest, Vault: way, Create: create, Digest: vault.DigestConfig{Mount: "bare"}},
		{ID: "off", Kind: keys.VaultKV, Vault: way, KV: vault.KVConfig{Path: "x"}},
	}
	var log bytes.Buffer
	s := replica(t, db, &log, configs...)
	made := map[string]Key{}
	for _, source := range []string{"kv", "whole", "digest"} {
		key, isNew, err := s.Make(t.Context(), order(source, source))
		require.NoError(t, err, source)
		require.True(t, isNew)
		again, isNew, err := s.Make(t.Context(), order(source, source))
		require.NoError(t, err)
		require.False(t, isNew)
		require.Equal(t, key, again)
		made[source] = key
	}
	held, _ := server.Do(t, "GET", "secret/data/"+made["kv"].place, nil)["data"].(map[string]any)
	fields, _ := held["data"].(map[string]any)
	text, _ := fields["key"].(string)
	require.Len(t, text, 64)
	require.NotContains(t, log.String(), text)
	metadata, _ := held["metadata"].(map[string]any)
	require.EqualValues(t, 1, metadata["version"])

	for source, want := range map[string]string{"bare": "POST bare/keys", "off": "create.enabled"} {
		_, _, err := s.Make(t.Context(), order(source, source))
		var unsupported *signing.UnsupportedError
		require.ErrorAs(t, err, &unsupported, source)
		require.Contains(t, err.Error(), want)
	}
	_, _, err := s.Make(t.Context(), order("none", "n"))
	require.ErrorIs(t, err, signing.ErrNoSource)

	// Sealed: no key, no signature of what is not open yet; then both, on a new replica.
	server.Seal(t)
	restarted := replica(t, db, nil, configs...)
	_, _, err = restarted.Make(t.Context(), order("kv", "later"))
	var away *signing.UnavailableError
	require.ErrorAs(t, err, &away)
	key, err := restarted.Signer(made["kv"].Address)
	require.NoError(t, err)
	_, err = key.Sign(t.Context(), [32]byte{1})
	require.ErrorAs(t, err, &away)
	server.Unseal(t)
	require.Eventually(t, func() bool { // it is back, and the signer has logged in again
		_, err := key.Sign(t.Context(), [32]byte{1})
		return err == nil
	}, 30*time.Second, 50*time.Millisecond)
	requireSigns(t, restarted, made["kv"].Address)
	requireSigns(t, restarted, made["digest"].Address)
	later, _, err := restarted.Make(t.Context(), order("kv", "later"))
	require.NoError(t, err)
	requireSigns(t, restarted, later.Address)
	whole, err := restarted.Signer(made["whole"].Address)
	require.NoError(t, err)
	require.Implements(t, (*signing.TransactionSigner)(nil), whole)

	// The source is gone from the configuration.
	key, err = replica(t, db, nil, configs[1:]...).Signer(made["kv"].Address)
	require.NoError(t, err)
	_, err = key.Sign(t.Context(), [32]byte{1})
	var refused *signing.PermanentError
	require.ErrorAs(t, err, &refused)
	require.Contains(t, err.Error(), "not in the configuration")
}
