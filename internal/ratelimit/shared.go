package ratelimit

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// script counts for all rules of a request in one step, by the clock of Redis.
// It is the same reckoning as window's. A counter is a hash of the window's
// number (w), its count (c) and the count before (o).
//
// KEYS are the counters; ARGV is the number of requests, then for each counter
// what it lets through and its period in milliseconds. The answer is the number
// of the first rule without room, 0 if all have, and how many milliseconds to
// wait.
//
//nolint:dupword // Lua ends its blocks so
const script = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local n = tonumber(ARGV[1])
local denied, wait = 0, 0
local kept = {}
for i, key in ipairs(KEYS) do
  local most, period = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local index = math.floor(now / period)
  local stored = redis.call('HMGET', key, 'w', 'c', 'o')
  local was, current, older = tonumber(stored[1] or -2), tonumber(stored[2] or 0), tonumber(stored[3] or 0)
  if was > index then
    index = was
  elseif was == index - 1 then
    current, older = 0, current
  elseif was < index - 1 then
    current, older = 0, 0
  end
  kept[i] = {index, current, older}
  local passed = math.min(1, math.max(0, (now - index * period) / period))
  if current + older * (1 - passed) + n > most + 1e-6 then
    local share
    if n > most then
      share = 1
    elseif most - n - current >= 0 then
      share = 1 - (most - n - current) / older - passed
    else
      share = 1 - passed + 1 - (most - n) / current
    end
    if denied == 0 then denied = i end
    wait = math.max(wait, 1, math.ceil(share * period))
  end
end
if denied == 0 then
  for i, key in ipairs(KEYS) do
    local period = tonumber(ARGV[2 * i + 1])
    redis.call('HSET', key, 'w', string.format('%.0f', kept[i][1]), 'c', string.format('%.0f', kept[i][2] + n), 'o', string.format('%.0f', kept[i][3]))
    redis.call('PEXPIRE', key, string.format('%.0f', 2 * period))
  end
end
return {denied, wait}
`

// allowShared counts in Redis. It is false if Redis could not be asked.
func (l *Limiter) allowShared(ctx context.Context, b *budget, rules []*rule, s Subject, n int) (Decision, bool) {
	if l.redis == nil {
		return Decision{}, false
	}
	keys := make([]string, 0, len(rules))
	args := make([]any, 0, 1+2*len(rules))
	args = append(args, n)
	for _, r := range rules {
		keys = append(keys, l.redis.Key(redisKey(b.id, r, s)))
		args = append(args, r.MaxCount, r.Period.Milliseconds())
	}
	var answer []int64
	err := l.redis.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		var err error
		answer, err = l.script.Run(ctx, client, keys, args...).Int64Slice()
		return err //nolint:wrapcheck // it is counted, not shown
	})
	if err == nil && (len(answer) != 2 || answer[0] < 0 || answer[0] > int64(len(rules))) {
		err = errors.New("an answer of another script")
	}
	if err != nil {
		l.metrics.degraded.Inc()
		return Decision{}, false
	}
	if answer[0] == 0 {
		return Decision{Allowed: true}, true
	}
	return Decision{RetryAfter: time.Duration(answer[1]) * time.Millisecond, Rule: rules[answer[0]-1].name}, true
}

// redisKey names a counter. The budget in braces keeps the counters of one
// request on one node of a Redis Cluster. The rule is part of the name, so that
// a rule that was changed begins to count anew; users are quoted, so that none
// can name another's counter.
func redisKey(budget string, r *rule, s Subject) string {
	key := keyOf(r, s)
	var out strings.Builder
	out.WriteString("{" + strconv.Quote(budget) + "}:")
	out.WriteString(r.Period.String() + ":" + r.Methods.String())
	if r.PerIP {
		out.WriteString(":ip=" + key.ip.String())
	}
	if r.PerNetwork {
		out.WriteString(":network=" + strconv.Quote(key.network))
	}
	if r.PerUser {
		out.WriteString(":user=" + strconv.Quote(key.user))
	}
	return out.String()
}
