package upstreams

import (
	"cmp"
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
	// opened is how many connections there had been when the chain was checked.
	opened uint64
	// looks counts the looks since the chain was checked.
	looks int
	// said is the last trouble that was logged, so that it is logged once.
	said string
}

func newPoller(p *Pool, u *Upstream) *poller { return &poller{pool: p, upstream: u} }

// run looks at the node at once and then at every interval, until ctx ends.
func (p *poller) run(ctx context.Context, tried func()) {
	p.look(ctx)
	tried()
	ticker := time.NewTicker(cmp.Or(p.upstream.endpoint.PollInterval, p.pool.cfg.PollInterval))
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
	if hasEnded := p.hasEnded(); hasEnded || p.upstream.State() != Serving {
		p.isSure = false
	}
	err := p.check(ctx)
	if err == nil {
		err = p.follow(ctx)
	}
	if err == nil && p.looks == 0 {
		err = p.askWhetherSyncing(ctx)
	}
	if err == nil && p.looks == 0 {
		p.upstream.askForVendor(ctx) // last: nothing waits for it
	}
	p.looks = (p.looks + 1) % recheckLooks
	p.conclude(ctx, err)
}

// recheckLooks: every so many looks the node is asked again for its chain id and
// whether it is syncing. An address may lead to another node at any time.
const recheckLooks = 5

// check compares the node's chain with the pool's: in full once per connection,
// by its id alone now and then.
func (p *poller) check(ctx context.Context) error {
	if p.isSure && p.looks > 0 {
		return nil
	}
	if p.isSure {
		id, err := quantity(ctx, p.upstream.probes, "eth_chainId")
		if err != nil {
			return err
		}
		want := p.pool.Identity()
		return p.pool.admit(Identity{ChainID: id, Genesis: want.Genesis})
	}
	found, err := identify(ctx, p.upstream.probes)
	if err != nil {
		return err
	}
	if err := p.pool.admit(found); err != nil {
		return err
	}
	if p.pool.tracker.Finality().Mode == chain.Auto {
		finality, why, err := detectFinality(ctx, p.upstream.probes, p.pool.cfg.Finality.Depth)
		if err != nil {
			return err
		}
		why = string(p.upstream.id) + " " + why
		p.pool.finalityWhy.Store(&why)
		p.pool.tracker.SetFinality(finality)
		p.pool.log.InfoContext(ctx, "finality mode found", slog.String("upstream", string(p.upstream.id)), slog.String("mode", finality.Mode.String()), slog.String("because", why))
	}
	p.isSure, p.opened = true, p.upstream.probes.opened()
	return nil
}

// isReconnected says whether the poller's connection is another one than that
// over which the chain was checked.
func (p *poller) isReconnected() bool { return p.upstream.probes.opened() != p.opened }

// hasEnded says whether the connection over which the chain was checked has
// ended, so far as that can be told.
func (p *poller) hasEnded() bool {
	alive, isTold := p.upstream.probes.isAlive()
	return isTold && !alive || p.isReconnected()
}

// follow reads the node's head.
func (p *poller) follow(ctx context.Context) error {
	wasAlive, _ := p.upstream.probes.isAlive()
	head, err := p.head(ctx)
	if err != nil {
		return err
	}
	if wasAlive && p.isReconnected() { // the head may be that of another chain
		p.isSure = false
		if err := p.check(ctx); err != nil {
			return err
		}
	}
	if err := p.believe(ctx, head); err != nil {
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
	if number, ok := methods.ParseQuantity(jsonrpc.Member(final.Result, "number")); ok && number <= p.pool.tracker.Head().Latest {
		p.pool.tracker.ObserveFinalized(number)
	}
	return nil
}

// believe judges a head that is out of line. One that did not follow upon the
// node's own last one may be that of another chain behind the same address. One
// far above all others must be shown, or claimed by a second node, before it counts: the
// network's head never goes back, so one lying node could spoil it for good.
func (p *poller) believe(ctx context.Context, head uint64) error {
	if last := p.upstream.Head(); last > 0 && (head < last || head > last+strideBlocks) {
		p.isSure = false
		if err := p.check(ctx); err != nil {
			return err
		}
	}
	p.upstream.claimed.Store(head)
	if !leaps(p.pool.tracker.Head(), head) || p.pool.isClaimedByAnother(p.upstream, head) {
		return nil
	}
	block, err := call(ctx, p.upstream.probes, "eth_getBlockByNumber", `[`+string(methods.AppendQuantity(nil, head))+`,false]`)
	if err != nil {
		return fmt.Errorf("eth_getBlockByNumber of the head: %w", err)
	}
	if number, ok := methods.ParseQuantity(jsonrpc.Member(block.Result, "number")); !ok || number != head {
		return fmt.Errorf("it claims block %d and cannot show it", head)
	}
	return nil
}

// strideBlocks: a node whose head moves so far between two looks is asked again
// for its chain.
const strideBlocks = 16

// leapBlocks: a head so far above the known one is not taken on one node's word.
const leapBlocks = 1000

// leaps says whether a head is too far above the known one to be believed.
func leaps(known chain.Head, head uint64) bool {
	return !known.IsKnown || head > known.Latest && head-known.Latest > leapBlocks
}

func (p *Pool) isClaimedByAnother(u *Upstream, head uint64) bool {
	for _, other := range p.upstreams {
		claimed := other.claimed.Load()
		if other != u && other.State() != Quarantined && claimed > 0 && max(claimed, head)-min(claimed, head) <= leapBlocks {
			return true
		}
	}
	return false
}

// askWhetherSyncing notes whether the node still catches up with its chain.
// Nodes that do not know the method count as ready.
func (p *poller) askWhetherSyncing(ctx context.Context) error {
	if p.upstream.endpoint.IgnoreSyncing {
		return nil
	}
	response, err := call(ctx, p.upstream.probes, "eth_syncing", `[]`)
	if err != nil {
		return fmt.Errorf("eth_syncing: %w", err)
	}
	p.upstream.isSyncing.Store(len(response.Result) > 0 && response.Result[0] == '{')
	return nil
}

// isThrottling says whether a look failed because the node wants fewer requests.
func isThrottling(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		return status.outcome == OutcomeRateLimited
	}
	var said *jsonrpc.Error
	return errors.As(err, &said) && classifyError(methods.Read, said) == OutcomeRateLimited
}

// head asks for the number of the node's newest block; where blocks may be taken
// back, for the block itself, whose hashes tell whether that has happened.
func (p *poller) head(ctx context.Context) (uint64, error) {
	tracker := p.pool.tracker
	if tracker.Finality().Mode == chain.Instant {
		return quantity(ctx, p.upstream.probes, "eth_blockNumber")
	}
	block, err := call(ctx, p.upstream.probes, "eth_getBlockByNumber", `["latest",false]`)
	if err != nil {
		return 0, err
	}
	number, ok := methods.ParseQuantity(jsonrpc.Member(block.Result, "number"))
	if !ok {
		return quantity(ctx, p.upstream.probes, "eth_blockNumber")
	}
	tracker.ObserveBlock(number, text(block.Result, "hash"), text(block.Result, "parentHash"))
	return number, nil
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
	case isThrottling(err):
		u.spare(p.pool.now(), 0) // busy, not broken
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
