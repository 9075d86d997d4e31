package signerconfig

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing/keys"
)

// txSignerSource names the source of keys that TxSigner's variables describe.
const txSignerSource = "txsigner"

// txSignerVariables are the settings of TxSigner's chart beyond those that have
// the shape of one of ours. Some mean nothing here: the file then says so in
// its warnings.
func txSignerVariables() []Variable {
	return []Variable{
		{"MODE", "access.attachedNetworks", func(f *File, v string) error {
			f.isStandalone = true
			return oneOf("standalone")(f, v)
		}},
		{"TX_SIGNER_DEBUG", "logLevel", whenTrue(func(f *File) { f.LogLevel = "debug" })},
		{"TX_SIGNER_SIGNING_STRATEGY", "keys.sources", oneOf("local", "kms")},
		{"TX_SIGNER_PRIVATE_KEY", "keys.sources", func(f *File, v string) error {
			s := f.source(keys.Raw)
			s.Raw.Key, s.Raw.DevelopmentOnly = secret.New(v), true
			f.warn("a key in the environment can be read by whoever can look into the process; use a mnemonic file, Vault or AWS KMS")
			return nil
		}},
		{"TX_SIGNER_KMS_PROVIDER", "keys.sources", oneOf("aws")},
		{"TX_SIGNER_KMS_KEY_ID", "keys.sources", func(f *File, v string) error { f.source(keys.AWSKMS).AWSKMS.KeyID = v; return nil }},
		{"TX_SIGNER_KMS_REGION", "keys.sources", func(f *File, v string) error { f.source(keys.AWSKMS).AWSKMS.Region = v; return nil }},
		{"TX_SIGNER_HSM_MODULE", "", refused("keys in a PKCS#11 module are not supported; use Vault or AWS KMS")},
		{"TX_SIGNER_HSM_SLOT", "", refused("keys in a PKCS#11 module are not supported; use Vault or AWS KMS")},
		{"TX_SIGNER_HSM_PIN", "", refused("keys in a PKCS#11 module are not supported; use Vault or AWS KMS")},
		{"TX_SIGNER_QUEUE_MAX_SIZE", "queue.maxQueuedPerTenant", count(func(f *File, n int) { f.App.Queue.MaxQueuedPerTenant = n })},
		{"TX_SIGNER_QUEUE_PROCESSING_INTERVAL", "", withoutEffect("the queue does not wait between two looks")},
		{"TX_SIGNER_GAS_PRICE_STRATEGY", "queue.feeMode", func(f *File, v string) error {
			modes := map[string]queue.FeeMode{"fixed": queue.FeeFixed, "oracle": queue.FeeMarket, "estimator": queue.FeeHistory}
			mode, isKnown := modes[v]
			if !isKnown {
				return errors.New("must be fixed, oracle or estimator")
			}
			f.App.Queue.FeeMode = mode
			return nil
		}},
		{"TX_SIGNER_GAS_FIXED_PRICE", "queue.fixedFeePerGas", func(f *File, v string) error {
			price, err := wei(v)
			f.App.Queue.FixedFeePerGas = price
			return err
		}},
		{"TX_SIGNER_GAS_LIMIT", "", withoutEffect("the gas of each transaction is estimated, and can be given with it")},
		{"TX_SIGNER_GAS_MULTIPLIER", "queue.gasMargin", func(f *File, v string) error {
			factor, err := strconv.ParseFloat(v, 64)
			if err != nil || !(factor >= 1 && factor <= 11) {
				return errors.New("must be a factor between 1 and 11, such as 1.1")
			}
			f.App.Queue.GasMargin = uint64(math.Round((factor - 1) * 100))
			return nil
		}},
		{"TX_SIGNER_NONCE_STRATEGY", "", withoutEffect("each sender's transactions get their nonces in the order of acceptance, and senders do not wait for each other")},
		{"TX_SIGNER_NONCE_MAX_PENDING", "queue.window", count(func(f *File, n int) { f.App.Queue.Window = n })},
	}
}

// source is the source of keys that variables of one kind describe together.
func (f *File) source(kind keys.Kind) *keys.Config {
	sources := f.App.Keys.Sources
	for i := range sources {
		if sources[i].ID == txSignerSource {
			sources[i].Kind = kind
			return &sources[i]
		}
	}
	f.App.Keys.Sources = append(sources, keys.Config{ID: txSignerSource, Kind: kind})
	return &f.App.Keys.Sources[len(sources)]
}

func (f *File) warn(text string) { f.warnings = append(f.warnings, text) }

// Warnings are what the operator should know of the environment.
func (f File) Warnings() []string { return f.warnings }

func oneOf(values ...string) func(*File, string) error {
	return func(_ *File, v string) error {
		for _, value := range values {
			if v == value {
				return nil
			}
		}
		return fmt.Errorf("is not supported with this value; supported: %s", strings.Join(values, ", "))
	}
}

// withoutEffect is a setting that means nothing here.
func withoutEffect(because string) func(*File, string) error {
	return func(f *File, _ string) error {
		f.warn("has no effect: " + because)
		return nil
	}
}

func refused(why string) func(*File, string) error {
	return func(*File, string) error { return errors.New(why) }
}

func whenTrue(do func(*File)) func(*File, string) error {
	return func(f *File, v string) error {
		isTrue, err := strconv.ParseBool(v)
		if err != nil {
			return errors.New("must be true or false")
		}
		if isTrue {
			do(f)
		}
		return nil
	}
}

func count(set func(*File, int)) func(*File, string) error {
	return func(f *File, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n <= 0 {
			return errors.New("must be a positive number")
		}
		set(f, n)
		return nil
	}
}

// wei reads a price per gas: a number of wei, or of gwei when it says so.
func wei(text string) (uint64, error) {
	number, isGwei := strings.CutSuffix(strings.ToLower(strings.TrimSpace(text)), "gwei")
	price, isNumber := new(big.Rat).SetString(strings.TrimSpace(number))
	if isNumber && isGwei {
		price.Mul(price, big.NewRat(1_000_000_000, 1))
	}
	if !isNumber || strings.ContainsAny(number, "eEpPxXbBoO/_") || !price.IsInt() || !price.Num().IsUint64() {
		return 0, errors.New("must be a number of wei, or of gwei such as 20gwei")
	}
	return price.Num().Uint64(), nil
}
