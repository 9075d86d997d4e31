package subscriptions

import (
	"context"
	"time"
)

// syncingEvery is the time between two looks at whether the network syncs.
const syncingEvery = 2 * time.Second

// runSyncing tells when the nodes begin to synchronise and when they are done,
// as go-ethereum does, until ctx ends.
func (h *Hub) runSyncing(ctx context.Context) {
	was := ""
	for {
		status, err := h.ask(ctx, "eth_syncing", "[]")
		if err == nil && len(status) > 0 {
			event := []byte("false")
			if status[0] == '{' {
				event = append(append([]byte(`{"syncing":true,"status":`), status...), '}')
			}
			is := string(event[:1])
			if was != "" && is != was {
				h.syncing.each(func(s *subscription) { h.tell(s, event) })
			}
			was = is
			h.syncing.setLive(true)
		}
		if !pause(ctx, syncingEvery) {
			return
		}
	}
}
