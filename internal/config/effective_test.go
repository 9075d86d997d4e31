package config

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
)

// What is printed says the same again when it is read; only the secrets are
// missing.
func TestGateway_YAML_SaysTheSame(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/good/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			cfg, err := LoadGateway(path, environment("NODE_PASSWORD", "hidden"))
			require.NoError(t, err)
			first, err := cfg.YAML()
			require.NoError(t, err)
			require.NotContains(t, string(first), "hidden")
			require.NotContains(t, string(first), "default:atk")

			again, err := parseGateway(path, withSecrets(first), environment())
			require.NoError(t, err, string(first))

			second, err := again.YAML()
			require.NoError(t, err)
			require.Equal(t, string(first), string(second))
			require.Equal(t, withoutSecrets(cfg.App), withoutSecrets(again.App))
		})
	}
}

func withSecrets(text []byte) []byte {
	text = regexp.MustCompile(`endpoint: .*`).ReplaceAll(text, []byte("endpoint: http://node"))
	text = regexp.MustCompile(`verificationJwksUrl: .*`).ReplaceAll(text, []byte("verificationJwksUrl: https://idp"))
	text = regexp.MustCompile(`websocket: .*`).ReplaceAll(text, []byte("websocket: ws://node"))
	return regexp.MustCompile(`uri: \S*redacted\S*`).ReplaceAll(text, []byte("uri: redis://host:1/0"))
}

func TestGateway_YAML_ShowsDefaults(t *testing.T) {
	t.Parallel()

	text, err := DefaultGateway().YAML()

	require.NoError(t, err)
	for _, line := range []string{
		"logLevel: info\n", "  httpPort: 4000\n", "  maxBodySize: 10MB\n", "  maxTimeout: 2m30s\n", "  port: 4001\n",
		"finality: auto\n", "finalityDepth: 64\n", "maxTotalSize: 128MB\n",
	} {
		require.Contains(t, string(text), line)
	}
}

func withoutSecrets(app gatewayapp.Config) gatewayapp.Config {
	app.Cache.Redis.Conn.URL, app.Cache.Redis.Conn.Password = secret.String{}, secret.String{}
	app.RateLimits.Redis.URL, app.SharedState.Redis.URL = secret.String{}, secret.String{}
	if app.Tracing != nil {
		tracing := *app.Tracing
		tracing.Endpoint, tracing.Headers = secret.String{}, nil
		app.Tracing = &tracing
	}
	strategies := app.Admin.Auth.Strategies
	for _, p := range app.Projects {
		strategies = append(strategies, p.Auth.Strategies...)
		for _, s := range strategies {
			if s.Secret != nil {
				s.Secret.Value = secret.String{}
			}
			if s.JWT != nil {
				s.JWT.JWKSURL = secret.String{}
			}
		}
		for _, n := range p.Networks {
			for i := range n.Pool.Upstreams {
				n.Pool.Upstreams[i].URL, n.Pool.Upstreams[i].WebSocketURL = secret.String{}, secret.String{}
				for name := range n.Pool.Upstreams[i].Header {
					n.Pool.Upstreams[i].Header[name] = secret.String{}
				}
			}
		}
	}
	return app
}
