package gatewayapp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/ratelimit"
	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
	"github.com/slipwayhq/slipway/internal/secret"
)

// A batch asks Redis once for the budget of its project, and once for that of its
// node, however many elements it has.
func TestApp_ABatchAsksEachBudgetOnce(t *testing.T) {
	t.Parallel()

	address, _ := redistest.Start(t)
	node := saying(t, "0x1")
	cfg := config(node)
	rules := []ratelimit.Rule{{Methods: methods.AnyMethod(), MaxCount: 50, Period: 24 * time.Hour}}
	cfg.RateLimits.Budgets = []ratelimit.Budget{{ID: "project", Rules: rules}, {ID: "node", Rules: rules}}
	cfg.RateLimits.Redis = redisconn.Config{URL: secret.New("redis://" + address), Timeout: 10 * time.Second}
	cfg.Projects[0].RateLimitBudget = "project"
	cfg.Pool().Upstreams[0].Budget = "node"
	app := start(t, cfg)
	_, _ = post(t, app, "/", "["+balance+"]") // Redis has the script now
	before := redistest.Scripts(t, address)

	status, text := post(t, app, "/", "["+strings.Repeat(balance+",", 39)+balance+"]")
	require.Equal(t, 200, status)
	require.Equal(t, 40, strings.Count(text, `"result":"0x1"`), text)
	require.Equal(t, before+2, redistest.Scripts(t, address))

	_, text = post(t, app, "/", "["+strings.Repeat(balance+",", 39)+balance+"]")
	require.Equal(t, 9, strings.Count(text, `"result":"0x1"`), text)
	require.Equal(t, 31, strings.Count(text, "rate limit exceeded (project, rule 1"))
}
