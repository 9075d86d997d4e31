package subscriptions

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
)

// trustAfter is how often logs that do not make their block's bloom filter, but
// are otherwise in order, are read again before they are told all the same:
// there are chains whose nodes do not fill that field. Where the filter only
// speaks of more, a node that has not the block yet is likelier, and is given
// longer: half a minute.
const trustAfter, trustFewerAfter = 5, 35

// sendLogs tells the logs of the blocks of each step, in order, until ctx ends.
func (h *Hub) sendLogs(ctx context.Context, steps <-chan step) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-steps:
			for _, b := range s.removed {
				h.tellRemoved(b)
			}
			for _, b := range s.added {
				h.sendLogsOf(ctx, b)
			}
		}
	}
}

// sendLogsOf reads and tells the logs of one block. It tries until it succeeds,
// nobody wants them any more, or the block was taken back.
func (h *Hub) sendLogsOf(ctx context.Context, b *block) {
	for try := 1; !b.isRemoved.Load() && h.wantsLogsOf(b); try++ {
		logs, err := h.logsOf(ctx, b)
		if errors.Is(err, errBloom) && try >= trustAfter || errors.Is(err, errTooFew) && try >= trustFewerAfter {
			h.metrics.unverified.Inc()
			err = nil
		}
		if err == nil {
			h.tellLogs(b, logs)
			return
		}
		h.log.DebugContext(ctx, "logs for subscriptions could not be read", slog.Uint64("block", b.number), slog.Any("err", err))
		if !pause(ctx, min(time.Duration(try)*retryAfter/2, time.Second)) {
			return
		}
	}
}

// wantsLogsOf says whether the block may have logs that anybody wants.
func (h *Hub) wantsLogsOf(b *block) bool {
	if !b.mayHaveLogs() {
		return false
	}
	is := false
	h.chain.each(func(s *subscription) {
		is = is || s.topic.kind == Logs && (b.bloom == nil || s.topic.filter.mayMatch(b.bloom, b.number))
	})
	return is
}

// logsOf reads all logs of one block. It asks by number, because a node is
// chosen by that, and checks the hash.
func (h *Hub) logsOf(ctx context.Context, b *block) ([]logEntry, error) {
	params := methods.AppendQuantity([]byte(`[{"fromBlock":`), b.number)
	params = methods.AppendQuantity(append(params, `,"toBlock":`...), b.number)
	text, err := h.ask(ctx, "eth_getLogs", string(append(params, `}]`...)))
	if err != nil {
		return nil, err
	}
	return parseLogs(text, b)
}

// tellLogs tells each subscriber the logs it wants.
func (h *Hub) tellLogs(b *block, logs []logEntry) {
	h.chain.mu.Lock()
	h.chain.sent++
	b.logs, b.sentAt = logs, h.chain.sent
	h.chain.mu.Unlock()
	h.chain.each(func(s *subscription) {
		if s.topic.kind != Logs || s.since >= b.sentAt {
			return // it joined after
		}
		for i := range logs {
			if s.topic.filter.matches(&logs[i], b.number) {
				h.tell(s, logs[i].text)
			}
		}
	})
}

// tellRemoved takes the logs of a block back, the last one first, from those
// who were told them.
func (h *Hub) tellRemoved(b *block) {
	if b.sentAt == 0 {
		return
	}
	removed := make([][]byte, len(b.logs))
	for i := range b.logs {
		removed[i] = b.logs[i].removed()
	}
	h.chain.each(func(s *subscription) {
		if s.topic.kind != Logs || s.since >= b.sentAt {
			return
		}
		for i := range slices.Backward(removed) {
			if s.topic.filter.matches(&b.logs[i], b.number) {
				h.tell(s, removed[i])
			}
		}
	})
}
