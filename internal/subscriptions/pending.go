package subscriptions

import (
	"context"
	"log/slog"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

const (
	// filterEvery is the time between two looks at a node's filter.
	filterEvery = 500 * time.Millisecond
	// filterFor is how long a filter is used before following is tried again.
	filterFor = 10 * time.Second
	// maxUnread is how many transactions may wait to be read as a whole.
	maxUnread = 4096
	// lookups is how many are read at a time.
	lookups = 8
)

// pendingFeed tells the transactions that wait to be mined, as one node sees
// them. What several nodes show one after the other is told once.
type pendingFeed struct {
	hub    *Hub
	seen   seen
	unread chan []byte // hashes, as JSON text
}

// runPending serves the subscriptions to pending transactions until ctx ends.
func (h *Hub) runPending(ctx context.Context) {
	p := &pendingFeed{hub: h, unread: make(chan []byte, maxUnread)}
	f := &follower{
		hub: h, feed: upstreams.PendingTransactions,
		opened: func() { h.pending.setLive(true) }, event: p.event, idle: p.useFilter,
	}
	var group errgroup.Group
	group.Go(func() error { f.run(ctx); return nil })
	for range lookups {
		group.Go(func() error { p.readWhole(ctx); return nil })
	}
	_ = group.Wait() // none of them fails
}

// event tells one hash, unless it was told before.
func (p *pendingFeed) event(hash []byte) {
	var h common.Hash
	if !decodeHex(h[:], hash) || !p.seen.add(h) {
		return
	}
	wantsWhole := false
	p.hub.pending.each(func(s *subscription) {
		if s.topic.withTransactions {
			wantsWhole = true
			return
		}
		p.hub.tell(s, hash)
	})
	if !wantsWhole {
		return
	}
	select {
	case p.unread <- hash:
	default:
		p.hub.metrics.drops["backlog"].Inc()
	}
}

// readWhole tells whole transactions to those who want them.
func (p *pendingFeed) readWhole(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case hash := <-p.unread:
			p.tellWhole(ctx, hash)
		}
	}
}

func (p *pendingFeed) tellWhole(ctx context.Context, hash []byte) {
	text, err := p.hub.ask(ctx, "eth_getTransactionByHash", "["+string(hash)+"]")
	if err != nil || string(text) == "null" { // gone again, or the nodes are
		p.hub.log.DebugContext(ctx, "a pending transaction could not be read", slog.String("hash", string(hash)), slog.Any("err", err))
		return
	}
	p.hub.pending.each(func(s *subscription) {
		if s.topic.withTransactions {
			p.hub.tell(s, text)
		}
	})
}

// useFilter polls a filter at a node where none can be followed.
func (p *pendingFeed) useFilter(ctx context.Context) {
	id, err := p.hub.ask(ctx, "eth_newPendingTransactionFilter", "[]")
	if err != nil || len(id) == 0 || id[0] != '"' {
		pause(ctx, filterEvery)
		return
	}
	p.hub.pending.setLive(true)
	params := "[" + string(id) + "]"
	defer func() {
		after := context.WithoutCancel(ctx)
		_, _ = p.hub.ask(after, "eth_uninstallFilter", params) // nodes drop unused filters by themselves as well
	}()
	network, _ := p.hub.current()
	for since := time.Now(); !network.CanFollow() || time.Since(since) < filterFor; {
		if !pause(ctx, filterEvery) {
			return
		}
		changes, err := p.hub.ask(ctx, "eth_getFilterChanges", params)
		if err != nil {
			return // another node serves now, which does not know the filter
		}
		for _, hash := range jsonrpc.Elements(changes) {
			p.event(hash)
		}
	}
}
