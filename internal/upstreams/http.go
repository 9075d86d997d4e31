package upstreams

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// asker carries one request body to a node and brings its answer. An error means
// that no complete answer came; errRefused is in its chain when nothing was sent.
// The body must not change after the call. At the deadline it ends with
// errAttemptTimeout in the error's chain; the zero time sets none.
type asker interface {
	roundTrip(ctx context.Context, deadline time.Time, body []byte) (httpReply, error)
}

// transport is an asker with connections of its own. It is the seam behind which
// another HTTP client can stand.
type transport interface {
	asker
	// isAlive says whether a connection is kept that the node has not closed, where
	// that can be told. Opened counts the connections there have been.
	isAlive() (alive, isTold bool)
	opened() uint64
	// close drops the kept connections.
	close()
}

type httpReply struct {
	status int
	body   []byte
	// retryAfter is the header Retry-After as it came.
	retryAfter string
}

// httpTransport speaks HTTP/1.1 or, where TLS negotiates it, HTTP/2, with
// net/http, whose connections have goroutines of their own. It goes
// through the RoundTripper itself: no redirects, no cookies, no proxy.
type httpTransport struct {
	url    *url.URL
	header http.Header // shared by all requests, never changed
	client *http.Transport
	limit  int64
	dials  *atomic.Uint64
}

const (
	dialTimeout = 2 * time.Second
	// idleConnTimeout stays below the idle timeouts of common servers, so that
	// the gateway is the one who closes.
	idleConnTimeout = 50 * time.Second
	tcpKeepAlive    = 15 * time.Second
)

// newTransport chooses the engine, by measurement (docs/adr, "The HTTP engines").
// TLS, and with it HTTP/2, is net/http's. Extra is added to every request.
func newTransport(u *url.URL, connections int, limit int64, extra http.Header) transport {
	if u.Scheme == "http" {
		t := newHTTP1Transport(u, connections, limit)
		t.add(extra)
		return t
	}
	t := newHTTPTransport(u, connections, limit)
	t.add(extra)
	return t
}

// add adds header fields to every request.
func (t *httpTransport) add(header http.Header) {
	for name, values := range header {
		t.header[http.CanonicalHeaderKey(name)] = values
	}
}

func newHTTPTransport(u *url.URL, connections int, limit int64) *httpTransport {
	target := *u
	header := http.Header{
		"Content-Type": {"application/json"},
		"Accept":       {"application/json"},
		"User-Agent":   {"slipway"},
		// A key without values is not sent, but tells net/http that the request
		// may be repeated when a kept connection was closed at that moment.
		// Only requests that are safe to repeat are sent through here more
		// than once by the attempt loop; the others remove the key.
		"X-Idempotency-Key": nil,
	}
	if target.User != nil {
		password, _ := target.User.Password()
		token := base64.StdEncoding.EncodeToString([]byte(target.User.Username() + ":" + password))
		header["Authorization"] = []string{"Basic " + token}
		target.User = nil
	}
	dialer, dials := &net.Dialer{Timeout: dialTimeout, KeepAlive: tcpKeepAlive}, &atomic.Uint64{}
	return &httpTransport{
		url: &target, dials: dials,
		header: header,
		limit:  limit,
		client: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				dials.Add(1)
				return dialer.DialContext(ctx, network, address)
			},
			MaxIdleConns:          connections,
			MaxIdleConnsPerHost:   connections,
			MaxConnsPerHost:       connections,
			IdleConnTimeout:       idleConnTimeout,
			TLSHandshakeTimeout:   5 * time.Second,
			ExpectContinueTimeout: 0,
			DisableCompression:    true,
			ForceAttemptHTTP2:     true,
		},
	}
}

func (t *httpTransport) roundTrip(ctx context.Context, deadline time.Time, body []byte) (httpReply, error) {
	bounded, cancel := until(ctx, deadline)
	defer cancel()
	reply, err := t.exchange(bounded, body)
	return reply, orTimeout(bounded, err)
}

// until bounds ctx with an attempt's deadline.
func until(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, deadline, errAttemptTimeout)
}

// orTimeout says of an error under such a context that it came from its end.
func orTimeout(bounded context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(bounded), errAttemptTimeout) {
		return fmt.Errorf("%w: %w", errAttemptTimeout, err)
	}
	return err
}

func (t *httpTransport) exchange(ctx context.Context, body []byte) (httpReply, error) {
	request := (&http.Request{
		Method:        http.MethodPost,
		URL:           t.url,
		Host:          t.url.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        t.headerFor(ctx),
		ContentLength: int64(len(body)),
		Body:          io.NopCloser(bytes.NewReader(body)),
		GetBody: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(body)), nil
		},
	}).WithContext(ctx)

	response, err := t.client.RoundTrip(request)
	if err != nil {
		if isDialError(err) {
			return httpReply{}, fmt.Errorf("%w: %w", errRefused, err)
		}
		return httpReply{}, err
	}
	defer response.Body.Close()
	text, err := readLimited(response.Body, response.ContentLength, t.limit)
	if err != nil {
		return httpReply{}, fmt.Errorf("read the answer: %w", err)
	}
	return httpReply{status: response.StatusCode, body: text, retryAfter: response.Header.Get("Retry-After")}, nil
}

// onceKey marks the context of a request that must not be repeated.
type onceKey struct{}

// sendOnce forbids the transport to repeat a request on its own.
func sendOnce(ctx context.Context) context.Context {
	return context.WithValue(ctx, onceKey{}, true)
}

// mayRepeat says whether the transport may send a request again on its own.
func mayRepeat(ctx context.Context) bool { return ctx.Value(onceKey{}) == nil }

// headerFor is the shared header, or a copy where a request needs its own: one
// that must not be repeated, or one whose id and trace the node shall see.
func (t *httpTransport) headerFor(ctx context.Context) http.Header {
	isOnce := !mayRepeat(ctx)
	trace, fields := telemetry.TraceFrom(ctx), fieldsFrom(ctx)
	if !isOnce && trace == (telemetry.Trace{}) && len(fields) == 0 {
		return t.header
	}
	header := make(http.Header, len(t.header)+3+len(fields))
	maps.Copy(header, t.header)
	if isOnce {
		delete(header, "X-Idempotency-Key")
	}
	for _, f := range fields {
		if _, isOwn := t.header[f.Name]; !isOwn {
			header[f.Name] = append(header[f.Name], f.Value)
		}
	}
	for _, field := range []struct{ name, value string }{
		{"X-Request-Id", trace.RequestID}, {"Traceparent", trace.Parent}, {"Tracestate", trace.State},
	} {
		if field.value != "" {
			header[field.name] = []string{field.value}
		}
	}
	return header
}

// isAlive cannot be told of net/http's connections.
func (t *httpTransport) isAlive() (alive, isTold bool) { return false, false }

func (t *httpTransport) opened() uint64 { return t.dials.Load() }

// close drops the kept connections.
func (t *httpTransport) close() { t.client.CloseIdleConnections() }

func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// readLimited reads a body of the given length (-1: unknown) up to limit bytes.
func readLimited(r io.Reader, length, limit int64) ([]byte, error) {
	if length > limit {
		return nil, errTooLarge
	}
	if length >= 0 {
		text := make([]byte, length)
		_, err := io.ReadFull(r, text)
		return text, err
	}
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		return nil, errTooLarge
	}
	return text, err
}
