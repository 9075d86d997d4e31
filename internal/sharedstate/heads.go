package sharedstate

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// head is what is known of one network.
type head struct {
	ownLatest, ownFinalized uint64 // as this gateway said last
	isOwn                   bool   // it has said something
	sent                    time.Time
	isSent                  bool

	latest, finalized uint64 // as read last
}

// say notes what this gateway knows; it says whether that is new.
func (h *head) say(latest, finalized uint64) bool {
	if h.isOwn && h.ownLatest == latest && h.ownFinalized == finalized {
		return false
	}
	h.ownLatest, h.ownFinalized, h.isOwn, h.isSent = latest, finalized, true, false
	return true
}

// isDue says whether the head is to be sent: it is new, or has to be confirmed.
func (h *head) isDue(now time.Time) bool {
	return h.isOwn && (!h.isSent || now.Sub(h.sent) >= headRepeat)
}

// raiseScript stores a head, each number unless a higher one is there. Only who
// says at least what is stored makes it live on, so that the heads of a network
// that began anew are forgotten.
//
//nolint:dupword // Lua ends its blocks so
const raiseScript = `
local stored = redis.call('GET', KEYS[1])
local latest, finalized = tonumber(ARGV[1]), tonumber(ARGV[2])
local text = ARGV[1] .. ' ' .. ARGV[2]
if stored then
  local l, f = string.match(stored, '^(%d+) (%d+)$')
  if l and tonumber(l) > latest then return 0 end
  if f and tonumber(f) > finalized then text = ARGV[1] .. ' ' .. f end
end
redis.call('SET', KEYS[1], text, 'PX', ARGV[3])
return 1
`

// exchangeHeads sends heads that are due and reads those of all networks.
func (s *State) exchangeHeads(ctx context.Context) error {
	networks := s.networks()
	if len(networks) == 0 {
		return nil
	}
	s.round.Lock()
	defer s.round.Unlock()
	keys := make([]string, 0, len(networks))
	for _, network := range networks {
		keys = append(keys, s.key("head:"+network))
		if err := s.send(ctx, network); err != nil {
			return err
		}
	}
	var values []any
	err := s.conn.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		var err error
		values, err = client.MGet(ctx, keys...).Result()
		return err //nolint:wrapcheck // it is wrapped below
	})
	if err != nil {
		return fmt.Errorf("read heads: %w", err)
	}
	for i, value := range values {
		if text, isText := value.(string); isText {
			s.heard(networks[i], text)
		}
	}
	return nil
}

// send stores the head of one network, if it is due.
func (s *State) send(ctx context.Context, network string) error {
	s.mu.Lock()
	h := *s.heads[network]
	s.mu.Unlock()
	if !h.isDue(time.Now()) {
		return nil
	}
	err := s.conn.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		return s.raise.Run(ctx, client, []string{s.key("head:" + network)}, h.ownLatest, h.ownFinalized, headLife.Milliseconds()).Err()
	})
	if err != nil {
		return fmt.Errorf("send a head: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.heads[network]
	now.sent = time.Now()
	now.isSent = now.ownLatest == h.ownLatest && now.ownFinalized == h.ownFinalized
	return nil
}

// heard takes what is stored of a network, and tells it if it is new and not
// this gateway's own word.
func (s *State) heard(network, text string) {
	first, second, _ := strings.Cut(text, " ")
	latest, err := strconv.ParseUint(first, 10, 64)
	finalized, errFinalized := strconv.ParseUint(second, 10, 64)
	if err != nil || errFinalized != nil {
		return
	}
	s.mu.Lock()
	h := s.heads[network]
	isNew := h.latest != latest || h.finalized != finalized
	h.latest, h.finalized = latest, finalized
	isOwn := h.isOwn && h.ownLatest == latest && h.ownFinalized == finalized
	s.mu.Unlock()
	if isNew && !isOwn && s.cfg.OnHead != nil {
		s.cfg.OnHead(network, latest, finalized)
	}
}
