package gatewayapp_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache/cachetest"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/ratelimit"
	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// limited is a gateway with budgets of 3 requests an hour.
func limited(nodes ...*upstreamtest.Node) gatewayapp.Config {
	cfg := config(nodes...)
	rule := ratelimit.Rule{Methods: methods.AnyMethod(), MaxCount: 3, Period: time.Hour}
	cfg.RateLimits.Budgets = []ratelimit.Budget{{ID: "three", Rules: []ratelimit.Rule{rule}}}
	return cfg
}

func TestApp_BudgetOfAProject(t *testing.T) {
	t.Parallel()

	cfg := limited(saying(t, "0x1"))
	cfg.Projects[0].RateLimitBudget = "three"
	app := start(t, cfg)

	_, text := post(t, app, "/", "["+balance+","+balance+"]")
	require.Equal(t, 2, strings.Count(text, `"0x1"`), text)
	status, text := post(t, app, "/", balance)
	require.Equal(t, 200, status, text)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+app.Addr(), strings.NewReader(balance))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request) //nolint:forbidigo // a test's client
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, 429, response.StatusCode)
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, seconds)
	_, text = post(t, app, "/", "["+balance+"]")
	require.Contains(t, text, `"code":-32005,"message":"rate limit exceeded (three, rule 1`)
	_, metrics := get(t, "http://"+app.AdminAddr()+"/metrics")
	require.Contains(t, metrics, `outcome="rate_limited",project="main",source="none"} 2`)

	require.Contains(t, metrics, `erpc_rate_limiter_budget_max_count{budget="three",method="*",period="1h0m0s",scope=""} 3`)
	require.Contains(t, metrics, `erpc_upstream_block_head_lag{network="evm:31337",project="main",upstream="127.0.0.1:`)
	require.Contains(t, metrics, `",vendor="other"} 0`)
	require.Contains(t, metrics, "erpc_upstream_cordoned{")

	require.NoError(t, app.Reload(t.Context(), cfg))
	status, _ = post(t, app, "/", balance)
	require.Equal(t, 429, status, "what is used up stays used up")
}

func TestApp_BudgetOfANode(t *testing.T) {
	t.Parallel()

	first, second := saying(t, "0x1"), saying(t, "0x2")
	cfg := limited(first, second)
	cfg.Pool().Upstreams[0].Budget = "three"
	app := start(t, cfg)
	for range 5 {
		status, text := post(t, app, "/", balance)
		require.Equal(t, 200, status, text)
	}
	require.Equal(t, 3, first.Calls("eth_getBalance"))
	require.Equal(t, 2, second.Calls("eth_getBalance"))
}

// A cordon holds for all gateways that share their state, and when they start
// anew.
func TestAdmin_CordonsAreSharedAndSurvive(t *testing.T) {
	t.Parallel()

	redis, _ := cachetest.StartRedis(t)
	first, second := saying(t, "0x1"), saying(t, "0x2")
	cfg := operated(config(first, second))
	cfg.Pool().Upstreams[0].ID, cfg.Pool().Upstreams[1].ID = "first", "second"
	cfg.SharedState.Cluster = "test"
	cfg.SharedState.Redis = redisconn.Config{URL: secret.New(redis), Timeout: 5 * time.Second}
	one, two := start(t, cfg), start(t, cfg)
	answers := func(app *gatewayapp.App, want string) {
		t.Helper()
		require.Eventually(t, func() bool {
			_, text := post(t, app, "/", balance)
			return strings.Contains(text, want)
		}, 10*time.Second, 10*time.Millisecond)
	}
	answers(one, "0x1")

	_, text := operate(t, one.Addr(), `{"id":1,"method":"erpc_cordonUpstream","params":[{"upstream":"first","reason":"its disk is full"}]}`)
	require.Contains(t, text, `{"upstreams":["main/evm:31337/first"],"reach":"shared"}`)
	answers(one, "0x2")
	answers(two, "0x2")
	three := start(t, cfg)
	answers(three, "0x2")
	_, text = operate(t, three.Addr(), `{"id":1,"method":"erpc_listCordoned"}`)
	require.Contains(t, text, `"reason":"its disk is full"`)
	require.NoError(t, three.Reload(t.Context(), func() gatewayapp.Config {
		changed := cfg
		changed.Projects = config(first, second).Projects
		changed.Pool().Upstreams[0].ID, changed.Pool().Upstreams[1].ID = "first", "other"
		return changed
	}()))
	answers(three, "0x2")

	_, text = operate(t, two.Addr(), `{"id":1,"method":"erpc_uncordonUpstream","params":{"upstream":"first"}}`)
	require.Contains(t, text, `"reach":"shared"`)
	answers(one, "0x1")
	for body, want := range map[string]string{
		`{"id":1,"method":"erpc_cordonUpstream"}`:                                              "which node?",
		`{"id":1,"method":"erpc_cordonUpstream","params":[{"upstream":"x"}]}`:                  "there is no such upstream",
		`{"id":1,"method":"erpc_cordonUpstream","params":[{"upstream":"first","method":"|"}]}`: "method: ",
	} {
		_, text = operate(t, one.Addr(), body)
		require.Contains(t, text, want)
	}
}

// A purge reaches the memory of every gateway that shares its state, and only
// what it means.
func TestAdmin_PurgesReachOtherMemories(t *testing.T) {
	t.Parallel()

	redis, _ := cachetest.StartRedis(t)
	node := saying(t, "0x1")
	node.Answer("eth_getCode", upstreamtest.Result(`"0x6080"`))
	cfg := operated(config(node))
	cfg.SharedState.Cluster = "test"
	cfg.SharedState.Redis = redisconn.Config{URL: secret.New(redis), Timeout: 5 * time.Second}
	one, two := start(t, cfg), start(t, cfg)
	final := strings.Replace(balance, "latest", "0x1", 1)
	code := strings.Replace(final, "eth_getBalance", "eth_getCode", 1)
	for _, app := range []*gatewayapp.App{one, two} {
		for range 2 {
			_, _ = post(t, app, "/", final)
			_, _ = post(t, app, "/", code)
		}
	}
	require.Equal(t, 2, node.Calls("eth_getBalance"), "each has it in its memory")

	_, text := operate(t, one.Addr(), `{"id":1,"method":"slipway_purgeCache","params":[{"method":"eth_getBalance"}]}`)
	require.Contains(t, text, `{"purged":1,"reach":"shared"}`)
	require.Eventually(t, func() bool {
		_, text := post(t, two, "/", final)
		return strings.Contains(text, "0x1") && node.Calls("eth_getBalance") == 3
	}, 10*time.Second, 20*time.Millisecond)
	_, _ = post(t, two, "/", code)
	require.Equal(t, 2, node.Calls("eth_getCode"), "what was not meant stays")
}

func TestAdmin_PurgesTheCache(t *testing.T) {
	t.Parallel()

	node := saying(t, "0x1")
	app := start(t, operated(config(node)))
	final := strings.Replace(balance, "latest", "0x1", 1)
	for range 2 {
		_, text := post(t, app, "/", final)
		require.Contains(t, text, "0x1")
	}
	require.Equal(t, 1, node.Calls("eth_getBalance"))
	_, text := operate(t, app.Addr(), `{"id":1,"method":"slipway_purgeCache","params":[{"method":"eth_call"}]}`)
	require.Contains(t, text, `{"purged":0,"reach":"in_memory"}`)
	_, text = operate(t, app.Addr(), `{"id":1,"method":"slipway_purgeCache"}`)
	require.Contains(t, text, `{"purged":1,"reach":"in_memory"}`)
	_, _ = post(t, app, "/", final)
	require.Equal(t, 2, node.Calls("eth_getBalance"))
}

// A gateway whose own nodes are behind does not show an older chain than others.
func TestApp_HeadsAreShared(t *testing.T) {
	t.Parallel()

	redis, _ := cachetest.StartRedis(t)
	ahead, behind := upstreamtest.New(t), upstreamtest.New(t)
	ahead.SetHead(105)
	cfg := func(n *upstreamtest.Node) gatewayapp.Config {
		c := config(n)
		c.SharedState.Cluster = "test"
		c.SharedState.Redis = redisconn.Config{URL: secret.New(redis), Timeout: 5 * time.Second}
		return c
	}
	one, two := start(t, cfg(ahead)), start(t, cfg(behind))
	_, text := post(t, one, "/", `{"id":1,"method":"eth_blockNumber"}`)
	require.Contains(t, text, "0x69")
	require.Eventually(t, func() bool {
		_, text = post(t, two, "/", `{"id":1,"method":"eth_blockNumber"}`)
		return strings.Contains(text, "0x69")
	}, 10*time.Second, 20*time.Millisecond)
}
