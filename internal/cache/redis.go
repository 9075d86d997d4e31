package cache

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/secret"
)

// keyPrefix keeps the entries apart from whatever else lives in the database.
const keyPrefix = "slipway:cache:"

// Redis keeps entries in a Redis database, shared by all gateways that use it.
type Redis struct {
	conn    *redisconn.Conn
	metrics *storeMetrics
}

// NewRedis makes a store at a URL: redis://user:password@host:port/db. It
// connects at first use; each use takes timeout at most. Close it in the end.
func NewRedis(url secret.String, timeout time.Duration, m *Metrics) (*Redis, error) {
	conn, err := redisconn.New(redisconn.Config{URL: url, Timeout: timeout})
	if err != nil {
		return nil, err
	}
	return &Redis{conn: conn, metrics: m.of("redis")}, nil
}

// Get implements Store.
func (r *Redis) Get(ctx context.Context, key Key) (Entry, bool) {
	var text []byte
	err := r.conn.Use(ctx, func(ctx context.Context, client redis.UniversalClient) (err error) {
		text, err = client.Get(ctx, r.conn.Key(keyPrefix+string(key))).Bytes()
		return err
	})
	if errors.Is(err, redis.Nil) {
		r.metrics.misses.Inc()
		return Entry{}, false
	}
	if err != nil {
		r.metrics.getFailures.Inc()
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
	err := r.conn.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		return client.Set(ctx, r.conn.Key(keyPrefix+string(key)), entry.encode(), 0).Err()
	})
	if err != nil {
		r.metrics.setFailures.Inc()
		return
	}
	r.metrics.sets.Inc()
}

// Close drops the connections.
func (r *Redis) Close() error { return r.conn.Close() }
