package sharedstate

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Purge says what was removed from a cache, so that other gateways remove it from
// their memories; what is left out means all.
type Purge struct {
	Project string `json:"project,omitempty"`
	Network string `json:"network,omitempty"`
	// Method is a pattern of methods.
	Method string `json:"method,omitempty"`
}

// keptPurges is how many purges are kept in Redis, and how many wait for it. Who
// has missed more than that removes everything.
const keptPurges = 64

// purgeCounter is the field of the number of purges so far.
const purgeCounter = "n"

// purges are those of all gateways, as this one knows them. They belong to who
// holds State.round.
type purges struct {
	waiting []Purge // not in Redis yet
	seen    uint64  // number of the last one in Redis that was heard of
}

// purgeScript appends purges under the numbers that follow, and keeps the newest
// ones. The answer is the number of the last.
const purgeScript = `
local n
for i = 2, #ARGV do
  n = redis.call('HINCRBY', KEYS[1], 'n', 1)
  redis.call('HSET', KEYS[1], string.format('%.0f', n), ARGV[i])
  redis.call('HDEL', KEYS[1], string.format('%.0f', n - tonumber(ARGV[1])))
end
return n
`

// Purge tells the other gateways what was removed here. It waits for Redis, within
// its timeout, to say for whom it holds: the others read it within a second.
func (s *State) Purge(ctx context.Context, p Purge) Reach {
	if s.conn == nil {
		return InMemory
	}
	s.round.Lock()
	if len(s.purges.waiting) == keptPurges {
		s.purges.waiting = []Purge{{}} // all of them together mean no more than everything
	} else {
		s.purges.waiting = append(s.purges.waiting, p)
	}
	s.round.Unlock()
	err := s.exchangePurges(ctx)
	s.count(err)
	if err != nil {
		return Pending
	}
	return Shared
}

// exchangePurges sends purges that wait and tells those of others.
func (s *State) exchangePurges(ctx context.Context) error {
	s.round.Lock()
	defer s.round.Unlock()
	waiting, seen := s.purges.waiting, s.purges.seen
	var stored uint64
	var texts map[string]string
	err := s.conn.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		var err error
		stored, texts, err = s.readPurges(ctx, client, seen)
		return err
	})
	if err != nil {
		return fmt.Errorf("read purges: %w", err)
	}
	missed := missedPurges(seen, stored, texts)
	seen = stored
	if len(waiting) > 0 {
		if seen, err = s.sendPurges(ctx, waiting); err != nil {
			err = fmt.Errorf("send purges: %w", err)
			seen = stored
		}
	}
	if err == nil {
		s.purges.waiting = nil
		if seen != stored+uint64(len(waiting)) { // another gateway's came in between: it is read the next time, with ours
			seen = stored
		}
	}
	s.purges.seen = seen
	if s.cfg.OnPurge != nil {
		for _, p := range missed {
			s.cfg.OnPurge(p)
		}
	}
	return err
}

// readPurges reads how many purges there were, and the kept ones if there are new ones.
func (s *State) readPurges(ctx context.Context, client redis.UniversalClient, seen uint64) (uint64, map[string]string, error) {
	stored, err := client.HGet(ctx, s.key("purges"), purgeCounter).Uint64()
	if err != nil && err != redis.Nil { //nolint:errorlint // the library's own way
		return 0, nil, err //nolint:wrapcheck // the caller wraps it
	}
	if stored == seen {
		return stored, nil, nil
	}
	texts, err := client.HGetAll(ctx, s.key("purges")).Result()
	return stored, texts, err //nolint:wrapcheck // the caller wraps it
}

// sendPurges stores purges and gives the number of the last one.
func (s *State) sendPurges(ctx context.Context, waiting []Purge) (last uint64, err error) {
	args := []any{keptPurges}
	for _, p := range waiting {
		text, err := json.Marshal(p)
		if err != nil {
			return 0, err //nolint:wrapcheck // texts can always be written
		}
		args = append(args, text)
	}
	err = s.conn.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		last, err = s.append.Run(ctx, client, []string{s.key("purges")}, args...).Uint64()
		return err //nolint:wrapcheck // the caller wraps it
	})
	return last, err //nolint:wrapcheck // the caller wraps it
}

// missedPurges lists the purges between the number that was heard of last and the
// one that is stored, as far as they are kept. Where some are not, and where the
// numbers began anew because Redis has lost them, it is one of everything. It is pure.
func missedPurges(seen, stored uint64, texts map[string]string) []Purge {
	switch {
	case stored == seen:
		return nil
	case stored < seen, stored-seen > keptPurges:
		return []Purge{{}}
	}
	var out []Purge
	for n := seen + 1; n <= stored; n++ {
		var p Purge
		if json.Unmarshal([]byte(texts[strconv.FormatUint(n, 10)]), &p) != nil {
			return []Purge{{}}
		}
		out = append(out, p)
	}
	return out
}
