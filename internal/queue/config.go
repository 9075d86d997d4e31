package queue

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Config tunes the queue.
type Config struct {
	// ChainID is the chain every transaction is signed for. The program takes 0 for
	// the chain that its database belongs to, or else that the gateway shows.
	ChainID uint64 `yaml:"chainId"`
	// Confirmations is the number of blocks, the transaction's own included,
	// after which a receipt is final. QBFT and IBFT2 never reorganise: 1.
	Confirmations uint64 `yaml:"confirmations"`
	// FeeMode chooses prices where the caller gave none: "zero" pays nothing,
	// "fixed" pays FixedFeePerGas, "market" what the node suggests (eth_gasPrice,
	// eth_maxPriorityFeePerGas), "history" the median tip of the last 20 blocks
	// (eth_feeHistory); "auto" pays nothing while both the base fee and the node's
	// gas price are 0, and else as "market".
	FeeMode FeeMode `yaml:"feeMode"`
	// FixedFeePerGas is the price of fee mode "fixed", in wei per gas.
	FixedFeePerGas uint64 `yaml:"fixedFeePerGas"`
	// MaxFeePerGas is the most that the fee policy pays, in wei per gas; 0 is no
	// limit. Above it transactions wait.
	MaxFeePerGas uint64 `yaml:"maxFeePerGas"`
	// BumpAfter is how long the lowest open transaction of a sender may stay out
	// of a block, and three blocks, before its price is raised by at least an
	// eighth. Prices that the caller gave are not raised.
	BumpAfter time.Duration `yaml:"bumpAfter"`
	// GasMargin is added to gas estimates, in percent.
	GasMargin uint64 `yaml:"gasMargin"`
	// MaxQueuedPerSender is the most transactions of a sender that may wait for a
	// nonce; more are refused until there is room. 0 is no limit.
	MaxQueuedPerSender int `yaml:"maxQueuedPerSender"`
	// MaxQueuedPerTenant is the same for all senders of a tenant together.
	MaxQueuedPerTenant int `yaml:"maxQueuedPerTenant"`
	// Window is the most open nonces of a sender at a time. Besu's pool takes 200
	// beyond the next one (--tx-pool-max-future-by-sender); a node that takes fewer
	// is noticed, and the window shrinks by itself.
	Window int `yaml:"window"`
	// BatchSize is the most transactions signed and committed in one go.
	BatchSize int `yaml:"batchSize"`
	// LeaseTTL is how long a sender stays with a replica that went silent.
	LeaseTTL time.Duration `yaml:"leaseTtl"`
	// HeadPoll is how often the node is asked for a new block.
	HeadPoll time.Duration `yaml:"headPoll"`
	// ResendAfter is how long a sent transaction may stay out of a block before
	// all open transactions of its sender are sent again.
	ResendAfter time.Duration `yaml:"resendAfter"`
	// StolenAfter is how long the chain must count a nonce as used, without any
	// node having a receipt of ours, before the transaction is given up: the
	// count and the receipts may come from different nodes, one of which lags.
	StolenAfter time.Duration `yaml:"stolenAfter"`
	// Retention is how long a transaction is kept after its end, with its history,
	// receipt and idempotency key; 0 keeps it for ever. At least 720h: so long
	// idempotency keys are promised to be known. What has a webhook still to tell
	// about stays longer.
	Retention time.Duration `yaml:"retention"`
}

// Default returns the configuration for a QBFT network; the chain id is left to
// be filled in.
func Default() Config {
	return Config{
		Confirmations: 1,
		FeeMode:       FeeAuto,
		BumpAfter:     30 * time.Second,
		GasMargin:     20,
		Window:        150,
		BatchSize:     100,

		MaxQueuedPerSender: 100_000,
		MaxQueuedPerTenant: 1_000_000,
		LeaseTTL:           10 * time.Second,
		HeadPoll:           250 * time.Millisecond,
		ResendAfter:        10 * time.Second,
		StolenAfter:        15 * time.Second,
	}
}

// maxChainID is the largest chain id that keeps v of EIP-155 within 64 bits
// (EIP-2294); it also fits the database's bigint.
const maxChainID = 1<<63 - 1 - 36

// Validate reports all problems at once.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.ChainID > 0 && c.ChainID <= maxChainID, "chainId %d: must be between 1 and %d", c.ChainID, uint64(maxChainID))
	check(c.Confirmations > 0, "confirmations: must be at least 1")
	check(slices.Contains([]FeeMode{FeeAuto, FeeZero, FeeFixed, FeeMarket, FeeHistory}, c.FeeMode), "feeMode %q: must be auto, zero, fixed, market or history", c.FeeMode)
	check(c.FeeMode != FeeFixed || c.FixedFeePerGas > 0, "fixedFeePerGas: must be set for fee mode fixed; to pay nothing there is zero")
	check(c.BumpAfter >= time.Second, "bumpAfter %s: must be at least 1s", c.BumpAfter)
	check(c.GasMargin <= 1000, "gasMargin %d: must be at most 1000 percent", c.GasMargin)
	check(c.MaxQueuedPerSender >= 0 && c.MaxQueuedPerTenant >= 0, "maxQueuedPerSender, maxQueuedPerTenant: must not be negative")
	check(c.Window >= minWindow && c.Window <= 10_000, "window %d: must be between %d and 10000", c.Window, minWindow)
	check(c.BatchSize > 0 && c.BatchSize <= 1000, "batchSize %d: must be between 1 and 1000", c.BatchSize)
	check(c.LeaseTTL >= time.Second, "leaseTtl %s: must be at least 1s", c.LeaseTTL)
	check(c.HeadPoll >= 10*time.Millisecond, "headPoll %s: must be at least 10ms", c.HeadPoll)
	check(c.ResendAfter >= time.Second, "resendAfter %s: must be at least 1s", c.ResendAfter)
	check(c.StolenAfter >= time.Second, "stolenAfter %s: must be at least 1s", c.StolenAfter)
	check(c.Retention == 0 || c.Retention >= minRetention, "retention %s: must be 0 (for ever) or at least %s", c.Retention, minRetention)
	return errors.Join(errs...)
}

// renewEvery leaves two more chances when one renewal fails.
func (c Config) renewEvery() time.Duration { return c.LeaseTTL / 3 }
