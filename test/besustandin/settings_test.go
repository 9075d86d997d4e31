package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadSettings_RefusesWhatBesuRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		toml string
		want string
	}{
		"an unknown option":          {args: []string{"--nonsense=1"}, want: "Unknown option: '--nonsense=1'"},
		"an option without its name": {args: []string{"stray"}, want: "Unknown option: 'stray'"},
		"an option without a value":  {args: []string{"--p2p-host"}, want: "Missing required parameter for option '--p2p-host'"},
		"a text for a number":        {args: []string{"--p2p-port=x"}, want: "Invalid value for option '--p2p-port': 'x' is not a number"},
		"an unknown key of the file": {toml: "nonsense=1", want: "Unknown option in TOML configuration file: nonsense"},
		"a text for a number there":  {toml: `p2p-port="30303"`, want: "Invalid value for option 'p2p-port'"},
		"no TOML":                    {toml: "p2p-port", want: "Invalid TOML configuration"},
		"an unknown storage format":  {toml: `data-storage-format="TREE"`, want: "expected one of [FOREST BONSAI X_BONSAI_ARCHIVE] but was 'TREE'"},
		"an unknown API":             {toml: `rpc-http-api=["ETH", "EEA"]`, want: "EEA is not an API"},
		"a port that is none":        {toml: `rpc-http-port=70000`, want: "70000 is not a port"},
		"no data path":               {toml: `p2p-port=1`, want: "--data-path is needed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := test.args
			if test.toml != "" {
				if test.want == "70000 is not a port" {
					test.toml += "\ndata-path=\"/d\"\ngenesis-file=\"/g\"\nstatic-nodes-file=\"/s\"\nnode-private-key-file=\"/k\""
				}
				file := filepath.Join(t.TempDir(), "config.toml")
				require.NoError(t, os.WriteFile(file, []byte(test.toml), 0o600))
				args = append(args, "--config-file="+file)
			}
			_, err := readSettings(args)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestReadSettings_ArgumentsWinOverTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(`
data-path="/d"
genesis-file="/g"
static-nodes-file="/s"
node-private-key-file="/k"
p2p-port=1
rpc-http-api=["ETH","QBFT"]
`), 0o600))
	got, err := readSettings([]string{"--config-file=" + file, "--p2p-port=2"})
	require.NoError(t, err)
	require.Equal(t, uint16(2), got.p2pPort)
	require.Equal(t, []string{"ETH", "QBFT"}, got.http.apis)
	require.False(t, got.http.enabled, "as in Besu, JSON-RPC must be switched on")
}
