package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/clustertest"
	"github.com/slipwayhq/slipway/internal/genesis"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// slipway runs the program and gives its exit code and what it printed.
func slipway(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, failed bytes.Buffer
	code = run(t.Context(), args, &out, &failed)
	return code, out.String(), failed.String()
}

// succeed runs the program, which must end well.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := slipway(t, args...)
	require.Zero(t, code, stderr)
	return stdout
}

func hashIn(t *testing.T, text string) string {
	t.Helper()
	found := regexp.MustCompile(`Genesis hash: (0x[0-9a-f]{64})`).FindStringSubmatch(text)
	require.Len(t, found, 2, text)
	return found[1]
}

func TestNetwork_FolderIsMadeOnceAndVerified(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "net")

	made := succeed(t, "network", "generate", "--output", "folder", "--to", dir, "--chain-id", "1337", "--profile", "quiet", "-v", "4", "-r", "1")
	require.Contains(t, made, "Network 1337 in "+dir+": 4 validators, 1 RPC nodes.")
	require.Contains(t, succeed(t, "network", "verify", "--folder", dir), "Nothing differs.")

	// The same keys make the same network, whatever the output.
	shown := succeed(t, "network", "generate", "--keys", dir, "--chain-id", "1337", "--profile", "quiet")
	require.Equal(t, hashIn(t, made), hashIn(t, shown))
	key, err := os.ReadFile(filepath.Join(dir, "besu-node-validator-0", "key"))
	require.NoError(t, err)
	require.NotContains(t, shown, strings.TrimSpace(string(key)))
	require.Contains(t, succeed(t, "network", "generate", "--keys", dir, "--show-keys"), strings.TrimSpace(string(key)))

	added := succeed(t, "network", "validator", "key", "--folder", dir)
	require.Contains(t, added, "besu-node-validator-4\n  address 0x")
	require.Contains(t, added, "slipway network validator add 0x")
	require.Contains(t, succeed(t, "network", "verify", "--folder", dir), "Nothing differs.")
}

func TestNetwork_TakesTheFlagsOfNetworkBootstrapper(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "net")
	succeed(t, "network", "generate", "-o", "folder", "--to", dir, "-v", "1", "-r", "1", "--consensus=IBFTv2", "--seconds-per-block=5",
		"--static-node-domain=svc.example", "--static-node-namespace=atk", "--static-node-service-name=", "--static-node-pod-prefix=v",
		"--static-node-port=30304", "--static-node-discovery-port=30305", "--rpc-node-service-name=r-all", "--rpc-node-pod-prefix=r", "--faucet-artifact-prefix=f")
	text, err := os.ReadFile(filepath.Join(dir, "genesis.json"))
	require.NoError(t, err)
	file, err := genesis.Parse(text)
	require.NoError(t, err)
	require.EqualValues(t, 5, file.Config.IBFT2.BlockPeriodSeconds)
	static, err := os.ReadFile(filepath.Join(dir, "static-nodes.json"))
	require.NoError(t, err)
	require.Contains(t, string(static), "@v-0.atk.svc.example:30304?discport=30305")
	require.Contains(t, string(static), "@r-0.r-all.atk.svc.example:30304?discport=30305")
	require.FileExists(t, filepath.Join(dir, "f", "key"))
}

func TestNetwork_VerifyComparesAFileWithWhatIsExpected(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "net")
	hash := hashIn(t, succeed(t, "network", "generate", "--output", "folder", "--to", dir, "-v", "1", "-r", "0"))
	file := filepath.Join(dir, "genesis.json")
	address, err := os.ReadFile(filepath.Join(dir, "besu-node-validator-0", "address"))
	require.NoError(t, err)
	enodes, err := os.ReadFile(filepath.Join(dir, "static-nodes.json"))
	require.NoError(t, err)
	static, err := genesis.ParseStaticNodes(enodes)
	require.NoError(t, err)

	succeed(t, "network", "verify", "--genesis", file, "--hash", hash, "--chain-id", "53771311147", "--validator", strings.TrimSpace(string(address)))
	succeed(t, "network", "verify", "--genesis", file, "--validator", static[0])

	node := upstreamtest.New(t)
	code, stdout, stderr := slipway(t, "network", "verify", "--genesis", file, "--hash", strings.Repeat("0", 64), "--chain-id", "1", "--node", node.URL())
	require.Equal(t, 3, code)
	require.Contains(t, stdout, hash)
	require.Contains(t, stderr, "3 differences: the chain id is 53771311147, not 1; the genesis hash is "+hash+", not 0x000")
	require.Contains(t, stderr, "the genesis hash of 127.0.0.1:")
}

func TestBootstrap_CompileAndDownload(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "abi"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "abi", "Token.json"), []byte("[]"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alloc.json"), []byte(`{"0x00000000000000000000000000000000000000c0":{"balance":"0x0","code":"0x6000"}}`), 0o600))
	where := []string{"--kubeconfig", api.Kubeconfig(t), "--namespace", api.Namespace}
	bootstrap := append([]string{"bootstrap", "--allocations", filepath.Join(dir, "alloc.json"), "--abi-directory", filepath.Join(dir, "abi"), "--labels", "a=b;c=d"}, where...)

	dry := succeed(t, append(bootstrap, "--dry-run")...)
	require.Contains(t, dry, "Would make Secret slipway-network.")
	made := succeed(t, bootstrap...)
	require.Contains(t, made, "Made ConfigMap besu-genesis.")
	again := succeed(t, bootstrap...)
	require.Contains(t, again, "0 objects made")
	require.Equal(t, hashIn(t, made), hashIn(t, again))

	out := filepath.Join(dir, "data", "genesis.json")
	compiled := succeed(t, append([]string{"compile-genesis", "--output-path", out}, where...)...)
	require.Contains(t, compiled, hashIn(t, made))
	info, err := os.Stat(out)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm(), "the node is another user")
	succeed(t, "network", "verify", "--genesis", out, "--hash", hashIn(t, made))
	succeed(t, append([]string{"download-abi", "--output-directory", filepath.Join(dir, "shared")}, where...)...)
	require.FileExists(t, filepath.Join(dir, "shared", "Token.json"))

	code, _, stderr := slipway(t, append(bootstrap, "--chain-id", "5")...)
	require.Equal(t, 3, code, stderr)
	require.Contains(t, stderr, "the network differs: chain id is 53771311147, and 5 is wanted; nothing of the network was changed")
}

func TestBootstrap_PrintsItsRoles(t *testing.T) {
	t.Parallel()
	printed := succeed(t, "bootstrap", "--print-role", "--namespace", "atk", "-v", "1", "-r", "0")
	require.Contains(t, printed, `"namespace": "atk"`)
	require.Contains(t, printed, `"besu-node-validator-1-private-key"`)
	require.NotContains(t, printed, `"*"`)

	kept, err := os.ReadFile("../../deploy/network/roles.json")
	require.NoError(t, err)
	require.Equal(t, succeed(t, "bootstrap", "--print-role"), string(kept), "go run ./cmd/slipway bootstrap --print-role >deploy/network/roles.json")
}

func TestWait_ExitCodeTellsATimeout(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	require.Contains(t, succeed(t, "wait", address, "--timeout", "5s"), "is there, after")

	code, _, stderr := slipway(t, "wait", address, server.URL, "-t", "100ms", "--interval", "10ms")
	require.Equal(t, 124, code)
	require.Contains(t, stderr, "slipway: waited 100ms for "+server.URL+": it answers 404 Not Found")
}

func TestNetwork_SaysInOneLineWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.json"), []byte("{"), 0o600))
	kubeconfig := filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"x","clusters":[{"name":"x","cluster":{"server":"https://127.0.0.1:1"}}],"contexts":[{"name":"x","context":{"cluster":"x"}}]}`), 0o600))
	cases := map[string]struct {
		args []string
		want string
	}{
		"zero validators":      {[]string{"network", "generate", "--validators", "0"}, "a network needs at least one validator: give --validators 4"},
		"chain id 0":           {[]string{"network", "generate", "--chain-id", "0"}, "chain id: must not be 0"},
		"chain id of text":     {[]string{"network", "generate", "--chain-id", "main"}, "--chain-id: expected a valid 64 bit uint"},
		"unreadable keys":      {[]string{"network", "generate", "--keys", "/nonexistent"}, "the folder of keys cannot be read: open /nonexistent"},
		"no key in the folder": {[]string{"network", "generate", "--keys", dir}, "the folder has no validator's key"},
		"folder without name":  {[]string{"network", "generate", "-o", "folder"}, "--output folder needs --to DIR"},
		"folder is not empty":  {[]string{"network", "generate", "-o", "folder", "--to", dir}, "is not empty: a network's keys are never overwritten"},
		"no such allocations":  {[]string{"network", "generate", "--allocations", "/nonexistent"}, "allocations: open /nonexistent"},
		"broken allocations":   {[]string{"network", "generate", "--allocations", filepath.Join(dir, "bad.json")}, "bad.json: read allocations:"},
		"faucet balance":       {[]string{"network", "generate", "--faucet-balance", "1e5"}, `faucet balance: "1e5" is not a number of wei`},
		"verify nothing":       {[]string{"network", "verify"}, "missing flags: --folder=DIR or --genesis=FILE"},
		"verify no network":    {[]string{"network", "verify", "--folder", dir}, "the folder is not one of a network"},
		"verify broken file":   {[]string{"network", "verify", "--genesis", filepath.Join(dir, "bad.json")}, "read genesis: unexpected EOF"},
		"bad hash":             {[]string{"network", "verify", "--genesis", filepath.Join(dir, "bad.json"), "--hash", "12"}, `hash: "12" is not 64 hex digits`},
		"bad address":          {[]string{"network", "validator", "add", "0x12", "--node", "http://127.0.0.1:1"}, `address: "0x12" is not 40 hex digits`},
		"no node":              {[]string{"network", "validator", "add", "0x0000000000000000000000000000000000000001", "--node", "http://u:sesame@127.0.0.1:1"}, "no node can be asked: 127.0.0.1:1: eth_coinbase: node unreachable"},
		"unreachable cluster":  {[]string{"bootstrap", "--kubeconfig", kubeconfig}, "the cluster at https://127.0.0.1:1 cannot be reached"},
		"no cluster":           {[]string{"compile-genesis", "--output-path", "x", "--kubeconfig", "/nonexistent"}, "no cluster is configured"},
		"target":               {[]string{"wait", "x"}, `"x" is not host:port`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := slipway(t, c.args...)
			require.Equal(t, 1, code)
			require.Contains(t, stderr, c.want)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			require.NotContains(t, stderr, "sesame")
		})
	}
}
