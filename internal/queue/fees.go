package queue

import (
	"context"
	"math/big"
	"sync"
	"time"

	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// FeeMode chooses prices where the caller gave none; see Config.FeeMode.
type FeeMode string

// The fee modes.
const (
	FeeAuto    FeeMode = "auto"
	FeeZero    FeeMode = "zero"
	FeeFixed   FeeMode = "fixed"
	FeeMarket  FeeMode = "market"
	FeeHistory FeeMode = "history"
)

// market is what the chain asks for at the moment.
type market struct {
	head     nodeclient.Head
	gasPrice *big.Int
	tip      *big.Int // nil before London
}

// isFree says whether the network charges nothing. A tip that the node suggests
// is not looked at: one sender who once paid a tip makes Besu suggest it to
// everybody for the next 100 blocks.
func (m market) isFree() bool {
	return m.gasPrice.Sign() == 0 && (m.head.BaseFee == nil || m.head.BaseFee.Sign() == 0)
}

// chooseFees fills in the prices of a request. A network before London (no base
// fee) takes legacy transactions only.
func chooseFees(asked Fees, mode FeeMode, fixed uint64, m market) Fees {
	if !asked.IsZero() {
		return completeFees(asked, m)
	}
	if asked.IsGasPrice {
		return Fees{GasPrice: m.price(mode, fixed)}
	}
	if mode == FeeFixed {
		price := new(big.Int).SetUint64(fixed)
		if m.head.BaseFee == nil {
			return Fees{GasPrice: price}
		}
		return Fees{MaxFee: price, MaxTip: price} // the base fee is paid out of it first
	}
	free := mode == FeeZero || (mode == FeeAuto && m.isFree())
	switch {
	case free && m.head.BaseFee == nil:
		return Fees{GasPrice: new(big.Int)}
	case free:
		return Fees{MaxFee: new(big.Int), MaxTip: new(big.Int)}
	case m.head.BaseFee == nil:
		return Fees{GasPrice: m.gasPrice}
	default:
		return Fees{MaxFee: feeCap(m, m.tip), MaxTip: m.tip}
	}
}

// price is what one gas costs in a transaction that has no other price. All of it
// is paid, so it holds no reserve for base fees that rise, as feeCap does.
func (m market) price(mode FeeMode, fixed uint64) *big.Int {
	switch {
	case mode == FeeFixed:
		return new(big.Int).SetUint64(fixed)
	case mode == FeeZero || (mode == FeeAuto && m.isFree()):
		return new(big.Int)
	case m.head.BaseFee == nil || m.tip == nil:
		return m.gasPrice
	default:
		return most(m.gasPrice, new(big.Int).Add(m.head.BaseFee, m.tip))
	}
}

// completeFees fills in the half of an EIP-1559 price that the caller left out.
func completeFees(asked Fees, m market) Fees {
	switch {
	case asked.GasPrice != nil:
		return Fees{GasPrice: asked.GasPrice}
	case asked.MaxFee == nil:
		return Fees{MaxFee: feeCap(m, asked.MaxTip), MaxTip: asked.MaxTip}
	case asked.MaxTip == nil:
		tip := new(big.Int)
		if m.tip != nil {
			tip.Set(m.tip)
		}
		if tip.Cmp(asked.MaxFee) > 0 {
			tip.Set(asked.MaxFee)
		}
		return Fees{MaxFee: asked.MaxFee, MaxTip: tip}
	default:
		return asked
	}
}

// feeCap survives six full blocks in a row: the base fee rises by at most an
// eighth a block (EIP-1559), and 1.125^6 is just over 2.
func feeCap(m market, tip *big.Int) *big.Int {
	fee := new(big.Int)
	if m.head.BaseFee != nil {
		fee.Lsh(m.head.BaseFee, 1)
	}
	return fee.Add(fee, tip)
}

// marketAge is how long an answer about prices is used: less than a block, so
// that a batch pays for one look.
const marketAge = time.Second

// marketSource asks the node for prices and remembers the answer for a moment.
type marketSource struct {
	node    Node
	history bool // the tip comes from eth_feeHistory

	mu   sync.Mutex // guards the fields below; held while asking, so that one asks for all
	at   time.Time
	last market
}

func (s *marketSource) get(ctx context.Context) (market, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at.IsZero() && time.Since(s.at) < marketAge {
		return s.last, nil
	}
	head, err := s.node.Head(ctx)
	if err != nil {
		return market{}, err
	}
	gasPrice, err := s.node.GasPrice(ctx)
	if err != nil {
		return market{}, err
	}
	m := market{head: head, gasPrice: gasPrice}
	if head.BaseFee != nil {
		suggest := s.node.PriorityFee
		if s.history {
			suggest = s.node.MedianTip
		}
		if m.tip, err = suggest(ctx); err != nil {
			return market{}, err
		}
	}
	s.last, s.at = m, time.Now()
	return m, nil
}
