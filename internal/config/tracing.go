package config

import (
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// TracingFile is the section tracing.
type TracingFile struct {
	// Whether traces are recorded and exported.
	Enabled bool `yaml:"enabled"`
	// Collector: host:port or a URL; never printed. Default: localhost:4317 with grpc, localhost:4318 with http.
	Endpoint secret.String `yaml:"endpoint,omitempty"`
	// Protocol of OTLP: grpc (default) or http.
	Protocol string `yaml:"protocol,omitempty"`
	// Part of the requests that is recorded, from 0 to 1, where the client has not decided it; 1 when left out.
	SampleRate *float64 `yaml:"sampleRate,omitempty"`
	// Whether each call of a batch has a span of its own, and each single call.
	Detailed bool `yaml:"detailed,omitempty"`
	// Name of the gateway in traces; slipway-gateway when left out.
	ServiceName string `yaml:"serviceName,omitempty"`
	// Header fields for the collector; never printed.
	Headers map[string]secret.String `yaml:"headers,omitempty"`
	// How the collector is reached with TLS.
	TLS *TracingTLSFile `yaml:"tls,omitempty"`
	// More facts that every trace tells of the gateway.
	ResourceAttributes map[string]string `yaml:"resourceAttributes,omitempty"`
}

// TracingTLSFile is the section tracing.tls.
type TracingTLSFile struct {
	// Whether the collector is reached with TLS.
	Enabled bool `yaml:"enabled"`
	// File of the gateway's own certificate, PEM, for collectors that ask for one.
	CertFile string `yaml:"certFile,omitempty"`
	// File of that certificate's private key, PEM.
	KeyFile string `yaml:"keyFile,omitempty"`
	// File of the CAs, PEM, that may sign the collector's certificate; left out: those of the system.
	CAFile string `yaml:"caFile,omitempty"`
	// Whether any certificate of the collector is taken.
	InsecureSkipVerify bool `yaml:"insecureSkipVerify,omitempty"`
}

// apply makes the configuration of the traces; nil records none.
func (f *TracingFile) apply(r *report) *telemetry.TracingConfig {
	if f == nil || !f.Enabled {
		return nil
	}
	out := telemetry.DefaultTracing()
	out.ServiceName = "slipway-gateway"
	out.Detailed, out.Headers, out.Attributes = f.Detailed, f.Headers, f.ResourceAttributes
	switch f.Protocol {
	case "", "grpc":
	case "http":
		out.Protocol, out.Endpoint = "http", secret.New("localhost:4318")
	default:
		r.fail("tracing.protocol", "must be grpc or http, is %q", f.Protocol)
	}
	if !f.Endpoint.IsEmpty() {
		out.Endpoint = f.Endpoint
	}
	if f.ServiceName != "" {
		out.ServiceName = f.ServiceName
	}
	if f.SampleRate != nil {
		out.SampleRate = *f.SampleRate
		if out.SampleRate < 0 || out.SampleRate > 1 {
			r.fail("tracing.sampleRate", "must be between 0 and 1")
		}
	}
	if f.TLS != nil && f.TLS.Enabled {
		out.TLS = &telemetry.CollectorTLS{CertFile: f.TLS.CertFile, KeyFile: f.TLS.KeyFile, CAFile: f.TLS.CAFile, InsecureSkipVerify: f.TLS.InsecureSkipVerify}
	}
	return &out
}
