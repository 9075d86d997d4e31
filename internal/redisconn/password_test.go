package redisconn_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/secret/secrettest"
)

// rotated is a Redis whose password changes, with a connection that takes it from
// a file.
type rotated struct {
	server *redis.Client // logged in as somebody else
	files  *secrettest.Mount
	conn   *redisconn.Conn
	log    bytes.Buffer
}

const admin = "on >admin ~* &* +@all"

func newRotated(t *testing.T, address string, cfg redisconn.Config) *rotated {
	t.Helper()
	r := &rotated{files: secrettest.New(t, map[string]string{"password": "hush-1\n"})}
	r.server = redis.NewClient(&redis.Options{Addr: address, Username: "admin", Password: "admin"})
	t.Cleanup(func() { _ = r.server.Close() })
	cfg.PasswordFile, cfg.Log = r.files.Path("password"), slog.New(slog.NewTextHandler(&r.log, nil))
	r.conn = newConn(t, cfg)
	requireWorks(t, r.conn)
	return r
}

func (r *rotated) do(t *testing.T, command string) {
	t.Helper()
	var words []any
	for _, word := range strings.Fields(command) {
		words = append(words, word)
	}
	require.NoError(t, r.server.Do(t.Context(), words...).Err())
}

// cut ends all connections but our own.
func (r *rotated) cut(t *testing.T) {
	t.Helper()
	r.do(t, "CLIENT KILL TYPE normal SKIPME yes")
	r.do(t, "CLIENT KILL TYPE pubsub")
}

func (r *rotated) holds(t *testing.T, password string) {
	t.Helper()
	r.files.Swap(t, map[string]string{"password": password})
}

// worksOnNew uses connections that are new. The first use after a cut may meet a
// connection that is gone, after which Redis is left alone for a second.
func (r *rotated) worksOnNew(t *testing.T) {
	t.Helper()
	r.cut(t)
	require.Eventually(t, func() bool { return r.conn.Use(t.Context(), ping) == nil }, 20*time.Second, 10*time.Millisecond)
	requireWorks(t, r.conn)
}

func words(text string) []string { return strings.Fields(text) }

// Both passwords are valid at once, as an ACL allows it: nothing fails.
func TestPasswordFile_BothAreValid(t *testing.T) {
	t.Parallel()
	address, _ := redistest.Start(t, append(append([]string{"--user", "admin"}, words(admin)...), append([]string{"--user", "cache"}, words("on >hush-1 ~* +@all")...)...)...)
	r := newRotated(t, address, redisconn.Config{URL: secret.New("redis://cache@" + address)})
	r.do(t, "ACL SETUSER cache >hush-2")
	r.holds(t, "hush-2")
	requireWorks(t, r.conn)
	r.do(t, "ACL SETUSER cache <hush-1")
	requireWorks(t, r.conn) // an open connection goes on
	r.worksOnNew(t)
	require.Empty(t, r.log.String())
}

// The password of the default user is changed, and the file is behind, wrong,
// empty, and right in the end.
func TestPasswordFile_TheServerChangesFirst(t *testing.T) {
	t.Parallel()
	address, _ := redistest.Start(t, append([]string{"--requirepass", "hush-1", "--user", "admin"}, words(admin)...)...)
	r := newRotated(t, address, redisconn.Config{URL: secret.New("redis://" + address)})
	refused := func() {
		t.Helper()
		r.cut(t)
		require.Eventually(t, func() bool { return redis.IsAuthError(r.conn.Use(t.Context(), ping)) }, 20*time.Second, 10*time.Millisecond)
	}
	r.do(t, "CONFIG SET requirepass hush-2")
	requireWorks(t, r.conn)
	refused()
	r.holds(t, "hush-3")
	refused()
	r.holds(t, "")
	refused()
	require.Equal(t, 1, strings.Count(r.log.String(), "level=WARN"), r.log.String())
	r.holds(t, "hush-2")
	r.worksOnNew(t)
	require.NotContains(t, r.log.String(), "hush")
}

func TestPasswordFile_SentinelAndCluster(t *testing.T) {
	t.Parallel()
	t.Run("a master behind a sentinel", func(t *testing.T) {
		t.Parallel()
		sentinel, master := redistest.StartSentinel(t)
		rotateDefault(t, master, redisconn.Config{Sentinel: redisconn.Sentinel{Addresses: []string{sentinel}, Master: "main"}})
	})
	t.Run("a cluster", func(t *testing.T) {
		t.Parallel()
		address := redistest.StartCluster(t)
		rotateDefault(t, address, redisconn.Config{Cluster: []string{address}})
	})
}

// rotateDefault gives a server that has none a password, which changes.
func rotateDefault(t *testing.T, address string, cfg redisconn.Config) {
	t.Helper()
	open := redis.NewClient(&redis.Options{Addr: address})
	t.Cleanup(func() { _ = open.Close() })
	for _, user := range []string{"admin " + admin, "app on >hush-1 ~* &* +@all"} {
		args := []any{"ACL", "SETUSER"}
		for _, word := range strings.Fields(user) {
			args = append(args, word)
		}
		require.NoError(t, open.Do(t.Context(), args...).Err())
	}
	cfg.Username = "app"
	r := newRotated(t, address, cfg)
	r.do(t, "ACL SETUSER app >hush-2")
	r.holds(t, "hush-2")
	r.do(t, "ACL SETUSER app <hush-1")
	r.worksOnNew(t)
}

// A subscription is a connection of its own, which logs in with the file, too.
func TestPasswordFile_Subscriptions(t *testing.T) {
	t.Parallel()
	address, _ := redistest.Start(t, append(append([]string{"--user", "admin"}, words(admin)...), append([]string{"--user", "cache"}, words("on >hush-1 ~* &* +@all")...)...)...)
	r := newRotated(t, address, redisconn.Config{URL: secret.New("redis://cache@" + address)})
	r.do(t, "ACL SETUSER cache resetpass >hush-2")
	r.holds(t, "hush-2")
	require.NoError(t, r.conn.Use(t.Context(), func(ctx context.Context, client redis.UniversalClient) error {
		listener := client.Subscribe(ctx, "news")
		defer func() { _ = listener.Close() }()
		_, err := listener.Receive(ctx)
		return err
	}))
}

func TestPasswordFile_AtTheStart(t *testing.T) {
	t.Parallel()
	files := secrettest.New(t, map[string]string{"empty": ""})
	cfg := redisconn.Config{URL: secret.New("redis://host"), Timeout: time.Second, PasswordFile: "nowhere"}
	_, err := redisconn.New(cfg)
	require.ErrorContains(t, err, "redis: read the password: open nowhere: no such file or directory")
	cfg.PasswordFile = files.Path("empty")
	_, err = redisconn.New(cfg)
	require.ErrorContains(t, err, "is empty")
	cfg.Password = secret.New("hush")
	require.ErrorContains(t, cfg.Validate(), "exclude each other")
}
