package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

const goodFile = `
projects:
- id: main
  userAgentMode: raw
  networks: [{architecture: evm, evm: {chainId: 31337}}]
  upstreams: [{endpoint: "http://user:hidden@node:8545"}]
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestRun_CheckConfig_GoodFile(t *testing.T) {
	t.Parallel()
	path := write(t, goodFile)
	var stdout, stderr bytes.Buffer

	code := run(t.Context(), []string{"check-config", path}, noEnv, &stdout, &stderr)

	require.Zero(t, code)
	require.Equal(t, "warning: "+path+":4:3: projects[].userAgentMode: not supported yet, user agents are not counted\nOK\n", stdout.String())
	require.Empty(t, stderr.String())
}

func TestRun_CheckConfig_TellsAllProblems(t *testing.T) {
	t.Parallel()
	path := write(t, "sever: {}\nserver: {httpPort: many}\n"+goodFile+"metrics: {port: 70000}\n")
	var stdout, stderr bytes.Buffer

	code := run(t.Context(), []string{"check-config", path}, noEnv, &stdout, &stderr)

	require.Equal(t, 1, code)
	require.Empty(t, stdout.String())
	require.Equal(t, strings.Join([]string{
		path + `:1:1: unknown key "sever"; did you mean "server"?`,
		path + ":2:20: server.httpPort: must be a whole number",
		path + ":9:11: metrics.port: 70000 is no port",
		"gateway: " + path + " cannot be used, problems: 3\n",
	}, "\n"), stderr.String())
}

func TestRun_CheckConfig_WantsUsableValues(t *testing.T) {
	t.Parallel()
	path := write(t, strings.Replace(goodFile, "id: main", "id: m/n", 1))
	var stdout, stderr bytes.Buffer

	require.Equal(t, 1, run(t.Context(), []string{"check-config", path}, noEnv, &stdout, &stderr))
	require.Contains(t, stderr.String(), path+`: project "m/n": id: must be made of letters`)
	require.Empty(t, stdout.String())
}

func TestRun_PrintConfig(t *testing.T) {
	t.Parallel()
	redis := func(name string) string {
		if name == "SLIPWAY_REDIS_URL" {
			return "redis://user:hidden@redis:6379/0"
		}
		return ""
	}
	var stdout, stderr bytes.Buffer

	code := run(t.Context(), []string{"print-config", "--config", write(t, goodFile), "--listen", "127.0.0.1:99"}, redis, &stdout, &stderr)

	require.Zero(t, code, stderr.String())
	text := stdout.String()
	for _, line := range []string{"  httpPort: 99\n", "  maxTimeout: 2m30s\n", "chainId: 31337\n", `endpoint: "[redacted]"`, `uri: "[redacted]"`, "timeout: 100ms\n"} {
		require.Contains(t, text, line)
	}
	require.NotContains(t, text, "hidden")
}

func TestRun_PrintConfig_WithoutFile(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"print-config"}, noEnv, &stdout, &stderr))
	require.Contains(t, stdout.String(), "  httpPort: 4000\n")
	require.Empty(t, stderr.String())

	stdout.Reset()
	require.Equal(t, 1, run(t.Context(), []string{"print-config", "--config", "/nowhere.yaml"}, noEnv, &stdout, &stderr))
	require.Contains(t, stderr.String(), "no such file")
	require.Empty(t, stdout.String())
}

func TestRun_ServeLogsEachWarningOnce(t *testing.T) {
	t.Parallel()
	path := write(t, strings.Replace(goodFile, "http://user:hidden@node:8545", upstreamtest.New(t).URL(), 1))
	ended, stop := context.WithCancel(t.Context())
	stop()
	var stderr bytes.Buffer

	run(ended, []string{"--config", path, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, noEnv, &stderr, &stderr)

	var warnings []string
	for line := range strings.Lines(stderr.String()) {
		var entry struct{ Msg, Warning string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Warning != "" {
			warnings = append(warnings, entry.Warning)
		}
	}
	require.Equal(t, []string{path + ":4:3: projects[].userAgentMode: not supported yet, user agents are not counted"}, warnings)
}
