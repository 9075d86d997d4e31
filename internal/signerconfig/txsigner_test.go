package signerconfig

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/signing/keys"
)

// Everything that TxSigner's chart renders with its defaults is understood.
func TestLoad_TxSignersChart(t *testing.T) {
	t.Parallel()
	got, err := Load("", environment(
		"MODE", "standalone", "TX_SIGNER_DEBUG", "false", "TX_SIGNER_LOG_LEVEL", "info", "TX_SIGNER_SIGNING_STRATEGY", "local",
		"TX_SIGNER_PRIVATE_KEY", "0xsecretsecret", "TX_SIGNER_QUEUE_MAX_SIZE", "1000", "TX_SIGNER_QUEUE_PROCESSING_INTERVAL", "1000",
		"TX_SIGNER_GAS_PRICE_STRATEGY", "estimator", "TX_SIGNER_GAS_FIXED_PRICE", "20 gwei", "TX_SIGNER_GAS_LIMIT", "3000000", "TX_SIGNER_GAS_MULTIPLIER", "1.1",
		"TX_SIGNER_NONCE_STRATEGY", "sequential", "TX_SIGNER_NONCE_MAX_PENDING", "10"))

	require.NoError(t, err)
	q := got.App.Queue
	require.Equal(t, queue.FeeHistory, q.FeeMode)
	require.EqualValues(t, 20_000_000_000, q.FixedFeePerGas)
	require.EqualValues(t, 10, q.GasMargin)
	require.Equal(t, 10, q.Window)
	require.Equal(t, 1000, q.MaxQueuedPerTenant)
	require.Len(t, got.App.Keys.Sources, 1)
	require.Equal(t, keys.Raw, got.App.Keys.Sources[0].Kind)
	require.Equal(t, "0xsecretsecret", got.App.Keys.Sources[0].Raw.Key.Reveal())
	require.Len(t, got.Warnings(), 4)
	for _, warning := range got.Warnings() {
		require.Contains(t, warning, "environment variable TX_SIGNER_")
		require.NotContains(t, warning, "secretsecret")
	}
}

func TestLoad_TxSignersKMS(t *testing.T) {
	t.Parallel()
	got, err := Load("", environment("TX_SIGNER_SIGNING_STRATEGY", "kms", "TX_SIGNER_KMS_PROVIDER", "aws", "TX_SIGNER_KMS_KEY_ID", "alias/signer", "TX_SIGNER_KMS_REGION", "eu-west-1"))

	require.NoError(t, err)
	require.Len(t, got.App.Keys.Sources, 1)
	source := got.App.Keys.Sources[0]
	require.Equal(t, keys.AWSKMS, source.Kind)
	require.Equal(t, "alias/signer", source.AWSKMS.KeyID)
	require.Equal(t, "eu-west-1", source.AWSKMS.Region)
	require.NoError(t, source.Validate())
}

func TestLoad_TxSignersValuesThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"MODE": "integrated", "TX_SIGNER_DEBUG": "perhaps", "TX_SIGNER_SIGNING_STRATEGY": "hsm", "TX_SIGNER_KMS_PROVIDER": "gcp", "TX_SIGNER_HSM_PIN": "1234",
		"TX_SIGNER_QUEUE_MAX_SIZE": "-1", "TX_SIGNER_GAS_PRICE_STRATEGY": "guess", "TX_SIGNER_GAS_FIXED_PRICE": "1.5", "TX_SIGNER_GAS_MULTIPLIER": "0.9",
		"TX_SIGNER_NONCE_MAX_PENDING": "many",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load("", environment(name, value))
			require.ErrorContains(t, err, "environment variable "+name+": ")
		})
	}
}

func TestWei(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]uint64{"0": 0, "1000": 1000, "20gwei": 20e9, "1.5 Gwei": 1.5e9, "0.000000001gwei": 1} {
		got, err := wei(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "gwei", "-1", "1e9", "0x10", "1.5", "0.0000000001gwei", "20 ether", "99999999999999999999"} {
		_, err := wei(text)
		require.Error(t, err, text)
	}
}
