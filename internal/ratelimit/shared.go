package ratelimit

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// script counts calls one after the other, each for all of its rules, in one
// step, by the clock of Redis. It is the same reckoning as window's. A counter is
// a hash of the window's number (w), its count (c) and the count before (o).
//
// KEYS are the counters. ARGV is 1 if all calls are counted or none, else 0; for
// each counter what it lets through and its period in milliseconds; the number of
// kinds of calls; for each kind how many counters it has, and their numbers; and
// for each call its kind and how many requests it stands for. The answer has for
// each call the number of the first counter without room, 0 if all have, and how
// many milliseconds to wait.
//
//nolint:dupword // Lua ends its blocks so
const script = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local at = 1
local function take() at = at + 1; return tonumber(ARGV[at - 1]) end
local whole = take() == 1
local counters = {}
for i, key in ipairs(KEYS) do
  local most, period = take(), take()
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
  local passed = math.min(1, math.max(0, (now - index * period) / period))
  counters[i] = {most = most, period = period, index = index, current = current, older = older, passed = passed, isNew = false}
end
local kinds = {}
for i = 1, take() do
  kinds[i] = {}
  for j = 1, take() do kinds[i][j] = take() end
end
local answer, isDenied = {}, false
while at <= #ARGV do
  local kind, n = kinds[take()], take()
  local denied, wait = 0, 0
  for _, i in ipairs(kind) do
    local c = counters[i]
    if c.current + c.older * (1 - c.passed) + n > c.most + 1e-6 then
      local share
      if n > c.most then
        share = 1
      elseif c.most - n - c.current >= 0 then
        share = 1 - (c.most - n - c.current) / c.older - c.passed
      else
        share = 1 - c.passed + 1 - (c.most - n) / c.current
      end
      if denied == 0 then denied = i end
      wait = math.max(wait, 1, math.ceil(share * c.period))
    end
  end
  if denied == 0 then
    for _, i in ipairs(kind) do
      counters[i].current, counters[i].isNew = counters[i].current + n, true
    end
  else
    isDenied = true
  end
  answer[#answer + 1] = denied
  answer[#answer + 1] = wait
end
if not (whole and isDenied) then
  for i, key in ipairs(KEYS) do
    local c = counters[i]
    if c.isNew then
      redis.call('HSET', key, 'w', string.format('%.0f', c.index), 'c', string.format('%.0f', c.current), 'o', string.format('%.0f', c.older))
      redis.call('PEXPIRE', key, string.format('%.0f', 2 * c.period))
    end
  end
end
return answer
`

// allowShared counts in Redis. It is false if Redis could not be asked.
func (l *Limiter) allowShared(ctx context.Context, r *reckoning) ([]Decision, bool) {
	if l.redis == nil {
		return nil, false
	}
	keys := make([]string, 0, len(r.rules))
	for _, of := range r.rules {
		keys = append(keys, l.redis.Key(redisKey(r.budget.id, of, r.subject)))
	}
	args := r.scriptArgs()
	var answer []int64
	err := l.redis.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		var err error
		answer, err = l.script.Run(ctx, client, keys, args...).Int64Slice()
		return err //nolint:wrapcheck // it is counted, not shown
	})
	var decisions []Decision
	if err == nil {
		decisions, err = r.decisions(answer)
	}
	if err != nil {
		l.metrics.degraded.Inc()
		return nil, false
	}
	return decisions, true
}

// scriptArgs writes the reckoning as the script reads it.
func (r *reckoning) scriptArgs() []any {
	args := make([]any, 0, 8+2*len(r.rules)+2*len(r.calls))
	whole := 0
	if r.isWhole {
		whole = 1
	}
	args = append(args, whole)
	for _, of := range r.rules {
		args = append(args, of.MaxCount, of.Period.Milliseconds())
	}
	var kinds [][]int
	kindOf := make([]int, len(r.calls)) // from 1
	for i, c := range r.calls {
		at := slices.IndexFunc(kinds, func(k []int) bool { return slices.Equal(k, c.rules) })
		if at < 0 {
			at = len(kinds)
			kinds = append(kinds, c.rules)
		}
		kindOf[i] = at + 1
	}
	args = append(args, len(kinds))
	for _, kind := range kinds {
		args = append(args, len(kind))
		for _, place := range kind {
			args = append(args, place+1)
		}
	}
	for i, c := range r.calls {
		args = append(args, kindOf[i], c.n)
	}
	return args
}

// decisions reads the script's answer.
func (r *reckoning) decisions(answer []int64) ([]Decision, error) {
	if len(answer) != 2*len(r.calls) {
		return nil, errOtherScript
	}
	out := make([]Decision, len(r.calls))
	for i := range out {
		denied, wait := answer[2*i], answer[2*i+1]
		switch {
		case denied < 0 || denied > int64(len(r.rules)):
			return nil, errOtherScript
		case denied == 0:
			out[i].Allowed = true
		default:
			out[i] = Decision{RetryAfter: time.Duration(wait) * time.Millisecond, Rule: r.rules[denied-1].name}
		}
	}
	return out, nil
}

var errOtherScript = errors.New("an answer of another script")

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
