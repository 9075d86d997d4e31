package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/slipwayhq/slipway/internal/redisconn"
)

// keyPrefix keeps the entries apart from whatever else lives in the database.
const keyPrefix = "slipway:cache:"

// RedisConfig configures the store in Redis.
type RedisConfig struct {
	// Conn says where Redis is.
	Conn redisconn.Config
	// Compression of the values.
	Compression Compression
	// MaxTTL is how long an entry is kept at most, also one that could be kept
	// for ever: without a bound Redis would grow until it is full.
	MaxTTL time.Duration
}

// DefaultRedis is the configuration without an address.
func DefaultRedis() RedisConfig {
	return RedisConfig{
		Conn:        redisconn.Config{Timeout: 100 * time.Millisecond},
		Compression: DefaultCompression(),
		MaxTTL:      30 * 24 * time.Hour,
	}
}

// Validate reports everything that is wrong.
func (c RedisConfig) Validate() error {
	errs := []error{c.Conn.Validate(), c.Compression.Validate()}
	if c.MaxTTL < time.Second {
		errs = append(errs, errors.New("redis: the longest time to live must be at least one second"))
	}
	return errors.Join(errs...)
}

// Redis keeps entries in a Redis database, shared by all gateways that use it.
type Redis struct {
	conn    *redisconn.Conn
	prefix  string
	coder   *coder
	maxTTL  time.Duration
	metrics *redisMetrics
}

// NewRedis makes a store. It connects at first use. Close it in the end.
func NewRedis(cfg RedisConfig, m *Metrics) (*Redis, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	conn, err := redisconn.New(cfg.Conn)
	if err != nil {
		return nil, err
	}
	coder, err := newCoder(cfg.Compression)
	if err != nil {
		return nil, err
	}
	return &Redis{conn: conn, prefix: conn.Key(keyPrefix), coder: coder, maxTTL: cfg.MaxTTL, metrics: m.redis()}, nil
}

// clockSkew is by how much the clocks of gateways may differ. So long after its
// end an entry that Redis still has is not taken.
const clockSkew = 10 * time.Second

// Get implements Store. An entry that cannot be read is a miss, and deleted. One
// whose time was over long ago is a miss as well.
func (r *Redis) Get(ctx context.Context, key Key, plan Plan) (Entry, bool) {
	if !plan.uses[InRedis] {
		return Entry{}, false
	}
	start := time.Now()
	var text []byte
	err := r.conn.Use(ctx, func(ctx context.Context, client redis.UniversalClient) (err error) {
		text, err = client.Get(ctx, r.prefix+string(key)).Bytes()
		return err
	})
	counters := r.metrics.of(InRedis, &plan)
	if !errors.Is(err, redisconn.ErrResting) {
		r.metrics.getSeconds.Observe(time.Since(start).Seconds())
	}
	if errors.Is(err, redis.Nil) {
		counters.misses.Inc()
		return Entry{}, false
	}
	if err != nil {
		counters.getFailures.Inc()
		return Entry{}, false
	}
	entry, err := r.coder.decode(text)
	if err != nil {
		counters.corrupted.Inc()
		r.Delete(ctx, key)
		return Entry{}, false
	}
	if entry.left(start) < -clockSkew { // the clock of Redis was set back
		counters.misses.Inc()
		return Entry{}, false
	}
	counters.hits.Inc()
	return entry, true
}

// Set implements Store.
func (r *Redis) Set(ctx context.Context, key Key, entry Entry, plan Plan) {
	if !plan.uses[InRedis] {
		return
	}
	start := time.Now()
	text := r.coder.encode(entry.expiring(start, plan.ttl[InRedis]))
	ttl := r.maxTTL
	if planned := plan.ttl[InRedis]; planned > 0 {
		ttl = max(min(ttl, planned), time.Millisecond) // the unit of Redis
	}
	err := r.conn.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		return client.Set(ctx, r.prefix+string(key), text, ttl).Err()
	})
	counters := r.metrics.of(InRedis, &plan)
	if err != nil {
		counters.setFailures.Inc()
		return
	}
	r.metrics.setSeconds.Observe(time.Since(start).Seconds())
	r.metrics.originalBytes.Add(float64(len(entry.Value)))
	r.metrics.storedBytes.Add(float64(len(text)))
	counters.sets.Inc()
}

// Delete implements Store.
func (r *Redis) Delete(ctx context.Context, key Key) {
	_ = r.conn.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		return client.Unlink(ctx, r.prefix+string(key)).Err()
	}) // what cannot be deleted expires
}

// purgeBatch is how many keys a step of a purge looks at, so that Redis serves
// others in between.
const purgeBatch = 500

// Purge implements Store. It goes through all keys in small steps; what is
// written meanwhile may stay.
func (r *Redis) Purge(ctx context.Context, s Selector) (int, error) {
	var nodes []*redis.Client
	err := r.conn.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		nodes = nil
		switch c := client.(type) {
		case *redis.ClusterClient:
			return c.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
				nodes = append(nodes, node)
				return nil
			})
		case *redis.Client:
			nodes = append(nodes, c)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("purge redis: %w", err)
	}
	n := 0
	for _, node := range nodes {
		gone, err := r.purgeNode(ctx, node, s)
		n += gone
		if err != nil {
			return n, fmt.Errorf("purge redis after %d entries: %w", n, err)
		}
	}
	return n, nil
}

func (r *Redis) purgeNode(ctx context.Context, node *redis.Client, s Selector) (n int, err error) {
	var cursor uint64
	for {
		err := r.conn.Use(ctx, func(ctx context.Context, _ redis.UniversalClient) error {
			keys, next, err := node.Scan(ctx, cursor, escapeGlob(r.prefix)+"*", purgeBatch).Result()
			if err != nil {
				return err
			}
			gone, err := r.unlink(ctx, node, keys, s)
			cursor, n = next, n+gone
			return err
		})
		if err != nil || cursor == 0 {
			return n, err
		}
	}
}

// unlink removes the keys that a selector means, one command each: in a cluster
// they lie in different slots.
func (r *Redis) unlink(ctx context.Context, node *redis.Client, keys []string, s Selector) (int, error) {
	pipe := node.Pipeline()
	var removed []*redis.IntCmd
	for _, key := range keys {
		if s.matches(Key(key[len(r.prefix):])) {
			removed = append(removed, pipe.Unlink(ctx, key))
		}
	}
	if len(removed) == 0 {
		return 0, nil
	}
	_, err := pipe.Exec(ctx)
	n := 0
	for _, one := range removed {
		n += int(one.Val())
	}
	return n, err
}

// escapeGlob makes a text mean itself in a pattern of Redis.
func escapeGlob(text string) string {
	var out []byte
	for _, c := range []byte(text) {
		switch c {
		case '*', '?', '[', ']', '\\', '^', '-':
			out = append(out, '\\')
		}
		out = append(out, c)
	}
	return string(out)
}

// Close drops the connections.
func (r *Redis) Close() error { return r.conn.Close() }
