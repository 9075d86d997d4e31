package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/ratelimit"
	"github.com/slipwayhq/slipway/internal/secret"
)

func TestLoadGateway_Access(t *testing.T) {
	t.Parallel()
	got, err := LoadGateway("testdata/good/access.yaml", environment())
	require.NoError(t, err)
	require.Len(t, got.App.Projects, 2)
	main := got.App.Projects[0]

	require.Equal(t, []string{"eth_*", "net_version"}, main.AllowMethods)
	require.Equal(t, []string{"eth_sign"}, main.IgnoreMethods)
	require.Equal(t, "everybody", main.RateLimitBudget)
	require.Equal(t, "each", main.Networks[0].RateLimitBudget)
	require.Equal(t, []string{"everybody", "each"}, main.Auth.Budgets)
	require.Equal(t, []auth.Strategy{
		{Kind: auth.KindSecret, Budget: "each", AllowMethods: []string{"eth_call"}, Secret: &auth.Secret{ID: "app", Value: secret.New("hidden")}},
		{Kind: auth.KindSecret, Budget: "everybody", Secret: &auth.Secret{
			ID: "digest", Value: secret.New("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
		}},
		{Kind: auth.KindJWT, Budget: "each", JWT: &auth.JWT{
			Issuers: []string{"https://idp.example.org"}, Audiences: []string{"rpc"}, Algorithms: []string{"ES256", "RS256"}, RequiredClaims: []string{"exp"},
			ClaimMatchers: map[string][]string{"role": {"reader", "writer"}, "team": {"core"}}, Keys: map[string]secret.String{},
			JWKSURL: secret.New("https://idp.example.org/keys?code=hidden"), JWKSRefresh: time.Minute, BudgetClaim: "tier",
		}},
		{Kind: auth.KindNetwork, Network: &auth.Network{
			IPs:   []netip.Addr{netip.MustParseAddr("192.0.2.1")},
			CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}, AllowLocalhost: true, IPAsUser: true,
		}},
		{Kind: auth.KindSIWE, SIWE: &auth.SIWE{Domains: []string{"app.example.org"}}},
	}, main.Auth.Strategies)
	require.Empty(t, got.App.Projects[1].Auth.Strategies)
}

func TestLoadGateway_RateLimitsAndSharedState(t *testing.T) {
	t.Parallel()
	got, err := LoadGateway("testdata/good/access.yaml", environment())
	require.NoError(t, err)
	all, err := methods.ParsePattern("*")
	require.NoError(t, err)
	traces, err := methods.ParsePattern("trace_*")
	require.NoError(t, err)

	limits := got.App.RateLimits
	require.Equal(t, []ratelimit.Budget{
		{ID: "everybody", Rules: []ratelimit.Rule{{Methods: all, MaxCount: 1000, Period: time.Second}, {Methods: traces, Period: 10 * time.Second}}},
		{ID: "each", Rules: []ratelimit.Rule{{Methods: all, MaxCount: 20, Period: time.Minute, PerIP: true, PerUser: true, PerNetwork: true}}},
	}, limits.Budgets)
	require.Equal(t, "redis://user:hidden@redis:6379/1", limits.Redis.URL.Reveal())
	require.Equal(t, 50*time.Millisecond, limits.Redis.Timeout)
	require.Equal(t, "slipway:ratelimit:", limits.Redis.KeyPrefix)

	state := got.App.SharedState
	require.Equal(t, "blue", state.Cluster)
	require.Equal(t, "redis://user:hidden@redis:6379/1", state.Redis.URL.Reveal())
	require.Equal(t, time.Second, state.Redis.Timeout)
	require.Equal(t, "slipway:state:", state.Redis.KeyPrefix)
}

func TestLoadGateway_KeysFromFiles(t *testing.T) {
	t.Parallel()
	const key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n" // of RFC 8410
	name := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(name, []byte(key), 0o600))
	text := "projects:\n- id: main\n  auth:\n    strategies:\n    - {type: jwt, jwt: {verificationKeys: {k: \"file://" + name + "\"}}}\n" +
		"  networks: [{evm: {chainId: 7}}]\n  upstreams: [{endpoint: http://one}]\n"

	got, err := parseGateway("file", []byte(text), environment())

	require.NoError(t, err)
	require.Equal(t, key, got.App.Projects[0].Auth.Strategies[0].JWT.Keys["k"].Reveal())
	printed, err := got.YAML()
	require.NoError(t, err)
	require.NotContains(t, string(printed), "BEGIN")
}
