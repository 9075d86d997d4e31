package cache

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/slipwayhq/slipway/internal/secret"
)

// keyPrefix keeps the entries apart from whatever else lives in the database.
const keyPrefix = "slipway:cache:"

// redisRest is how long Redis is left alone after a failure. A Redis that is
// away must not cost every request its timeout.
const redisRest = time.Second

// Redis keeps entries in a Redis database, shared by all gateways that use it.
type Redis struct {
	client  *redis.Client
	timeout time.Duration
	metrics *storeMetrics
	restTo  atomic.Int64 // Unix nanoseconds; before that, Redis is left alone
}

// NewRedis makes a store at a URL: redis://user:password@host:port/db. It
// connects at first use; each use takes timeout at most. Close it in the end.
func NewRedis(url secret.String, timeout time.Duration, m *Metrics) (*Redis, error) {
	options, err := redis.ParseURL(url.Reveal())
	if err != nil {
		return nil, errors.New("redis: the URL cannot be read") // the reason may quote the URL
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = timeout, timeout, timeout, timeout
	options.ContextTimeoutEnabled = true
	options.MaxRetries = -1   // the next request is the retry
	options.DialerRetries = 1 // as above
	options.DisableIdentity = true
	// The library writes every failed dial to standard error, in a form of its
	// own and through a variable of the whole process. Our metrics tell it.
	redis.SetLogger(silent{})
	return &Redis{client: redis.NewClient(options), timeout: timeout, metrics: m.of("redis")}, nil
}

// silent drops the library's log.
type silent struct{}

// Printf implements the library's logger.
func (silent) Printf(context.Context, string, ...any) {}

// Get implements Store.
func (r *Redis) Get(ctx context.Context, key Key) (Entry, bool) {
	if r.rests() {
		r.metrics.getFailures.Inc()
		return Entry{}, false
	}
	bounded, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	text, err := r.client.Get(bounded, keyPrefix+string(key)).Bytes()
	if errors.Is(err, redis.Nil) {
		r.metrics.misses.Inc()
		return Entry{}, false
	}
	if err != nil {
		r.metrics.getFailures.Inc()
		r.rest(ctx)
		return Entry{}, false
	}
	entry, err := decodeEntry(text)
	if err != nil {
		r.metrics.misses.Inc()
		return Entry{}, false
	}
	r.metrics.hits.Inc()
	return entry, true
}

// Set implements Store.
func (r *Redis) Set(ctx context.Context, key Key, entry Entry) {
	if r.rests() {
		r.metrics.setFailures.Inc()
		return
	}
	bounded, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if err := r.client.Set(bounded, keyPrefix+string(key), entry.encode(), 0).Err(); err != nil {
		r.metrics.setFailures.Inc()
		r.rest(ctx)
		return
	}
	r.metrics.sets.Inc()
}

// Close drops the connections.
func (r *Redis) Close() error {
	if err := r.client.Close(); err != nil {
		return fmt.Errorf("close redis: %w", err)
	}
	return nil
}

func (r *Redis) rests() bool { return time.Now().UnixNano() < r.restTo.Load() }

// rest leaves Redis alone for a while, unless the failure was only that the
// caller went away.
func (r *Redis) rest(ctx context.Context) {
	if ctx.Err() == nil {
		r.restTo.Store(time.Now().Add(redisRest).UnixNano())
	}
}
