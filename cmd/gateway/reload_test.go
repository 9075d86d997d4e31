package main

import (
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// logged collects a log that is written and read at the same time.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// A changed file takes effect, by itself or with SIGHUP; a bad one does not, and
// all that is wrong with it is told.
func TestReload(t *testing.T) {
	t.Parallel()

	one, two := upstreamtest.New(t), upstreamtest.New(t)
	one.Answer("eth_gasPrice", upstreamtest.Result(`"0x1"`))
	two.Answer("eth_gasPrice", upstreamtest.Result(`"0x2"`))
	file := func(n *upstreamtest.Node, more string) []byte {
		return []byte(more + "projects: [{id: main, networks: [{evm: {chainId: 31337}}], upstreams: [{endpoint: '" + n.URL() + "'}]}]\n")
	}
	path := write(t, string(file(one, "")))
	replace := func(text []byte) {
		require.NoError(t, os.WriteFile(path+".new", text, 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	s := &settings{Config: path, Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0"}
	cfg, err := s.configuration(noEnv)
	require.NoError(t, err)
	var said logged
	log := slog.New(slog.NewJSONHandler(&said, nil))
	app, err := gatewayapp.New(cfg.App, gatewayapp.Deps{Log: log})
	require.NoError(t, err)
	lifecycletest.Start(t, app.Run)
	hangup := make(chan os.Signal, 1)
	r := &reloader{settings: s, getenv: noEnv, app: app, log: log, started: cfg, hangup: hangup, every: 5 * time.Millisecond}
	var watching sync.WaitGroup
	watching.Go(func() { r.run(t.Context()) })
	t.Cleanup(watching.Wait)
	price := func() string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+app.Addr(), strings.NewReader(`{"id":1,"method":"eth_gasPrice"}`))
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request) //nolint:forbidigo // a test's client
		require.NoError(t, err)
		defer response.Body.Close()
		text := make([]byte, 200)
		n, _ := response.Body.Read(text)
		return string(text[:n])
	}
	require.Contains(t, price(), `"0x1"`)

	replace(file(two, "logLevel: debug\nserver: {waitAfterShutdown: 1s}\n"))
	require.Eventually(t, func() bool { return said.has("the new configuration is in force") }, 10*time.Second, time.Millisecond)
	require.Contains(t, price(), `"0x2"`)
	require.True(t, said.has(`"settings":["times of the shutdown","log level"]`))

	replace(file(one, "sever: 1\nlogLevel: loud\n"))
	require.Eventually(t, func() bool { return said.has("the old one stays in force") }, 10*time.Second, time.Millisecond)
	require.True(t, said.has(`unknown key \"sever\"`))
	require.True(t, said.has(`logLevel: must be`))
	require.Contains(t, price(), `"0x2"`)

	two.Answer("eth_gasPrice", upstreamtest.Result(`"0x3"`))
	replace(file(two, "logLevel: warn\n"))
	hangup <- syscall.SIGHUP
	require.Eventually(t, func() bool { return said.has(`"settings":["log level"]`) }, 10*time.Second, time.Millisecond)
	require.Contains(t, price(), `"0x3"`)
}

func TestReload_WithoutFile(t *testing.T) {
	t.Parallel()

	var said logged
	r := &reloader{settings: &settings{}, log: slog.New(slog.NewTextHandler(&said, nil))}
	r.reload(t.Context())
	require.True(t, said.has("there is no configuration file"))
}
