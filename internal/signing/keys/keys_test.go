package keys

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/awskms"
	"github.com/slipwayhq/slipway/internal/signing/signingtest"
	"github.com/slipwayhq/slipway/internal/signing/vault"
	"github.com/slipwayhq/slipway/internal/signing/vault/vaulttest"
)

var program vaulttest.Builder //nolint:gochecknoglobals // one build for all tests

const (
	phrase = "test test test test test test test test test test test junk"
	other  = "legal winner thank year wave sausage worth useful legal winner thank yellow"
	// rawKey is that of account 0 of the phrase.
	rawKey = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
)

func account0() common.Address {
	return common.HexToAddress("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// withVault is a Vault with the phrase in KV and its first key in both plug-ins.
func withVault(t *testing.T) (*vaulttest.Server, vault.Config) {
	t.Helper()
	s := program.Start(t)
	for path, engine := range map[string]string{"secret": "kv", "ethereum": "ethsign", "quorum": "digest"} {
		s.Mount(t, path, engine)
	}
	raw, err := hex.DecodeString(rawKey)
	require.NoError(t, err)
	s.Do(t, "POST", "secret/data/signer", map[string]any{"data": map[string]any{"mnemonic": phrase, "key": "0x" + rawKey}})
	s.Do(t, "POST", "ethereum/accounts", map[string]any{"privateKey": rawKey})
	s.Do(t, "POST", "quorum/keys/import", map[string]any{"id": "one", "private_key": base64.URLEncoding.EncodeToString(raw)})
	return s, vault.Config{Address: s.Address, Auth: vault.AuthConfig{Method: vault.MethodToken, Token: secret.New(s.Token)}}
}

// Every kind that needs nothing but this machine, through the one function.
// awskms is put through the suite in its own package, against a fake.
func TestConformance(t *testing.T) {
	t.Parallel()
	server, way := withVault(t)
	file := filepath.Join(t.TempDir(), "phrase")
	require.NoError(t, os.WriteFile(file, []byte(phrase+"\n"), 0o600))
	require.NotEmpty(t, server.Address)

	for name, cfg := range map[string]Config{
		"local file":        {Kind: Local, Local: LocalConfig{MnemonicFile: file}},
		"local":             {Kind: Local, Local: LocalConfig{Mnemonic: secret.New(phrase)}},
		"raw":               {Kind: Raw, Raw: RawConfig{DevelopmentOnly: true, Key: secret.New(rawKey)}},
		"vault-kv mnemonic": {Kind: VaultKV, Vault: way, KV: vault.KVConfig{Path: "signer"}},
		"vault-kv key":      {Kind: VaultKV, Vault: way, KV: vault.KVConfig{Path: "signer", KeyField: "key"}},
		"vault-digest":      {Kind: VaultDigest, Vault: way, Digest: vault.DigestConfig{Keys: []string{"one"}}},
		"vault-ethsign":     {Kind: VaultEthsign, Vault: way},
	} {
		cfg.ID = "one"
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signingtest.Run(t, func(*testing.T) signingtest.Key {
				return signingtest.Key{
					Address: account0(), WholeTransactions: cfg.Kind == VaultEthsign,
					Open: func(t *testing.T) signing.Signer {
						t.Helper()
						s, err := Open([]Config{cfg}, discard())
						require.NoError(t, err)
						lifecycletest.Start(t, s.Run)
						signer, err := s.Keyring().Signer(account0())
						require.NoError(t, err)
						return signer
					},
				}
			})
		})
	}
}

// A service that is away at the start keeps no other key from signing, and its
// keys come when it is back.
func TestRun_AServiceThatIsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	server, way := withVault(t)
	server.Seal(t)
	var log syncBuffer
	s, err := Open([]Config{
		{ID: "here", Kind: Local, Local: LocalConfig{Mnemonic: secret.New(other)}},
		{ID: "there", Kind: VaultKV, Vault: way, KV: vault.KVConfig{Path: "signer"}, Accounts: 3},
	}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	var calls atomic.Int64
	s.OnAdded(func(context.Context) error {
		if calls.Add(1) == 1 {
			return errors.New("the database is away")
		}
		return nil
	})

	lifecycletest.Start(t, s.Run)
	require.Len(t, s.Keyring().Signers(), 1)
	require.Zero(t, calls.Load())

	server.Unseal(t)
	require.Eventually(t, func() bool { return len(s.Keyring().Signers()) == 4 && calls.Load() == 2 }, 30*time.Second, 10*time.Millisecond)
	require.Contains(t, log.String(), "keys cannot be opened")
	require.Contains(t, log.String(), "sealed")
	require.Contains(t, log.String(), "accounts=3")
	for _, hidden := range []string{"junk", "sausage", server.Token, rawKey} {
		require.NotContains(t, log.String(), hidden)
	}
}

func TestLoad_KVWithANewVersion(t *testing.T) {
	t.Parallel()
	server, way := withVault(t)
	one, err := newSource(Config{ID: "x", Kind: VaultKV, Vault: way, KV: vault.KVConfig{Path: "signer"}}, nil, discard())
	require.NoError(t, err)

	signers, err := one.load(t.Context())
	require.NoError(t, err)
	require.Equal(t, account0(), signers[0].Address())
	require.EqualValues(t, "local:x/m/44'/60'/0'/0/0", signers[0].Ref())
	signers, err = one.load(t.Context())
	require.NoError(t, err)
	require.Empty(t, signers, "nothing has changed")

	server.Do(t, "POST", "secret/data/signer", map[string]any{"data": map[string]any{"mnemonic": "hunter2 words"}})
	_, err = one.load(t.Context())
	var permanent *signing.PermanentError
	require.ErrorAs(t, err, &permanent)
	require.NotContains(t, err.Error(), "hunter2")
	server.Do(t, "POST", "secret/data/signer", map[string]any{"data": map[string]any{"mnemonic": other}})
	signers, err = one.load(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, account0(), signers[0].Address())
}

// A phrase that changes brings its accounts; those before stay, since accepted
// transactions may need them.
func TestRun_AMnemonicFileThatChanges(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "phrase")
	put := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	put(phrase)

	synctest.Test(t, func(t *testing.T) {
		s, err := Open([]Config{{Kind: Local, Local: LocalConfig{MnemonicFile: file}, Accounts: 2}}, discard())
		require.NoError(t, err)
		var calls atomic.Int64
		s.OnAdded(func(context.Context) error { calls.Add(1); return nil })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error)
		go func() { done <- s.Run(ctx, func() {}) }()
		wait := func(d time.Duration) { <-time.After(d); synctest.Wait() }

		wait(time.Minute)
		require.Len(t, s.Keyring().Signers(), 2)
		require.Zero(t, calls.Load())

		put("not a phrase")
		wait(time.Minute)
		require.Len(t, s.Keyring().Signers(), 2)

		put(other)
		wait(2 * time.Minute)
		require.Len(t, s.Keyring().Signers(), 4)
		require.EqualValues(t, 1, calls.Load())
		cancel()
		require.NoError(t, <-done)
	})
}

// Sources with nothing to look after run on, as a component has to.
func TestRun_UntilTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open([]Config{{Kind: Local, Local: LocalConfig{Mnemonic: secret.New(phrase)}}}, discard())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := false
		go func() { _ = s.Run(ctx, func() {}); ended = true }()
		<-time.After(time.Hour)
		synctest.Wait()
		require.False(t, ended)
		cancel()
		synctest.Wait()
		require.True(t, ended)
	})
}

func TestOpen_MistakesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	way := vault.Config{Address: "https://vault", Auth: vault.AuthConfig{Method: vault.MethodKubernetes, Role: "x"}}
	cases := map[string][]Config{
		"must be local, raw":                     {{ID: "a", Kind: "pkcs11"}},
		"two sources have it":                    {{ID: "a", Kind: Local}, {ID: "a", Kind: Local}},
		"source 2: id: must be letters":          {{ID: "a", Kind: Local}, {Kind: Local}},
		"source 1: local: one of mnemonic":       {{Kind: Local}},
		"developmentOnly":                        {{ID: "a", Kind: Raw, Raw: RawConfig{Key: secret.New(rawKey)}}},
		"one of key and keyFile":                 {{ID: "a", Kind: Raw, Raw: RawConfig{DevelopmentOnly: true}}},
		"kv.path: is missing":                    {{ID: "a", Kind: VaultKV, Vault: way}},
		"digest.keys: is missing":                {{ID: "a", Kind: VaultDigest, Vault: way}},
		"ethsign.accounts":                       {{ID: "a", Kind: VaultEthsign, Vault: way, Ethsign: vault.EthsignConfig{Accounts: []string{"x"}}}},
		"a: keyId: is missing":                   {{ID: "a", Kind: AWSKMS, AWSKMS: awskms.Config{}}},
		"accounts: must be between":              {{ID: "a", Kind: Local, Local: LocalConfig{Mnemonic: secret.New(phrase)}, Accounts: 10_001}},
		"derivation path":                        {{ID: "a", Kind: Local, Local: LocalConfig{Mnemonic: secret.New(phrase)}, DerivationPath: "x"}},
		"a: invalid mnemonic: 2 words":           {{ID: "a", Kind: Local, Local: LocalConfig{Mnemonic: secret.New("hunter2 hunter2")}}},
		"a: invalid private key":                 {{ID: "a", Kind: Raw, Raw: RawConfig{DevelopmentOnly: true, Key: secret.New("hunter2")}}},
		"passphrase and passphraseFile":          {{ID: "a", Kind: Local, Local: LocalConfig{Mnemonic: secret.New(phrase), Passphrase: secret.New("a"), PassphraseFile: "b"}}},
		"a: read mnemonicFile":                   {{ID: "a", Kind: Local, Local: LocalConfig{MnemonicFile: filepath.Join(t.TempDir(), "gone")}}},
		"auth.method: must be token":             {{ID: "a", Kind: VaultKV, KV: vault.KVConfig{Path: "x"}}},
		"address: must be an http or https URL":  {{ID: "a", Kind: VaultDigest}},
		"endpoint: must be an http or https URL": {{ID: "a", Kind: AWSKMS, AWSKMS: awskms.Config{KeyID: "x", Endpoint: "x"}}},
	}
	for want, configs := range cases {
		_, err := Open(configs, discard())
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), rawKey)
	}
}

// syncBuffer is a log that is written and read at once.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestOpen_AnotherPhraseIsRefused: accounts do not become other ones unsaid, neither at
// the start nor while the signer runs.
func TestOpen_AnotherPhraseIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "phrase")
	put := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	pinned := []Config{{Kind: Local, Local: LocalConfig{MnemonicFile: file}, Accounts: 2, FirstAddress: account0().Hex()}}
	put(other)
	_, err := Open(pinned, discard())
	require.ErrorContains(t, err, "firstAddress is "+account0().Hex())
	require.NotContains(t, err.Error(), "winner")

	put(phrase)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(pinned, discard())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error)
		go func() { done <- s.Run(ctx, func() {}) }()
		put(other)
		<-time.After(5 * time.Minute)
		synctest.Wait()
		require.Len(t, s.Keyring().Signers(), 2, "those of the phrase that was meant")
		cancel()
		require.NoError(t, <-done)
	})
	for wrong, says := range map[*Config]string{
		{Kind: Local, Local: LocalConfig{MnemonicFile: file}, Accounts: 1, FirstAddress: "0x12"}:                       "firstAddress: must be",
		{Kind: Raw, Raw: RawConfig{DevelopmentOnly: true, KeyFile: file}, Accounts: 1, FirstAddress: account0().Hex()}: "firstAddress: is for",
	} {
		require.ErrorContains(t, wrong.Validate(), says)
	}
}
