package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/credentials"

	"github.com/slipwayhq/slipway/internal/buildinfo"
	"github.com/slipwayhq/slipway/internal/secret"
)

// TracingConfig says where traces go.
type TracingConfig struct {
	// Endpoint of the collector: host:port, or a URL. It may carry a key and is
	// never printed.
	Endpoint secret.String
	// Protocol of OTLP: "grpc" or "http".
	Protocol string
	// SampleRate is which part of the requests is recorded, from 0 to 1, where the
	// client has not decided it.
	SampleRate float64
	// Detailed gives each call of a request a span of its own.
	Detailed bool
	// ServiceName is the program's name in traces.
	ServiceName string
	// Attributes are told of the program, besides its name and version.
	Attributes map[string]string
	// Headers are sent to the collector. Their values may be secret.
	Headers map[string]secret.String
	// TLS is how the collector is reached; nil without TLS.
	TLS *CollectorTLS
}

// CollectorTLS is how a collector is reached with TLS. Files are PEM and read
// once, at the start.
type CollectorTLS struct {
	// CertFile and KeyFile are our own certificate; both empty show none.
	CertFile, KeyFile string
	// CAFile holds who may sign the collector's certificate; empty trusts the system's.
	CAFile string
	// InsecureSkipVerify takes every certificate.
	InsecureSkipVerify bool
}

// DefaultTracing is the configuration that needs no change where a collector
// runs on the same host.
func DefaultTracing() TracingConfig {
	return TracingConfig{Endpoint: secret.New("localhost:4317"), Protocol: "grpc", SampleRate: 1}
}

// Validate reports everything that is wrong with the single settings.
func (c TracingConfig) Validate() error {
	var errs []error
	if c.Endpoint.IsEmpty() {
		errs = append(errs, errors.New("tracing endpoint: is needed"))
	}
	if c.Protocol != "grpc" && c.Protocol != "http" {
		errs = append(errs, errors.New("tracing protocol: must be grpc or http"))
	}
	if !(c.SampleRate >= 0 && c.SampleRate <= 1) {
		errs = append(errs, errors.New("tracing sample rate: must be between 0 and 1"))
	}
	return errors.Join(errs...)
}

// Bounds of the export. What does not fit is dropped: a collector that does not
// answer must not be felt.
const (
	spanQueue     = 4096
	spanBatch     = 512
	exportTimeout = 5 * time.Second
	flushTimeout  = 5 * time.Second
	maxAttribute  = 256 // bytes of a text, which may come from a client
)

// Tracer records traces and sends them to a collector while Run runs. A nil
// Tracer records nothing.
type Tracer struct {
	cfg  TracingConfig
	log  *slog.Logger
	made atomic.Pointer[madeTracer]
}

type madeTracer struct{ tracer trace.Tracer }

// NewTracer makes a tracer. It opens nothing.
func NewTracer(cfg TracingConfig, log *slog.Logger) *Tracer { return &Tracer{cfg: cfg, log: log} }

// Run exports what is recorded until ctx ends, and then what is left, a bounded
// time. It is ready whether the collector is there or not. It implements
// lifecycle.Run.
func (t *Tracer) Run(ctx context.Context, ready func()) error {
	exporter, err := t.exporter(context.WithoutCancel(ctx))
	if err != nil {
		return withoutURL(err)
	}
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = maxAttribute
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&quietExporter{SpanExporter: exporter, log: t.log},
			sdktrace.WithMaxQueueSize(spanQueue), sdktrace.WithMaxExportBatchSize(spanBatch), sdktrace.WithExportTimeout(exportTimeout)),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(t.cfg.SampleRate))),
		sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithResource(resource.NewSchemaless(t.attributes()...)),
	)
	t.made.Store(&madeTracer{provider.Tracer("github.com/slipwayhq/slipway")})
	ready()
	<-ctx.Done()
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := provider.Shutdown(flush); err != nil {
		t.log.WarnContext(ctx, "the last traces are lost", slog.Any("err", withoutURL(err)))
	}
	return nil
}

func (t *Tracer) attributes() []attribute.KeyValue {
	out := []attribute.KeyValue{attribute.String("service.name", t.cfg.ServiceName), attribute.String("service.version", buildinfo.Version())}
	for key, value := range t.cfg.Attributes {
		out = append(out, attribute.String(key, value))
	}
	return out
}

func (t *Tracer) exporter(ctx context.Context) (*otlptrace.Exporter, error) {
	settings, err := t.cfg.TLS.client()
	if err != nil {
		return nil, err
	}
	headers := make(map[string]string, len(t.cfg.Headers))
	for name, value := range t.cfg.Headers {
		headers[name] = value.Reveal()
	}
	endpoint := strings.TrimSuffix(t.cfg.Endpoint.Reveal(), "/")
	if !strings.Contains(endpoint, "://") {
		endpoint = map[bool]string{false: "http://", true: "https://"}[settings != nil] + endpoint
	}
	if t.cfg.Protocol == "http" {
		if _, path, _ := strings.Cut(endpoint, "://"); !strings.Contains(path, "/") {
			endpoint += "/v1/traces" // the path of OTLP/HTTP
		}
		options := []otlptracehttp.Option{
			otlptracehttp.WithEndpointURL(endpoint), otlptracehttp.WithHeaders(headers), otlptracehttp.WithTimeout(exportTimeout),
			otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: time.Second, MaxElapsedTime: exportTimeout}),
		}
		if settings != nil {
			options = append(options, otlptracehttp.WithTLSClientConfig(settings))
		}
		return otlptracehttp.New(ctx, options...)
	}
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpointURL(endpoint), otlptracegrpc.WithHeaders(headers), otlptracegrpc.WithTimeout(exportTimeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: time.Second, MaxElapsedTime: exportTimeout}),
	}
	if settings != nil {
		options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(settings)))
	}
	return otlptracegrpc.New(ctx, options...)
}

// client makes the settings of a client; nil stays nil.
func (c *CollectorTLS) client() (*tls.Config, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // no TLS is an answer
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.InsecureSkipVerify} //nolint:gosec // the operator's own choice
	if c.CertFile != "" || c.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, err
		}
		out.Certificates = []tls.Certificate{pair}
	}
	if c.CAFile == "" {
		return out, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, err
	}
	out.RootCAs = x509.NewCertPool()
	if !out.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("CA %s: holds no certificate", c.CAFile)
	}
	return out, nil
}

// quietExporter logs that an export failed, instead of telling it to the
// process-wide handler of the library: once until one succeeds again.
type quietExporter struct {
	sdktrace.SpanExporter
	log    *slog.Logger
	isSaid atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter.
func (e *quietExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err == nil:
		e.isSaid.Store(false)
	case !e.isSaid.Swap(true):
		e.log.WarnContext(ctx, "traces cannot be exported and are dropped", slog.Any("err", withoutURL(err)))
	}
	return nil
}

// withoutURL is what went wrong with a URL, without the URL.
func withoutURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
