package upstreams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// maxProbeBytes bounds the answers to a poller, of which block 0 without
// transactions is the largest.
const maxProbeBytes = 1 << 20

// poller follows one node: it checks that the node shows the right chain,
// reports its head to the tracker and its health to the upstream.
type poller struct {
	pool     *Pool
	upstream *Upstream
	// isSure is false until the chain has been checked over the present connection.
	isSure bool
	// said is the last trouble that was logged, so that it is logged once.
	said string
}

func newPoller(p *Pool, u *Upstream) *poller { return &poller{pool: p, upstream: u} }

// run looks at the node at once and then at every interval, until ctx ends.
func (p *poller) run(ctx context.Context, tried func()) {
	p.look(ctx)
	tried()
	ticker := time.NewTicker(p.pool.cfg.PollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.upstream.lost:
			p.isSure = false
		case <-ticker.C:
			p.look(ctx)
		}
	}
}

// look asks the node once where it stands.
func (p *poller) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.pool.cfg.ProbeTimeout)
	defer cancel()
	if p.upstream.State() != Serving {
		p.isSure = false
	}
	err := p.check(ctx)
	if err == nil {
		err = p.follow(ctx)
	}
	p.conclude(ctx, err)
}

// check compares the node's chain with the pool's, once per connection.
func (p *poller) check(ctx context.Context) error {
	if p.isSure {
		return nil
	}
	found, err := identify(ctx, p.upstream.probes)
	if err != nil {
		return err
	}
	if err := p.pool.admit(found); err != nil {
		return err
	}
	if p.pool.tracker.Finality().Mode == chain.Auto {
		finality, err := detectFinality(ctx, p.upstream.probes, p.pool.cfg.Finality.Depth)
		if err != nil {
			return err
		}
		p.pool.tracker.SetFinality(finality)
		p.pool.log.InfoContext(ctx, "finality mode found", slog.String("upstream", string(p.upstream.id)), slog.String("mode", finality.Mode.String()))
	}
	p.isSure = true
	return nil
}

// follow reads the node's head.
func (p *poller) follow(ctx context.Context) error {
	head, err := quantity(ctx, p.upstream.probes, "eth_blockNumber")
	if err != nil {
		return err
	}
	p.upstream.setHead(head)
	p.pool.tracker.ObserveLatest(head)
	if p.pool.tracker.Finality().Mode != chain.ByTag {
		return nil
	}
	final, err := call(ctx, p.upstream.probes, "eth_getBlockByNumber", `["finalized",false]`)
	if err != nil {
		return err
	}
	if number, ok := methods.ParseQuantity(jsonrpc.Member(final.Result, "number")); ok {
		p.pool.tracker.ObserveFinalized(number)
	}
	return nil
}

// conclude sets the node's state after a look.
func (p *poller) conclude(ctx context.Context, err error) {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return // the program stops; that says nothing about the node
	}
	u := p.upstream
	var wrong *otherChainError
	switch {
	case err == nil:
		u.probed(time.Now(), true)
		if State(u.state.Swap(uint32(Serving))) != Serving {
			u.metrics.serving.Set(1)
			p.pool.log.InfoContext(ctx, "upstream serves", slog.String("upstream", string(u.id)), slog.Uint64("head", u.Head()))
		}
		p.said = ""
	case errors.As(err, &wrong):
		u.otherChain.Store(wrong.found.ChainID)
		u.state.Store(uint32(Quarantined))
		u.metrics.serving.Set(0)
		p.isSure = false
		p.say(ctx, "shows another chain and is not used", wrong)
	case errors.Is(err, errRefused):
		u.probed(time.Now(), false)
		u.state.CompareAndSwap(uint32(Serving), uint32(Unverified))
		u.metrics.serving.Set(0)
		p.isSure = false
		p.say(ctx, "cannot be reached", err)
	default:
		// A busy node may well answer late; it keeps its state, its health
		// says the rest. Its chain is checked again with the next answer.
		u.probed(time.Now(), false)
		p.isSure = false
		p.say(ctx, "does not answer as it should", err)
	}
}

// say logs a problem once, however often it is met.
func (p *poller) say(ctx context.Context, problem string, err error) {
	if p.said == problem {
		return
	}
	p.said = problem
	p.pool.log.WarnContext(ctx, "upstream has a problem", slog.String("upstream", string(p.upstream.id)), slog.String("problem", problem), slog.Any("err", err))
}

// otherChainError says how a node's chain differs from the pool's.
type otherChainError struct{ want, found Identity }

func (e *otherChainError) Error() string {
	if e.want.ChainID != e.found.ChainID {
		return fmt.Sprintf("chain id %d instead of %d", e.found.ChainID, e.want.ChainID)
	}
	return fmt.Sprintf("genesis block %s instead of %s", e.found.Genesis, e.want.Genesis)
}

// admit compares a node's chain with the pool's. What is not configured is
// taken from the first node that comes.
func (p *Pool) admit(found Identity) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	want := p.identity
	if want.ChainID != 0 && want.ChainID != found.ChainID ||
		want.Genesis != "" && !strings.EqualFold(want.Genesis, found.Genesis) {
		return &otherChainError{want: want, found: found}
	}
	p.identity = found
	return nil
}

// wrongChain says that every node shows another chain than the configured one.
func (p *Pool) wrongChain() error {
	for _, u := range p.upstreams {
		if u.State() != Quarantined {
			return nil
		}
	}
	found := p.upstreams[0].otherChain.Load()
	return &WrongChainError{Want: p.cfg.ChainID, Found: found, Genesis: found == p.cfg.ChainID}
}
