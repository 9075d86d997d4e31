package config

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

func TestLoadGateway_Tracing(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/tracing.yaml", environment())

	require.NoError(t, err)
	require.Equal(t, &telemetry.TracingConfig{
		Endpoint: secret.New("http://collector:4318"), Protocol: "http", Detailed: true, ServiceName: "edge",
		Headers:    map[string]secret.String{"authorization": secret.New("Bearer hidden"), "x-number": secret.New("7")},
		TLS:        &telemetry.CollectorTLS{CertFile: "a", KeyFile: "b", CAFile: "c", InsecureSkipVerify: true},
		Attributes: map[string]string{"deployment.environment": "test"},
	}, got.App.Tracing, "a sample rate of 0 records nothing of its own")
	text, err := got.YAML()
	require.NoError(t, err)
	require.NotContains(t, string(text), "hidden")
	require.Contains(t, string(text), "serviceName: edge")

	left := (&TracingFile{Enabled: true}).apply(newReport("file"))
	require.Equal(t, "localhost:4317", left.Endpoint.Reveal())
	require.InDelta(t, 1, left.SampleRate, 0)
	require.Nil(t, (&TracingFile{}).apply(newReport("file")))
	require.Nil(t, (*TracingFile)(nil).apply(newReport("file")))
}
