package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestLoadGateway(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/gateway.yaml", environment("NODE_PASSWORD", "hidden"))
	require.NoError(t, err)

	app := got.App
	require.NoError(t, app.Validate())
	require.Equal(t, slog.LevelWarn, got.Logging.Level)
	require.Equal(t, "127.0.0.1:4100", app.Listen)
	require.Equal(t, "127.0.0.1:4101", app.AdminListen)
	require.Equal(t, int64(2<<20), app.Front.MaxBodyBytes)
	require.Equal(t, 3*time.Second, app.WaitBeforeShutdown)
	require.Equal(t, 7*time.Second, app.ReadTimeout)
	require.Equal(t, 8*time.Second, app.Front.AnswerTimeout)
	require.Equal(t, "settlemint", app.Projects[0].ID)
	require.Equal(t, uint64(53771311147), app.Pool().ChainID)
	require.Equal(t, chain.Finality{Mode: chain.Instant, Depth: chain.DefaultDepth}, app.Pool().Finality)
	require.Len(t, app.Pool().Upstreams, 2)
	require.Equal(t, "besu-0", app.Pool().Upstreams[0].ID)
	require.Equal(t, "http://user:hidden@besu-1:8545", app.Pool().Upstreams[1].URL.Reveal())
	require.Equal(t, int64(64<<20), app.Cache.MemoryBytes)
	require.Equal(t, "redis://default:atk@redis:6379/0", app.Cache.Redis.Conn.URL.Reveal())
	require.Equal(t, 150*time.Second, app.Front.RequestTimeout, "what the file leaves out keeps its default")
}

func TestLoadGateway_PagesAndHeaders(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/pages.yaml", environment())

	require.NoError(t, err)
	require.False(t, got.App.Front.Compression)
	require.Equal(t, gateway.ExecutionOff, got.App.Front.ExecutionHeaders)
	want := gateway.DefaultCORS()
	want.AllowedOrigins, want.AllowedMethods, want.MaxAge = []string{"https://*.example.org"}, []string{"POST"}, time.Minute
	require.Equal(t, want, got.App.Projects[0].CORS, "what is left out keeps its default")
}

func TestLoadGateway_SeveralProjects(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/several-projects.yaml", environment())

	require.NoError(t, err)
	require.Len(t, got.App.Projects, 2)
	second := got.App.Projects[1]
	require.Equal(t, "besu", second.Networks[0].Alias)
	nodes := func(n gatewayapp.NetworkConfig) (out []string) {
		for _, u := range n.Pool.Upstreams {
			out = append(out, u.URL.Reveal())
		}
		return out
	}
	require.Equal(t, []string{"http://besu-0:8545", "http://besu-1:8545"}, nodes(second.Networks[0]))
	require.Equal(t, []string{"http://one:8545"}, nodes(second.Networks[1]))
	require.Equal(t, []gateway.HostAlias{{Domain: "*.besu.example.org", Project: "second", Architecture: "evm", Chain: "besu"}}, got.App.Front.Aliases)
	require.Equal(t, gateway.TrustedProxies{Networks: []string{"10.0.0.0/8"}, Headers: []string{"X-Real-IP"}}, got.App.Front.Trusted)
	require.Equal(t, gateway.HealthVerbose, got.App.Front.Health)
}

func TestLoadGateway_NeedsTheFile(t *testing.T) {
	t.Parallel()
	_, err := LoadGateway("testdata/none.yaml", environment())
	require.ErrorContains(t, err, "no such file")
}

func TestLoad_ErrorsDoNotQuoteTheFile(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(path, []byte("projects:\n- id: main\n  upstreams:\n  - endpiont: http://user:hidden@node\n"), 0o600))
	_, err := LoadGateway(path, environment())
	require.ErrorContains(t, err, `:4:5: unknown key "endpiont"; did you mean "endpoint"?`)
	require.NotContains(t, err.Error(), "hidden")
}

func TestByteSize(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]ByteSize{"17": 17, "1KB": 1024, "10 mb": 10 << 20, "2GB": 2 << 30, "5B": 5} {
		var b ByteSize
		require.NoError(t, b.UnmarshalText([]byte(text)))
		require.Equal(t, want, b, text)
	}
	require.Equal(t, "10MB", ByteSize(10<<20).String())
	require.Equal(t, "1025", ByteSize(1025).String())
	for _, text := range []string{"", "-1", "1TB", "9999999999999GB"} {
		var b ByteSize
		require.Error(t, b.UnmarshalText([]byte(text)), text)
	}
}

func TestReference_Gateway(t *testing.T) {
	t.Parallel()

	got, err := Reference(GatewaySections("../.."))
	require.NoError(t, err)
	for _, row := range []string{
		"| `server.httpPort` | number | `4000` | Port to listen on. |",
		"| `server.maxBodySize` | size | `10MB` | Largest request body, in bytes or with a unit (KB, MB). |",
		"| `server.waitAfterShutdown` | duration | `20s` | How long requests in flight may take after that. |",
		"| `projects[].networks[].evm.chainId` | number |  | Chain id every node must show. |",
		"| `projects[].networks[].finality` | text | `auto` |",
		"| `projects[].upstreams[].endpoint` | secret |  | URL of the node's JSON-RPC endpoint; never printed. |",
	} {
		require.Contains(t, got, row)
	}
}

func TestReference_WantsDocComments(t *testing.T) {
	t.Parallel()

	type undocumented struct {
		A int `yaml:"a"`
	}
	_, err := Reference([]Section{{Title: "X", Root: "../..", Defaults: undocumented{}}})
	require.EqualError(t, err, "reference of X: undocumented.A has no doc comment")
}
