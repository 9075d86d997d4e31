package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func signer(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, func(name string) string { return env[name] }, &out, &errs)
	return code, out.String(), errs.String()
}

func TestRun_SaysInOneLineWhatIsWrong(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "signer.yaml")
	require.NoError(t, os.WriteFile(file, []byte("listne: :3000\n"), 0o600))

	cases := map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"nothing given": {nil, nil, "gatewayUrl: is missing"},
		"unknown flag":  {nil, []string{"--fast"}, "unknown flag --fast"},
		"unknown key":   {nil, []string{"--config", file}, "listne"},
		"no such file":  {nil, []string{"--config", file + ".gone"}, "signer.yaml.gone"},
		"log level":     {nil, []string{"--log-level", "loud"}, `logLevel "loud"`},
		"log format":    {nil, []string{"--log-format", "xml"}, "must be json or text"},
		"open to all": {
			map[string]string{"SLIPWAY_DATABASE_URL": "postgres://x", "SLIPWAY_MNEMONIC": "x"},
			[]string{"--gateway", "http://x", "--chain-id", "1", "--dev"},
			"only a loopback address",
		},
		"production": {
			map[string]string{"SLIPWAY_DATABASE_URL": "postgres://x", "SLIPWAY_MNEMONIC": "x"},
			[]string{"--gateway", "http://x", "--chain-id", "1"},
			"no authentication is configured",
		},
		"database away": {
			map[string]string{
				"SLIPWAY_DATABASE_URL": "postgres://user:hunter2@127.0.0.1:1/x",
				"SLIPWAY_MNEMONIC":     "test test test test test test test test test test test junk",
			},
			[]string{"--gateway", "http://127.0.0.1:1", "--chain-id", "1", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--config", quick(t)},
			"the database cannot be reached",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			code, _, stderr := signer(t, c.env, append([]string{"serve"}, c.args...)...)

			require.Equal(t, 1, code)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			last := lines[len(lines)-1]
			require.Contains(t, last, c.want)
			require.True(t, strings.HasPrefix(last, "signer: "), last)
			require.NotContains(t, stderr, "hunter2")
		})
	}
}

// quick is a configuration that does not wait for the database.
func quick(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "quick.yaml")
	require.NoError(t, os.WriteFile(file, []byte("databaseWait: 10ms\n"), 0o600))
	return file
}

func TestRun_HelpAndVersion(t *testing.T) {
	t.Parallel()

	code, stdout, _ := signer(t, nil, "version")
	require.Zero(t, code)
	require.Contains(t, stdout, "signer dev")
	code, stdout, _ = signer(t, nil, "--help")
	require.Zero(t, code)
	require.Contains(t, stdout, "Exactly-once")
}
