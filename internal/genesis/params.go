package genesis

import (
	"errors"
	"fmt"
	"math"
	"math/big"
)

// Profile says how an idle network behaves.
type Profile string

// The profiles. A steady network makes a block every period, and loses two
// periods when a proposer is dead. A quiet one makes a block a minute while
// nobody sends anything, and loses more than a minute when a proposer is dead:
// the round may not time out while the proposer holds an empty block back.
const (
	Steady Profile = "steady"
	Quiet  Profile = "quiet"
)

// Fork is the newest hard fork that is active from the first block.
type Fork string

// The forks that a network can begin with.
const (
	London   Fork = "london"
	Shanghai Fork = "shanghai"
	Cancun   Fork = "cancun"
)

// Defaults.
const (
	DefaultChainID           uint64 = 53771311147           // that of the Asset Tokenization Kit
	DefaultBlockPeriod       uint64 = 2                     // seconds
	DefaultEpochLength       uint64 = 30000                 // blocks; Besu's own default
	DefaultGasLimit          uint64 = 9007199254740991      // 2^53-1, the largest a JavaScript number holds exactly
	DefaultContractSizeLimit uint64 = math.MaxInt32         // bytes; Besu reads a Java int
	DefaultEVMStackSize      uint64 = 2048                  // items
	quietEmptyPeriod         uint64 = 60                    // seconds
	initialBaseFee           uint64 = 1_000_000_000         // wei, EIP-1559
	maxChainID               uint64 = math.MaxUint64/2 - 36 // EIP-2294
)

// DefaultFaucetBalance is what the faucet's account begins with: 10^50 wei.
func DefaultFaucetBalance() *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(50), nil) }

// Params are the numbers of a network. Zero means the default of the profile
// in every field but GasPrice and Timestamp, whose zero is zero.
type Params struct {
	Consensus Consensus `json:"consensus"`
	Profile   Profile   `json:"profile"`
	Fork      Fork      `json:"fork"`
	ChainID   uint64    `json:"chainId"`
	// BlockPeriod is the time between blocks, in seconds.
	BlockPeriod uint64 `json:"blockPeriod"`
	// EmptyBlockPeriod is the time between blocks without transactions, in
	// seconds; 0 after Complete means that it is the BlockPeriod. QBFT only.
	EmptyBlockPeriod uint64 `json:"emptyBlockPeriod"`
	// RequestTimeout is how long round 0 waits for its proposer, in seconds;
	// each further round waits twice as long.
	RequestTimeout    uint64 `json:"requestTimeout"`
	EpochLength       uint64 `json:"epochLength"` // blocks
	GasLimit          uint64 `json:"gasLimit"`
	GasPrice          uint64 `json:"gasPrice"` // wei; 0 makes a network on which gas is free
	ContractSizeLimit uint64 `json:"contractSizeLimit"`
	EVMStackSize      uint64 `json:"evmStackSize"`
	Timestamp         uint64 `json:"timestamp"` // of the genesis block, in seconds
}

// Complete fills in the defaults and checks what is given.
func (p Params) Complete() (Params, error) {
	if err := p.completeNames(); err != nil {
		return Params{}, err
	}
	setDefault(&p.ChainID, DefaultChainID)
	setDefault(&p.BlockPeriod, DefaultBlockPeriod)
	setDefault(&p.EpochLength, DefaultEpochLength)
	setDefault(&p.GasLimit, DefaultGasLimit)
	setDefault(&p.ContractSizeLimit, DefaultContractSizeLimit)
	setDefault(&p.EVMStackSize, DefaultEVMStackSize)
	if p.Profile == Quiet {
		setDefault(&p.EmptyBlockPeriod, quietEmptyPeriod)
	}
	setDefault(&p.RequestTimeout, defaultTimeout(p.BlockPeriod, p.EmptyBlockPeriod))
	return p, p.check()
}

func (p *Params) completeNames() error {
	if p.Consensus == "" {
		p.Consensus = QBFT
	}
	if p.Profile == "" {
		p.Profile = Steady
	}
	if p.Fork == "" {
		p.Fork = Cancun
	}
	switch p.Consensus {
	case QBFT, IBFT2:
	default:
		return unknownConsensus(p.Consensus)
	}
	switch p.Profile {
	case Steady, Quiet:
	default:
		return fmt.Errorf("profile %q is not known; it is steady or quiet", string(p.Profile))
	}
	switch p.Fork {
	case London, Shanghai, Cancun:
	default:
		return fmt.Errorf("fork %q is not known; it is london, shanghai or cancun", string(p.Fork))
	}
	return nil
}

func setDefault(field *uint64, value uint64) {
	if *field == 0 {
		*field = value
	}
}

// defaultTimeout is two periods where blocks come steadily. Otherwise the timer
// of a round runs while the proposer holds an empty block back, so it must be
// longer than that.
func defaultTimeout(period, emptyPeriod uint64) uint64 {
	if emptyPeriod <= period {
		return 2 * period
	}
	return emptyPeriod + max(5, period*133/100)
}

// check refuses what Besu would refuse at its start, and what would never make
// a block.
func (p Params) check() error {
	switch {
	case p.ChainID > maxChainID:
		return fmt.Errorf("chain id %d is above %d, the largest that EIP-2294 allows", p.ChainID, maxChainID)
	case p.Consensus == IBFT2 && p.EmptyBlockPeriod > 0:
		return errors.New("IBFT 2.0 has no period for empty blocks: take the profile steady, or qbft")
	case p.EmptyBlockPeriod > 0 && p.EmptyBlockPeriod < p.BlockPeriod:
		return fmt.Errorf("the period of empty blocks, %d s, is shorter than that of blocks, %d s", p.EmptyBlockPeriod, p.BlockPeriod)
	case p.RequestTimeout <= max(p.BlockPeriod, p.EmptyBlockPeriod):
		return fmt.Errorf("the request timeout, %d s, must be longer than a block's period, %d s, or rounds end before their block is proposed",
			p.RequestTimeout, max(p.BlockPeriod, p.EmptyBlockPeriod))
	case p.GasLimit > math.MaxInt64:
		return fmt.Errorf("gas limit %d is above %d, the largest that Besu reads", p.GasLimit, uint64(math.MaxInt64))
	case p.GasPrice > math.MaxInt64:
		return fmt.Errorf("gas price %d is above %d, the largest that Besu reads", p.GasPrice, uint64(math.MaxInt64))
	}
	for name, value := range map[string]uint64{
		"block period": p.BlockPeriod, "period of empty blocks": p.EmptyBlockPeriod, "request timeout": p.RequestTimeout,
		"epoch length": p.EpochLength, "contract size limit": p.ContractSizeLimit, "EVM stack size": p.EVMStackSize,
	} {
		if value > math.MaxInt32 {
			return fmt.Errorf("%s %d is above %d, the largest that Besu reads", name, value, math.MaxInt32)
		}
	}
	return nil
}

// baseFee is the base fee of the genesis block, in wei. It is always written,
// because clients differ in what they take where it is left out.
func (p Params) baseFee() uint64 {
	if p.GasPrice == 0 {
		return 0
	}
	return initialBaseFee
}
