package gatewayapp_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// saying is a node that answers a balance.
func saying(t *testing.T, balance string) *upstreamtest.Node {
	t.Helper()
	n := upstreamtest.New(t)
	n.Answer("eth_getBalance", upstreamtest.Result(`"`+balance+`"`))
	return n
}

func TestApp_ProjectsWithTheSameNodeHaveTheirOwnSeries(t *testing.T) {
	t.Parallel()

	node := saying(t, "0x1")
	cfg := config(node)
	other := config(node).Projects[0]
	other.ID = "other"
	cfg.Projects = append(cfg.Projects, other)
	cfg.Projects[0].Networks[0].Pool.Upstreams[0].ID = "besu"
	cfg.Projects[1].Networks[0].Pool.Upstreams[0].ID = "besu"
	app := start(t, cfg)

	for path, times := range map[string]int{"/main": 2, "/other": 3} {
		for range times {
			status, text := post(t, app, path, balance)
			require.Equal(t, 200, status, text)
		}
	}

	_, text := get(t, "http://"+app.AdminAddr()+"/metrics")
	for _, want := range []string{
		`gateway_upstream_attempts_total{attempt="1",network="evm:31337",outcome="ok",project="main",upstream="besu"} 2`,
		`gateway_upstream_attempts_total{attempt="1",network="evm:31337",outcome="ok",project="other",upstream="besu"} 3`,
		`erpc_upstream_request_total{attempt="1",network="evm:31337",project="other",upstream="besu",vendor="other"} 3`,
		`erpc_upstream_latest_block_number{network="evm:31337",project="main",upstream="besu",vendor="other"} 100`,
	} {
		require.Contains(t, text, want)
	}
}

func TestApp_SeveralProjectsAndNetworks(t *testing.T) {
	t.Parallel()

	one, two, three := saying(t, "0x1"), saying(t, "0x2"), saying(t, "0x3")
	two.Answer("eth_chainId", upstreamtest.Result(`"0x7"`))
	cfg := config(one)
	cfg.Projects[0].Networks[0].Alias = "first"
	seven := config(two).Projects[0].Networks[0]
	seven.Pool.ChainID = 7
	cfg.Projects[0].Networks = append(cfg.Projects[0].Networks, seven)
	other := config(three).Projects[0]
	other.ID = "other"
	cfg.Projects = append(cfg.Projects, other)
	cfg.Front.Aliases = []gateway.HostAlias{{Domain: "other.example.org", Project: "other"}}
	app := start(t, cfg)

	for path, want := range map[string]string{"/main/evm/31337": "0x1", "/main/first": "0x1", "/main/evm/7": "0x2", "/other": "0x3"} {
		status, text := post(t, app, path, balance)
		require.Equal(t, 200, status, text)
		require.Contains(t, text, want, path)
	}
	status, text := post(t, app, "/main", balance)
	require.Equal(t, 404, status)
	require.Contains(t, text, "which network? this project serves /main/evm/31337, /main/evm/7")
	_, text = post(t, app, "/main", strings.Replace(balance, `{`, `{"networkId":"evm:7",`, 1))
	require.Contains(t, text, "0x2")

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+app.Addr(), strings.NewReader(balance))
	require.NoError(t, err)
	request.Host = "other.example.org:4000"
	_, text = do(t, request)
	require.Contains(t, text, "0x3")
	_, text = get(t, "http://"+app.AdminAddr()+"/metrics")
	require.Contains(t, text, `gateway_requests_total{method="eth_getBalance",network="evm:31337",outcome="ok",project="other",source="upstream"} 2`)

	two.Stop()
	require.Eventually(t, func() bool {
		status, text = get(t, "http://"+app.Addr()+"/main/evm/7")
		return status == 503
	}, 5*time.Second, 20*time.Millisecond, text)
	status, _ = get(t, "http://"+app.Addr()+"/other")
	require.Equal(t, 200, status)
	status, _ = get(t, "http://"+app.AdminAddr()+"/readyz")
	require.Equal(t, 200, status, "the other networks are served")
}

// A reload under load: every request is answered, before by the old node, after
// by the new one.
func TestApp_ReloadDropsNothing(t *testing.T) {
	t.Parallel()

	before, after := saying(t, "0x1"), saying(t, "0x2")
	app := start(t, config(before))
	var clients sync.WaitGroup
	var stopped atomic.Bool
	var answered, wrong atomic.Int64
	for range 4 {
		clients.Go(func() {
			for !stopped.Load() {
				status, text := post(t, app, "/", balance)
				answered.Add(1)
				if status != 200 || !strings.Contains(text, "result") {
					wrong.Add(1)
				}
			}
		})
	}
	require.Eventually(t, func() bool { return answered.Load() > 50 }, 10*time.Second, time.Millisecond)

	require.NoError(t, app.Reload(t.Context(), config(after)))
	_, text := post(t, app, "/", balance)
	require.Contains(t, text, `"0x2"`)
	seen := answered.Load()
	require.Eventually(t, func() bool { return answered.Load() > seen+50 }, 10*time.Second, time.Millisecond)
	stopped.Store(true)
	clients.Wait()

	require.Zero(t, wrong.Load())
}

func TestApp_ABadConfigurationKeepsTheOld(t *testing.T) {
	t.Parallel()

	node, foreign := saying(t, "0x1"), saying(t, "0x2")
	foreign.Answer("eth_chainId", upstreamtest.Result(`"0x7"`))
	cfg := config(node)
	app := start(t, cfg)

	require.ErrorContains(t, app.Reload(t.Context(), config()), "at least one is needed")
	require.ErrorContains(t, app.Reload(t.Context(), config(foreign)), "every upstream shows chain id 7")
	_, text := post(t, app, "/", balance)
	require.Contains(t, text, `"0x1"`)

	moved := config(node)
	moved.Listen = "127.0.0.1:1"
	require.Equal(t, []string{"listen address"}, app.NeedsRestart(moved))
	require.Empty(t, app.NeedsRestart(cfg))
}

// What was learnt of the nodes survives a reload that changes something else.
func TestApp_ReloadKeepsUnchangedNetworks(t *testing.T) {
	t.Parallel()

	hanging, good := saying(t, "0x1"), saying(t, "0x2")
	cfg := config(hanging, good)
	app := start(t, cfg)
	hanging.SetFault("", upstreamtest.Hang)
	require.Eventually(t, func() bool {
		asked := hanging.Calls("eth_getBalance")
		_, _ = post(t, app, "/", balance)
		return hanging.Calls("eth_getBalance") == asked
	}, 5*time.Second, time.Millisecond)

	again := config(hanging, good)
	again.Front.ExecutionHeaders = gateway.ExecutionOff
	require.NoError(t, app.Reload(t.Context(), again))

	asked := hanging.Calls("eth_getBalance")
	_, text := post(t, app, "/", balance)
	require.Contains(t, text, `"0x2"`)
	require.Equal(t, asked, hanging.Calls("eth_getBalance"), "the hanging node is still known")
}
