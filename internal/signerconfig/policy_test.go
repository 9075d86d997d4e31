package signerconfig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/policy"
)

// The example of docs/policy.md, more or less.
func TestLoad_AccessAndPolicy(t *testing.T) {
	t.Parallel()
	path := writeFile(t, `
access:
  apiKeys: true
  issuers:
    - name: corp
      issuer: https://idp.example.com
      audience: slipway
      jwksUrl: https://idp.example.com/keys
      tenantClaim: org
      rolesClaim: realm_access.roles
      roleNames:
        operate: [signer-admins]
        submit: [signer-users, signer-admins]
  tenants:
    - name: acme
      senders: ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"]
policy:
  rules:
    - id: transfers
      effect: allow
      recipients: ["0x5FbDB2315678afecb367f032d93F642f64180aa3"]
      methods: ["transfer(address,uint256)"]
      arguments:
        - {at: "1", max: 1000000000000000000000}
      maxValue: 0
      maxGas: 200000
      limits:
        - {period: 24h, per: sender, count: 100}
        - {period: 1h, value: 1.5 ether}
    - id: large
      effect: require_approval
      approvals: 2
      approvers: [key:alice, key:bob, jwt:corp/carol]
      minValue: 100 gwei
rateLimit: {tenantPerMinute: 60, senderPerHour: 1000}
audit: {retention: 720h}
`)

	got, err := Load(path, environment())

	require.NoError(t, err)
	require.NoError(t, got.App.Access.Validate())
	require.NoError(t, got.App.Policy.Validate())
	rules := got.App.Policy.Rules
	require.Equal(t, "1500000000000000000", rules[0].Limits[1].Value.Big().String())
	require.Zero(t, rules[0].MaxValue.Big().Sign(), "0 is a limit")
	require.EqualValues(t, 200000, *rules[0].MaxGas)
	require.Equal(t, "100000000000", rules[1].MinValue.Big().String())
	require.Nil(t, rules[1].MaxValue)
	require.Equal(t, []string{"signer-users", "signer-admins"}, got.App.Access.Issuers[0].RoleNames[access.RoleSubmit])
	require.Equal(t, 60, got.App.RateLimit.TenantPerMinute)
	require.Equal(t, 720*time.Hour, got.App.Audit.Retention)
	require.True(t, got.App.Audit.Enabled, "what is left out keeps its default")
}

func TestLoad_TxSignersLimitsAndLists(t *testing.T) {
	t.Parallel()

	got, err := Load("", environment(
		"TX_SIGNER_RATE_LIMIT_MAX_REQUESTS_PER_MINUTE", "60", "TX_SIGNER_RATE_LIMIT_MAX_REQUESTS_PER_HOUR", "1000", "TX_SIGNER_RATE_LIMIT_ENABLED", "true",
		"TX_SIGNER_AUDIT_ENABLED", "true", "TX_SIGNER_AUDIT_RETENTION_DAYS", "30", "SLIPWAY_API_KEYS", "true",
		"TX_SIGNER_ALLOWED_CONTRACTS", "0x5FbDB2315678afecb367f032d93F642f64180aa3, 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
		"TX_SIGNER_ALLOWED_METHODS", "transfer(address,uint256),0x095ea7b3"))

	require.NoError(t, err)
	require.Equal(t, 60, got.App.RateLimit.TenantPerMinute)
	require.Equal(t, 1000, got.App.RateLimit.TenantPerHour)
	require.Equal(t, 30*24*time.Hour, got.App.Audit.Retention)
	require.True(t, got.App.Access.APIKeys)
	require.NoError(t, got.App.Policy.Validate())
	require.Len(t, got.App.Policy.Rules, 2)
	require.Equal(t, []string{"transfer(address,uint256)", "0x095ea7b3"}, got.App.Policy.Rules[0].Methods)
	require.Len(t, got.App.Policy.Rules[0].Recipients, 2)
	require.Equal(t, policy.EffectAllow, got.App.Policy.Rules[1].Effect)

	got, err = Load("", environment("TX_SIGNER_RATE_LIMIT_MAX_REQUESTS_PER_MINUTE", "60", "TX_SIGNER_RATE_LIMIT_ENABLED", "false"))
	require.NoError(t, err)
	require.Zero(t, got.App.RateLimit.TenantPerMinute)
	for name, value := range map[string]string{"TX_SIGNER_ALLOWED_METHODS": " , ", "TX_SIGNER_AUDIT_ENABLED": "maybe", "TX_SIGNER_AUDIT_RETENTION_DAYS": "soon"} {
		_, err = Load("", environment(name, value))
		require.ErrorContains(t, err, name)
	}
}

// Every example of the documents loads and holds.
func TestDocuments_ExamplesAreValid(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"policy.md", "security.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
		require.NoError(t, err)
		blocks := strings.Split(string(text), "```yaml\n")[1:]
		require.NotEmpty(t, blocks)
		for _, block := range blocks {
			block, _, _ = strings.Cut(block, "```")

			got, err := Load(writeFile(t, block), environment())

			require.NoError(t, err, block)
			require.NoError(t, got.App.Access.Validate(), block)
			require.NoError(t, got.App.Policy.Validate(), block)
		}
	}
}
