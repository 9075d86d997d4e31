package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache/cachetest"
	"github.com/slipwayhq/slipway/internal/clustertest"
	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/pgtest"
)

// asProgram is the variable that makes this test binary behave as slipway.
const asProgram = "SLIPWAY_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(clustertest.Main(withPostgreSQL{m}))
}

// withPostgreSQL runs tests that need a server.
type withPostgreSQL struct{ tests *testing.M }

func (w withPostgreSQL) Run() int { return pgtest.Main(w.tests) }

// output collects what a running program prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// stateFolder can be reached by PostgreSQL's user when we are root: t.TempDir
// keeps its own parent private.
func stateFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o711))
	return filepath.Join(dir, "state")
}

// onFreePorts are arguments that let stacks run side by side.
func onFreePorts(state string, more ...string) []string {
	return append([]string{
		"dev", "--state", state, "--block-time", "50ms", "--gateway-port", "0", "--gateway-admin-port", "0",
		"--signer-port", "0", "--signer-admin-port", "0", "--chain-port", "0", "--chain-ws-port", "0",
	}, more...)
}

// stack is a slipway dev that runs in this process.
type stack struct {
	stdout, stderr output
	stop           func() int // asks it to stop and returns the exit code
}

func start(t *testing.T, args []string) *stack {
	t.Helper()
	s := &stack{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() { done <- run(ctx, args, &s.stdout, &s.stderr) }()
	code, stopped := 0, false
	s.stop = func() int {
		if !stopped {
			stopped = true
			cancel()
			code = <-done
		}
		return code
	}
	t.Cleanup(func() { s.stop() })
	waitForGuide(t, &s.stdout, &s.stderr)
	return s
}

func waitForGuide(t *testing.T, stdout, stderr fmt.Stringer) {
	t.Helper()
	require.Eventually(t, func() bool {
		return strings.Contains(stdout.String(), "TRY") || strings.Contains(stderr.String(), "slipway: ")
	},
		30*time.Second, 10*time.Millisecond)
	require.NotContains(t, stderr.String(), "slipway: ")
}

// urlOf finds where a component of the printed table listens.
func urlOf(t *testing.T, guide, component string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^  ` + component + `\s+(\S+)`).FindStringSubmatch(guide)
	require.Len(t, found, 2, guide)
	return found[1]
}

func call(t *testing.T, url, method, params string) string {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var answer struct {
		Result json.RawMessage
		Error  json.RawMessage
	}
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &answer), string(text))
	require.Empty(t, string(answer.Error))
	return strings.Trim(string(answer.Result), `"`)
}

func blockNumber(t *testing.T, url string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(call(t, url, "eth_blockNumber", "[]"), "0x"), 16, 64)
	require.NoError(t, err)
	return n
}

func requireNothingLeft(t *testing.T, state string) {
	t.Helper()
	require.NoFileExists(t, filepath.Join(state, "postgres", "data", "postmaster.pid"))
}

func TestDev_RunsStopsAndGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	state := stateFolder(t)

	first := start(t, onFreePorts(state))
	guide := first.stdout.String()
	gateway := urlOf(t, guide, "gateway")
	require.Contains(t, guide, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
	require.Contains(t, guide, "Never use it for anything of value")
	for _, component := range []string{"gateway", "chain"} {
		require.Equal(t, fmt.Sprintf("0x%x", 53771311147), call(t, urlOf(t, guide, component), "eth_chainId", "[]"))
	}
	require.Equal(t, "0xd3c21bcecceda1000000", call(t, gateway, "eth_getBalance", `["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266","latest"]`))
	require.Eventually(t, func() bool { return blockNumber(t, gateway) >= 3 }, 10*time.Second, 20*time.Millisecond)
	reached := blockNumber(t, gateway)
	require.Zero(t, first.stop(), first.stderr.String())
	require.Empty(t, first.stderr.String())
	requireNothingLeft(t, state)

	second := start(t, onFreePorts(state))
	require.GreaterOrEqual(t, blockNumber(t, urlOf(t, second.stdout.String(), "gateway")), reached)
	require.Zero(t, second.stop())
}

func TestDev_CurlLinesWorkWhenPasted(t *testing.T) {
	t.Parallel()
	s := start(t, onFreePorts(stateFolder(t)))
	lines := curlLines(t, s.stdout.String())

	require.Contains(t, paste(t, lines[0]), `"number":"0x0"`)
	accepted := paste(t, lines[1])
	require.Regexp(t, `"status":"[a-z]+"`, accepted)
	id := regexp.MustCompile(`"id":"[^"]+"`).FindString(accepted)
	require.NotEmpty(t, id, accepted)
	require.Eventually(t, func() bool {
		status := paste(t, lines[2])
		return strings.Contains(status, id) && strings.Contains(status, `"status":"confirmed"`)
	}, 20*time.Second, 50*time.Millisecond, "the transaction is confirmed")
	requirePaidOnce(t, urlOf(t, s.stdout.String(), "gateway"))
}

// requirePaidOnce checks that the transfer of the printed example has happened
// exactly once: a million ether and 0.001.
func requirePaidOnce(t *testing.T, gateway string) {
	t.Helper()
	balance := call(t, gateway, "eth_getBalance", `["0x70997970C51812dc3A010C7d01b50e0d17dc79C8","latest"]`)
	require.Equal(t, "0xd3c21bd25a6c45c68000", balance)
}

func curlLines(t *testing.T, guide string) []string {
	t.Helper()
	lines := regexp.MustCompile(`(?m)^  curl .*$`).FindAllString(guide, -1)
	require.Len(t, lines, 3)
	return lines
}

func paste(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", line).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func TestDev_OwnNodesInsteadOfTheEmbeddedChain(t *testing.T) {
	t.Parallel()
	node := startChain(t, 4242)

	s := start(t, onFreePorts(stateFolder(t), "--upstream", node.HTTPURL(), "--chain-id", "4242"))

	guide := s.stdout.String()
	require.Contains(t, guide, "up on chain 4242")
	require.Equal(t, "0x1092", call(t, urlOf(t, guide, "gateway"), "eth_chainId", "[]"))
	require.NotContains(t, guide, "go-ethereum in place of Besu")
}

func TestDev_OwnDatabaseAndCacheInsteadOfThePrivateOnes(t *testing.T) {
	t.Parallel()
	url, _ := cachetest.StartRedis(t)
	state, dsn := stateFolder(t), pgtest.DSN(t)

	s := start(t, onFreePorts(state, "--postgres", dsn, "--redis", url))

	guide := s.stdout.String()
	require.NotContains(t, guide, dsn)
	require.NoDirExists(t, filepath.Join(state, "postgres"))
	gateway, signer := urlOf(t, guide, "gateway"), urlOf(t, guide, "signer")
	genesis := call(t, gateway, "eth_getBlockByNumber", `["0x0",false]`)
	require.Eventually(t, func() bool { return cachetest.Keys(t, url) == 1 }, 10*time.Second, 10*time.Millisecond, "the answer is kept in Redis")
	require.Equal(t, genesis, call(t, gateway, "eth_getBlockByNumber", `["0x0",false]`))
	require.Contains(t, call(t, signer, "eth_sendTransaction", `[{"from":"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266","to":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8"}]`), "0x")
	require.Zero(t, s.stop())

	// The queue is in the database that was given.
	pool, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close(context.Background())) }()
	var transactions int
	require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from transactions").Scan(&transactions))
	require.Equal(t, 1, transactions)
}

func startChain(t *testing.T, chainID uint64) *devnet.Chain {
	t.Helper()
	chain, err := devnet.New(devnet.Config{ChainID: chainID, BlockTime: 50 * time.Millisecond})
	require.NoError(t, err)
	runUntilCleanup(t, chain.Run)
	return chain
}

func runUntilCleanup(t *testing.T, component func(context.Context, func()) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- component(ctx, func() { close(ready) }) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	<-ready
}

func TestDev_SaysInOneLineWhatIsWrong(t *testing.T) {
	t.Parallel()
	busy, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = busy.Close() })
	_, busyPort, err := net.SplitHostPort(busy.Addr().String())
	require.NoError(t, err)
	node := startChain(t, 4242)
	write := func(path, text string) func(t *testing.T, state string) {
		return func(t *testing.T, state string) {
			t.Helper()
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(state, path)), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(state, path), []byte(text), 0o600))
		}
	}

	cases := map[string]struct {
		args    []string
		prepare func(t *testing.T, state string)
		want    string
	}{
		"busy port of the gateway": {args: []string{"--gateway-port", busyPort}, want: "port of the gateway: listen on 127.0.0.1:" + busyPort + ": the port is in use by another program"},
		"busy port of the signer":  {args: []string{"--signer-port", busyPort}, want: "port of the signer: "},
		"busy port of the chain":   {args: []string{"--chain-ws-port", busyPort}, want: "port of the chain's WebSocket: "},
		"one port for two":         {args: []string{"--gateway-port", "45123", "--signer-port", "45123"}, want: "port 45123 is given to the gateway and to the signer"},
		"no such port":             {args: []string{"--gateway-port", "70000"}, want: "port of the gateway: 70000 is not between"},
		"wrong chain id":           {args: []string{"--upstream", node.HTTPURL(), "--chain-id", "1"}, want: "has chain id 4242, but 1 is wanted"},
		"unreachable upstream":     {args: []string{"--upstream", "http://user:pass@127.0.0.1:1/key"}, want: "upstream 127.0.0.1:1 is not reachable: eth_chainId: no connection: dial tcp 127.0.0.1:1: connect: connection refused"},
		"broken chain folder":      {prepare: write("chain/chain.json", "{"), want: "state folder of the chain is broken"},
		"folder of another chain":  {prepare: write("chain/chain.json", `{"chainId":7}`), want: "has chain id 7, not 53771311147"},
		"broken database folder":   {prepare: brokenPostgres, want: "is not a PostgreSQL data folder"},
		"state is a file": {prepare: func(t *testing.T, state string) {
			t.Helper()
			require.NoError(t, os.WriteFile(state, nil, 0o600))
		}, want: "state folder: mkdir"},
		"unreachable database":  {args: []string{"--postgres", "postgres://user:pass@127.0.0.1:1/x"}, want: "signer: open database: the database cannot be reached"},
		"malformed database":    {args: []string{"--postgres", "postgres://user:pass@127.0.0.1:x/x"}, want: "the database URL is malformed"},
		"malformed Redis":       {args: []string{"--redis", "127.0.0.1:6379"}, want: "redis: the URL cannot be read; it must be redis:// or rediss://"},
		"no such mnemonic file": {args: []string{"--mnemonic-file", "/nonexistent"}, want: "mnemonic: open /nonexistent"},
		"no block time":         {args: []string{"--block-time", "0s"}, want: "block time: must be more than zero"},
		"unknown flag":          {args: []string{"--gatway-port", "1"}, want: "unknown flag --gatway-port"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := stateFolder(t)
			if c.prepare != nil {
				c.prepare(t, state)
			}
			var stdout, stderr output
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()

			code := run(ctx, onFreePorts(state, c.args...), &stdout, &stderr)

			require.Equal(t, 1, code)
			require.Contains(t, stderr.String(), c.want)
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), stderr.String())
			require.NotContains(t, stderr.String(), "pass")
			requireNothingLeft(t, state)
		})
	}
}

// brokenPostgres prepares a state folder whose data folder has lost its contents.
func brokenPostgres(t *testing.T, state string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(state, "postgres", "data"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(state, "postgres", "password"), []byte("x"), 0o600))
}

func TestDev_RefusesAStateFolderInUse(t *testing.T) {
	t.Parallel()
	state := stateFolder(t)
	start(t, onFreePorts(state))
	var stdout, stderr output

	code := run(t.Context(), onFreePorts(state), &stdout, &stderr)

	require.Equal(t, 1, code)
	require.Contains(t, stderr.String(), "another slipway dev is running on the state folder")
}

// program starts this test binary as slipway.
func program(t *testing.T, args []string) (*exec.Cmd, *output) {
	t.Helper()
	var stdout, stderr output
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	waitForGuide(t, &stdout, &stderr)
	return cmd, &stdout
}

func TestDev_StartsAgainAfterKill(t *testing.T) {
	t.Parallel()
	state := stateFolder(t)
	cmd, stdout := program(t, onFreePorts(state))
	gateway := urlOf(t, stdout.String(), "gateway")
	require.Eventually(t, func() bool { return blockNumber(t, gateway) >= 3 }, 10*time.Second, 20*time.Millisecond)
	reached := blockNumber(t, gateway)
	lines := curlLines(t, stdout.String())
	require.Contains(t, paste(t, lines[1]), `"status"`)

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed

	again := start(t, onFreePorts(state))
	gateway = urlOf(t, again.stdout.String(), "gateway")
	require.GreaterOrEqual(t, blockNumber(t, gateway), reached)
	lines = curlLines(t, again.stdout.String())
	require.Eventually(t, func() bool { return strings.Contains(paste(t, lines[2]), `"status":"confirmed"`) },
		20*time.Second, 50*time.Millisecond, "what was accepted before the kill is confirmed")
	requirePaidOnce(t, gateway)
	require.Zero(t, again.stop())
	requireNothingLeft(t, state)
}

func TestDev_CtrlCStopsInOrderAndTwiceAtOnce(t *testing.T) {
	t.Parallel()
	state := stateFolder(t)
	cmd, _ := program(t, onFreePorts(state))
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, cmd.Wait(), "exit code 0")
	requireNothingLeft(t, state)

	// A request that is never answered keeps the gateway draining, so that the
	// second signal comes while it stops.
	node := startChain(t, 4242)
	front, err := devnet.NewProxy(node.HTTPURL())
	require.NoError(t, err)
	runUntilCleanup(t, front.Run)
	cmd, stdout := program(t, onFreePorts(state, "--upstream", front.URL()))
	gateway := strings.TrimPrefix(urlOf(t, stdout.String(), "gateway"), "http://")
	front.Set(devnet.Hang)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", gateway)
	require.NoError(t, err)
	defer conn.Close()
	body := `{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266","latest"]}`
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.Eventually(t, func() bool {
		probe, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", gateway)
		if err == nil {
			_ = probe.Close()
		}
		return err != nil
	}, 10*time.Second, 5*time.Millisecond, "the gateway stops listening")
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))

	_ = cmd.Wait() // ended by a signal
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.True(t, status.Signaled())
	require.Equal(t, syscall.SIGINT, status.Signal())
}

func TestRun_VersionAndHelp(t *testing.T) {
	t.Parallel()
	var stdout, stderr output

	require.Zero(t, run(t.Context(), []string{"version"}, &stdout, &stderr))
	require.Contains(t, stdout.String(), "slipway dev (")
	require.Zero(t, run(t.Context(), []string{"--help"}, &stdout, &stderr))
	require.Contains(t, stdout.String(), "Run everything on this machine")
	require.Zero(t, run(t.Context(), []string{"dev", "--help"}, &stdout, &stderr))
	require.Contains(t, stdout.String(), "--gateway-admin-port")
	require.Empty(t, stderr.String())
}
