package redisconn_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
	"github.com/slipwayhq/slipway/internal/secret"
)

func newConn(t *testing.T, cfg redisconn.Config) *redisconn.Conn {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second // a busy test machine must not look like a dead Redis
	}
	c, err := redisconn.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func ping(ctx context.Context, client redis.UniversalClient) error { return client.Ping(ctx).Err() }

// requireWorks writes and reads a key.
func requireWorks(t *testing.T, c *redisconn.Conn) {
	t.Helper()
	require.NoError(t, c.Use(t.Context(), func(ctx context.Context, client redis.UniversalClient) error {
		if err := client.Set(ctx, c.Key("k"), "v", time.Minute).Err(); err != nil {
			return err
		}
		got, err := client.Get(ctx, c.Key("k")).Result()
		require.Equal(t, "v", got)
		return err
	}))
}

func TestConn_ReachesEveryKindOfRedis(t *testing.T) {
	t.Parallel()

	t.Run("one server, and a prefix", func(t *testing.T) {
		t.Parallel()
		address, _ := redistest.Start(t)
		c := newConn(t, redisconn.Config{URL: secret.New("redis://" + address + "/3"), KeyPrefix: "mine:"})
		requireWorks(t, c)
		require.Equal(t, "mine:k", c.Key("k"))
		other := newConn(t, redisconn.Config{URL: secret.New("redis://" + address + "/4")})
		require.ErrorIs(t, other.Use(t.Context(), func(ctx context.Context, client redis.UniversalClient) error {
			return client.Get(ctx, "mine:k").Err()
		}), redis.Nil)
	})
	t.Run("a password", func(t *testing.T) {
		t.Parallel()
		address, _ := redistest.Start(t, "--requirepass", "hush")
		requireWorks(t, newConn(t, redisconn.Config{URL: secret.New("redis://default:hush@" + address)}))
		requireWorks(t, newConn(t, redisconn.Config{URL: secret.New("redis://default:old@" + address), Password: secret.New("hush")}))
		wrong := newConn(t, redisconn.Config{URL: secret.New("redis://default:wrong@" + address)})
		require.True(t, redis.IsAuthError(wrong.Use(t.Context(), ping)))
		require.ErrorIs(t, wrong.Use(t.Context(), ping), redisconn.ErrResting)
	})
	t.Run("a user of the ACL", func(t *testing.T) {
		t.Parallel()
		address, _ := redistest.Start(t, "--user", "cache", "on", ">hush", "~mine:*", "+@read", "+@write", "+@connection")
		c := newConn(t, redisconn.Config{URL: secret.New("redis://" + address), Username: "cache", Password: secret.New("hush"), KeyPrefix: "mine:"})
		requireWorks(t, c)
		require.True(t, redis.IsPermissionError(c.Use(t.Context(), func(ctx context.Context, client redis.UniversalClient) error {
			return client.Get(ctx, "theirs").Err()
		})))
		requireWorks(t, c) // one refused command is no reason to rest
	})
	t.Run("TLS with certificates on both sides", func(t *testing.T) {
		t.Parallel()
		files := redistest.Certificates(t)
		address := redistest.StartTLS(t, files)
		tls := redisconn.TLS{Enabled: true, CAFile: files.CA, CertFile: files.ClientCert, KeyFile: files.ClientKey}
		requireWorks(t, newConn(t, redisconn.Config{URL: secret.New("redis://" + address), TLS: tls}))
		tls.Enabled = false
		requireWorks(t, newConn(t, redisconn.Config{URL: secret.New("rediss://" + address), TLS: tls}))
		tls.ServerName = "elsewhere"
		require.Error(t, newConn(t, redisconn.Config{URL: secret.New("rediss://" + address), TLS: tls}).Use(t.Context(), ping))
		tls.InsecureSkipVerify = true
		requireWorks(t, newConn(t, redisconn.Config{URL: secret.New("rediss://" + address), TLS: tls}))
	})
	t.Run("a master behind a sentinel", func(t *testing.T) {
		t.Parallel()
		sentinel, _ := redistest.StartSentinel(t)
		requireWorks(t, newConn(t, redisconn.Config{Sentinel: redisconn.Sentinel{Addresses: []string{sentinel}, Master: "main"}, DB: 2}))
	})
	t.Run("a cluster", func(t *testing.T) {
		t.Parallel()
		requireWorks(t, newConn(t, redisconn.Config{Cluster: []string{redistest.StartCluster(t)}, KeyPrefix: "mine:"}))
	})
}

func TestConn_AKilledRedisIsLeftAloneAndFoundAgain(t *testing.T) {
	t.Parallel()

	address, stop := redistest.Start(t)
	c := newConn(t, redisconn.Config{URL: secret.New("redis://" + address)})
	requireWorks(t, c)
	stop()
	require.Error(t, c.Use(t.Context(), ping))
	start := time.Now()
	for range 1000 {
		require.ErrorIs(t, c.Use(t.Context(), ping), redisconn.ErrResting)
	}
	require.Less(t, time.Since(start), time.Second)

	redistest.StartAt(t, address)
	require.Eventually(t, func() bool { return c.Use(t.Context(), ping) == nil }, 20*time.Second, 10*time.Millisecond)
}

func TestConn_AHangingRedisCostsItsTimeOnce(t *testing.T) {
	t.Parallel()

	hung, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // accepts and never answers
	require.NoError(t, err)
	t.Cleanup(func() { _ = hung.Close() })
	c := newConn(t, redisconn.Config{URL: secret.New("redis://" + hung.Addr().String()), Timeout: 50 * time.Millisecond})
	start := time.Now()
	require.Error(t, c.Use(t.Context(), ping))
	for range 1000 {
		require.ErrorIs(t, c.Use(t.Context(), ping), redisconn.ErrResting)
	}
	require.Less(t, time.Since(start), 900*time.Millisecond, "less than the first rest, and far less than 1000 times 50 ms")
}

func TestConn_ACallerThatLeavesSaysNothingAboutRedis(t *testing.T) {
	t.Parallel()

	address, _ := redistest.Start(t)
	c := newConn(t, redisconn.Config{URL: secret.New("redis://" + address)})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, c.Use(gone, ping))
	require.NoError(t, c.Use(t.Context(), ping))

	unhappy := errors.New("ERR unknown")
	_ = c.Use(t.Context(), func(ctx context.Context, client redis.UniversalClient) error {
		return errors.Join(unhappy, client.Do(ctx, "NOSUCHCOMMAND").Err())
	})
	require.NoError(t, c.Use(t.Context(), ping), "a command that Redis does not know is no failure of Redis")
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()

	good := redisconn.Config{URL: secret.New("redis://user:hidden@host:6379/1"), Timeout: time.Second}
	require.NoError(t, good.Validate())
	require.True(t, good.IsSet())
	require.False(t, redisconn.Config{}.IsSet())

	cases := map[string]struct {
		change func(*redisconn.Config)
		says   string
	}{
		"nothing":              {func(c *redisconn.Config) { c.URL = secret.String{} }, "exactly one"},
		"two ways":             {func(c *redisconn.Config) { c.Cluster = []string{"a:1"} }, "exactly one"},
		"no port":              {func(c *redisconn.Config) { c.URL, c.Cluster = secret.String{}, []string{"a"} }, `"a" is not host:port`},
		"a database":           {func(c *redisconn.Config) { c.URL, c.Cluster, c.DB = secret.String{}, []string{"a:1"}, 1 }, "only database 0"},
		"a URL with a bad db":  {func(c *redisconn.Config) { c.URL = secret.New("redis://user:hidden@host/zero") }, "cannot be read"},
		"another scheme":       {func(c *redisconn.Config) { c.URL = secret.New("unix://user:hidden@/tmp/x") }, "cannot be read"},
		"a nameless master":    {func(c *redisconn.Config) { c.URL, c.Sentinel.Addresses = secret.String{}, []string{"a:1"} }, "name of the master"},
		"no time":              {func(c *redisconn.Config) { c.Timeout = 0 }, "timeout"},
		"a negative pool":      {func(c *redisconn.Config) { c.PoolSize = -1 }, "negative"},
		"half a certificate":   {func(c *redisconn.Config) { c.TLS.KeyFile = "k" }, "needed together"},
		"everything is listed": {func(c *redisconn.Config) { c.Timeout, c.PoolSize = 0, -1 }, "timeout: must be more than zero\nredis: pool"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			c.change(&cfg)
			err := cfg.Validate()
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "hidden")
		})
	}
}

func TestNew_NamesTheFileThatCannotBeRead(t *testing.T) {
	t.Parallel()

	empty := t.TempDir() + "/empty.pem"
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for says, tls := range map[string]redisconn.TLS{
		"read the CA file":            {Enabled: true, CAFile: "nowhere"},
		"holds no certificate":        {Enabled: true, CAFile: empty},
		"read the client certificate": {Enabled: true, CertFile: empty, KeyFile: empty},
	} {
		_, err := redisconn.New(redisconn.Config{URL: secret.New("redis://host"), Timeout: time.Second, TLS: tls})
		require.ErrorContains(t, err, says)
	}
}
