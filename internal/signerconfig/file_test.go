package signerconfig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/config"
	"github.com/slipwayhq/slipway/internal/signing/keys"
)

// environment is one of names and values in turn.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signer.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestLoad_FileThenEnvironment(t *testing.T) {
	t.Parallel()
	path := writeFile(t, `
logLevel: debug
listen: 127.0.0.1:3000
dev: true
gatewayUrl: http://gateway:4000
databaseUrl: ${DSN}
keys:
  mnemonicFile: /run/secrets/phrase
  accounts: 5
queue:
  chainId: 53771311147
  resendAfter: 5s
  feeMode: zero
`)

	got, err := Load(path, environment("DSN", "postgres://u:hunter2@db/slipway", "SLIPWAY_CHAIN_ID", "1337", "TX_SIGNER_PORT", "3005"))

	require.NoError(t, err)
	require.Equal(t, "debug", got.LogLevel)
	require.Equal(t, "postgres://u:hunter2@db/slipway", got.App.DatabaseURL.Reveal())
	require.Equal(t, "http://gateway:4000", got.App.GatewayURL.Reveal())
	require.Equal(t, 5, got.App.Keys.Accounts)
	require.EqualValues(t, 1337, got.App.Queue.ChainID, "the environment wins")
	require.Equal(t, 5*time.Second, got.App.Queue.ResendAfter)
	require.EqualValues(t, 20, got.App.Queue.GasMargin, "what is left out keeps its default")
	require.Equal(t, ":3005", got.App.Listen)
}

func TestLoad_SourcesOfKeys(t *testing.T) {
	t.Parallel()
	path := writeFile(t, `
keys:
  sources:
    - id: treasury
      kind: vault-kv
      vault:
        address: https://vault:8200
        namespace: team
        timeout: 3s
        auth: {method: approle, roleId: r, secretId: "${SECRET_ID}"}
      kv: {path: signer/treasury}
      accounts: 4
    - id: cold
      kind: awskms
      awskms: {keyId: alias/cold, region: eu-central-1}
`)

	got, err := Load(path, environment("SECRET_ID", "hunter2"))

	require.NoError(t, err)
	sources := got.App.Keys.Sources
	require.Len(t, sources, 2)
	require.NoError(t, keys.Validate(sources))
	require.Equal(t, "hunter2", sources[0].Vault.Auth.SecretID.Reveal())
	require.Equal(t, 3*time.Second, sources[0].Vault.Timeout)
	require.Equal(t, 4, sources[0].Accounts)
	require.Equal(t, "alias/cold", sources[1].AWSKMS.KeyID)
}

// Every source in the documentation can be copied as it stands.
func TestLoad_TheExamplesOfTheDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/keys.md")
	require.NoError(t, err)
	kinds := map[keys.Kind]bool{}
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(block, "- id:") {
			continue
		}
		if !strings.HasPrefix(block, "keys:") {
			block = "keys:\n  sources:\n" + block
		}
		got, err := Load(writeFile(t, block), environment())
		require.NoError(t, err, block)
		require.NoError(t, keys.Validate(got.App.Keys.Sources), block)
		kinds[got.App.Keys.Sources[0].Kind] = true
	}
	require.Len(t, kinds, 6, "each kind has an example")
}

// The variables of SettleMint's compose file are enough.
func TestLoad_TxSignersEnvironment(t *testing.T) {
	t.Parallel()

	got, err := Load("", environment(
		"MODE", "standalone", "RPC_ENDPOINT", "http://erpc:4000", "DB_CONNECTION_STRING", "postgresql://u:p@h/db",
		"PRIVATE_KEY_MNEMONIC", "a b c", "PRIVATE_KEY_DERIVATION_PATH", "m/44'/60'/0'/0/7", "TX_SIGNER_METRICS_PORT", "3001"))

	require.NoError(t, err)
	require.Equal(t, "http://erpc:4000", got.App.GatewayURL.Reveal())
	require.Equal(t, "a b c", got.App.Keys.Mnemonic.Reveal())
	require.Equal(t, "m/44'/60'/0'/0/7", got.App.Keys.DerivationPath)
	got.Complete()
	require.True(t, got.App.Access.AttachedNetworks)
}

// MODE=standalone stands back behind every way of knowing callers, and dev.
func TestComplete_StandaloneOnlyWhereNothingElseIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		env  []string
	}{
		"keys": {env: []string{"MODE", "standalone", "SLIPWAY_API_KEYS", "true"}}, "dev": {file: "dev: true\n", env: []string{"MODE", "standalone"}},
		"networks": {file: "access: {networks: [{name: a, cidrs: [10.0.0.0/8], tenant: a, roles: [read]}]}\n", env: []string{"MODE", "standalone"}},
		"no mode":  {},
	} {
		got, err := Load(writeFile(t, c.file+"logLevel: info\n"), environment(c.env...))
		require.NoError(t, err, name)
		got.Complete()
		require.False(t, got.App.Access.AttachedNetworks, name)
	}
}

func TestLoad_Problems(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		file string
		env  []string
		want []string
	}{
		"unknown key":   {file: "listen: :3000\nqueue:\n  chainID: 1\n", want: []string{"signer.yaml:3:3", "chainID"}},
		"wrong type":    {file: "dev: perhaps\n", want: []string{"signer.yaml:1:6"}},
		"unset":         {file: "databaseUrl: ${NOT_THERE}\n", want: []string{"NOT_THERE is not set"}},
		"all variables": {env: []string{"TX_SIGNER_PORT", "hunter2", "SLIPWAY_CHAIN_ID", "hunter2"}, want: []string{"TX_SIGNER_PORT: must be a port", "SLIPWAY_CHAIN_ID: must be a number"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := ""
			if c.file != "" {
				path = writeFile(t, c.file)
			}

			_, err := Load(path, environment(c.env...))

			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err := Load(filepath.Join(t.TempDir(), "missing.yaml"), environment())
	require.ErrorContains(t, err, "missing.yaml")
	_, err = File{LogLevel: "loud"}.Logging()
	require.ErrorContains(t, err, `logLevel "loud"`)
}

func TestSections_EveryKeyIsDescribed(t *testing.T) {
	t.Parallel()

	text, err := config.Reference(Sections("../.."))

	require.NoError(t, err)
	for _, row := range []string{"`queue.chainId`", "`keys.mnemonicFile`", "`api.maxBody`", "`logLevel`"} {
		require.Contains(t, text, row)
	}
}
