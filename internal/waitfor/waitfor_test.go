package waitfor_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache/cachetest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
	"github.com/slipwayhq/slipway/internal/waitfor"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const (
	patient   = 20 * time.Second
	impatient = 150 * time.Millisecond
	every     = 10 * time.Millisecond
)

func wait(t *testing.T, timeout time.Duration, options waitfor.Options, texts ...string) ([]string, error) {
	t.Helper()
	var said []string
	targets := make([]waitfor.Target, len(texts))
	for i, text := range texts {
		target, err := waitfor.Parse(text, options)
		require.NoError(t, err)
		targets[i] = target
	}
	err := waitfor.Wait(t.Context(), targets, timeout, every, func(line string) { said = append(said, line) })
	return said, err
}

func status(t *testing.T, code int) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
	t.Cleanup(server.Close)
	return server.URL
}

func TestWait_EveryKindOfTarget(t *testing.T) {
	t.Parallel()
	redis, _ := cachetest.StartRedis(t)
	page := status(t, http.StatusNoContent)
	u, err := url.Parse(page)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "dsn")
	require.NoError(t, os.WriteFile(file, []byte(pgtest.DSN(t)+"\n"), 0o600))

	said, err := wait(t, patient, waitfor.Options{ChainID: upstreamtest.ChainID},
		page, "tcp://"+u.Host, u.Host, redis, "file:"+file, "jsonrpc+"+upstreamtest.New(t).URL())

	require.NoError(t, err)
	require.Len(t, said, 6)
}

func TestWait_ComesWhileWaiting(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	done := make(chan error, 1)
	go func() {
		target, err := waitfor.Parse(address, waitfor.Options{})
		if err == nil {
			err = waitfor.Wait(t.Context(), []waitfor.Target{target}, patient, every, func(string) {})
		}
		done <- err
	}()
	select {
	case err := <-done:
		require.Fail(t, "did not wait", "%v", err)
	case <-time.After(impatient):
	}

	listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	require.NoError(t, <-done)
}

func TestWait_SaysWhatDidNotComeAndWhy(t *testing.T) {
	t.Parallel()
	redis, _ := cachetest.StartRedis(t)
	dsn, err := url.Parse(pgtest.DSN(t))
	require.NoError(t, err)
	noSuchDatabase := *dsn
	noSuchDatabase.Path = "/missing"
	noSuchUser := *dsn
	noSuchUser.User = url.UserPassword("nobody-of-that-name", "sesame")
	redisWithPassword := strings.Replace(redis, "redis://", "redis://nobody:sesame@", 1)

	cases := map[string]struct{ target, want string }{
		"closed port":    {"127.0.0.1:1", "tcp://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"},
		"page":           {status(t, http.StatusServiceUnavailable) + "/health?token=sesame", "/health: it answers 503 Service Unavailable"},
		"redirect":       {status(t, http.StatusFound), "it answers 302 Found"},
		"database":       {noSuchDatabase.String(), `database "missing" does not exist (SQLSTATE 3D000)`},
		"database login": {noSuchUser.String(), `password authentication failed for user "nobody-of-that-name" (SQLSTATE 28P01)`},
		"no database":    {"postgres://u:sesame@127.0.0.1:1/x", "connection refused"},
		"redis login":    {redisWithPassword, "WRONGPASS"},
		"chain":          {"jsonrpc+" + upstreamtest.New(t).URL() + "/sesame", "its chain id is 31337, and 5 is wanted"},
		"no node":        {"jsonrpc+" + status(t, http.StatusOK), "without a JSON-RPC answer"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := wait(t, impatient, waitfor.Options{ChainID: 5}, c.target)
			var timeout *waitfor.TimeoutError
			require.ErrorAs(t, err, &timeout)
			require.Equal(t, 124, timeout.ExitCode())
			require.ErrorContains(t, err, "waited 150ms for ")
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "sesame")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestWait_NamesAllThatAreMissing(t *testing.T) {
	t.Parallel()
	said, err := wait(t, impatient, waitfor.Options{}, "127.0.0.1:1", status(t, http.StatusOK), "127.0.0.1:2")
	require.Len(t, said, 1)
	require.ErrorContains(t, err, "127.0.0.1:1")
	require.ErrorContains(t, err, ", and for tcp://127.0.0.1:2")
}

func TestWait_AHangingTargetIsBounded(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	_, err := wait(t, impatient, waitfor.Options{}, server.URL)
	var timeout *waitfor.TimeoutError
	require.ErrorAs(t, err, &timeout)
	require.ErrorContains(t, err, "no answer in time")
}

func TestParse_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"localhost":                       `"localhost" is not host:port`,
		"ftp://x":                         "cannot wait for ftp://",
		"http://":                         "the target's URL cannot be read",
		"postgres://u:sesame@h:port/x":    "the PostgreSQL URL is malformed",
		"redis://:sesame@h:6379/x":        "redis: the URL cannot be read",
		"env:SLIPWAY_TEST_NO_SUCH":        "the environment variable SLIPWAY_TEST_NO_SUCH is not set",
		"file:/nonexistent":               "read the target: open /nonexistent",
		"jsonrpc+http://user:sesame@:%zz": "the target's URL cannot be read",
	}
	for text, want := range cases {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			_, err := waitfor.Parse(text, waitfor.Options{})
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "sesame")
		})
	}
}
