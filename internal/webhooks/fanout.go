package webhooks

import (
	"context"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/events"
)

// subscriber is what the fan-out needs of a webhook.
type subscriber struct {
	id      uuid.UUID
	tenant  string
	chainID uint64
	types   []string
	senders []common.Address
}

func (s subscriber) filter() events.Filter {
	return events.Filter{Tenant: s.tenant, ChainID: s.chainID, Types: s.types, Senders: s.senders}
}

// planned is a delivery that is to be made.
type planned struct {
	id      uuid.UUID
	webhook uuid.UUID
	event   events.Event
	body    []byte
	blocked bool
}

// lane is what keeps an order: the events of one transaction for one webhook.
type lane struct{ webhook, tx uuid.UUID }

// plan makes a delivery for each webhook that wants an event. Bodies are made once.
func plan(list []events.Event, to []subscriber) ([]planned, error) {
	var out []planned
	for _, e := range list {
		var body []byte
		for _, s := range to {
			if !s.filter().Matches(e) {
				continue
			}
			if body == nil {
				var err error
				if body, err = e.JSON(); err != nil {
					return nil, fmt.Errorf("write event %d: %w", e.ID, err)
				}
			}
			out = append(out, planned{id: uuid.New(), webhook: s.id, event: e, body: body})
		}
	}
	return out, nil
}

// block marks those that have to wait: behind a pending one of their lane, or
// behind one of the same plan. The plan is in the order of events.
func block(list []planned, pending map[lane]bool) {
	for i := range list {
		l := lane{list[i].webhook, list[i].event.TxID}
		list[i].blocked = pending[l]
		pending[l] = true
	}
}

// holePoll is the pause before a missing event is looked for again.
const holePoll = 20 * time.Millisecond

// fanOut makes deliveries of events until ctx ends.
func (s *Service) fanOut(ctx context.Context) {
	reader := &events.Reader{}
	for ctx.Err() == nil {
		made, progress, err := s.store.FanOut(ctx, reader)
		if made > 0 {
			s.metrics.made.WithLabelValues().Add(float64(made))
			s.nudge()
		}
		switch {
		case err != nil:
			s.failed(ctx, "fan_out", err)
			pause(ctx, failurePause, nil)
		case progress == events.Waiting:
			pause(ctx, holePoll, nil)
		case progress == events.Idle:
			pause(ctx, s.cfg.Poll, nil)
		}
	}
}
