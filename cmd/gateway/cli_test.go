package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

func noEnv(string) string { return "" }

func TestRun_FailsInOneLine(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // held until the test ends
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("sever: {}\nprojects: [{id: m, networks: [{evm: {chainId: 1}}]}]\n"), 0o600))

	cases := map[string]struct {
		args []string
		want string
	}{
		"no upstream":      {[]string{"serve"}, "gateway: configuration: project \"main\": upstreams: at least one is needed\n"},
		"busy port":        {[]string{"--upstream", node.URL(), "--listen", taken.Addr().String(), "--admin-listen", "127.0.0.1:0", "--log-level", "error"}, "gateway: gateway: listen on " + taken.Addr().String() + ": the port is in use by another program\n"},
		"wrong chain":      {[]string{"--upstream", node.URL(), "--chain-id", "5", "--log-level", "error"}, "gateway: upstreams: main/evm:5: every upstream shows chain id 31337, configured is chain id 5\n"},
		"no such file":     {[]string{"--config", "/nowhere.yaml"}, "gateway: configuration: read the configuration: open /nowhere.yaml: no such file or directory\n"},
		"unknown key":      {[]string{"--config", bad}, "gateway: configuration: " + bad + `:1:1: unknown key "sever"; did you mean "server"?` + "\n"},
		"unknown flag":     {[]string{"--upstraem", "x"}, "gateway: unknown flag --upstraem"},
		"wrong log level":  {[]string{"--upstream", node.URL(), "--log-level", "loud"}, `gateway: configuration: log level "loud": must be debug, info, warn or error` + "\n"},
		"wrong log format": {[]string{"--upstream", node.URL(), "--log-format", "xml"}, `gateway: log format "xml": must be json or text` + "\n"},
		"secret URL":       {[]string{"--upstream", "ftp://user:hidden@node"}, "gateway: configuration: project \"main\": upstreams[0]: the URL must begin with http:// or https://\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var stdout, stderr bytes.Buffer
			code := run(t.Context(), c.args, noEnv, &stdout, &stderr)

			require.Equal(t, 1, code)
			require.True(t, strings.HasPrefix(stderr.String(), c.want), stderr.String())
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), stderr.String())
			require.Empty(t, stdout.String())
		})
	}
}

func TestRun_VersionAndHelp(t *testing.T) {
	t.Parallel()

	var out bytes.Buffer
	require.Equal(t, 0, run(t.Context(), []string{"version"}, noEnv, &out, io.Discard))
	require.Contains(t, out.String(), "gateway dev")
	out.Reset()
	require.Equal(t, 0, run(t.Context(), []string{"schema"}, noEnv, &out, io.Discard))
	require.Contains(t, out.String(), "https://json-schema.org/draft/2020-12/schema")
	out.Reset()
	require.Equal(t, 0, run(t.Context(), []string{"serve", "--help"}, noEnv, &out, io.Discard))
	require.Contains(t, out.String(), "--upstream")
}

func TestRun_Serves(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	ctx, stop := context.WithCancel(t.Context())
	logs, logWriter := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"--upstream", node.URL(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, noEnv, io.Discard, logWriter)
		_ = logWriter.Close()
	}()

	var address string
	lines := bufio.NewScanner(logs)
	for address == "" && lines.Scan() {
		var line struct{ Msg, Addr string }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		if line.Msg == "gateway listens" {
			address = line.Addr
		}
	}
	go func() { _, _ = io.Copy(io.Discard, logs) }()
	response, err := http.Post("http://"+address+"/main", "application/json", strings.NewReader(`{"id":1,"method":"net_version"}`)) //nolint:noctx // the server answers or ends
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"31337"}`, string(text))

	stop()
	require.Equal(t, 0, <-code)
}
