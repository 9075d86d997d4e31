package webhooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/slipwayhq/slipway/internal/buildinfo"
)

// maxReply is how much of an answer is read. Its content has no meaning: reading
// it lets the connection be used again.
const maxReply = 64 << 10

// client makes attempts.
type client struct {
	http *http.Client
}

func newClient(cfg Config) *client {
	dialer := &net.Dialer{Timeout: cfg.Timeout, Control: guard{allowed: cfg.networks()}.control}
	return &client{http: &http.Client{
		Timeout: cfg.Timeout, // to the last byte of the answer
		Transport: &http.Transport{
			DialContext:            dialer.DialContext, // no proxy: it would connect where the guard does not look
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    cfg.Timeout,
			ResponseHeaderTimeout:  cfg.Timeout,
			MaxConnsPerHost:        cfg.Concurrency,
			MaxIdleConns:           cfg.Concurrency,
			MaxIdleConnsPerHost:    cfg.PerWebhook,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: maxReply,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// result is what came of an attempt.
type result struct {
	outcome string // one of the words below
	status  int    // 0 where there was no answer
	// retryAfter is how long the receiver wants to be left alone.
	retryAfter time.Duration
}

// Outcomes of an attempt.
const (
	outcomeDelivered = "delivered"
	outcomeStatus    = "status"   // an answer other than 2xx
	outcomeRedirect  = "redirect" // they are not followed
	outcomeTimeout   = "timeout"
	outcomeRefused   = "connection_refused"
	outcomeAddress   = "address_not_allowed"
	outcomeName      = "name_not_resolved"
	outcomeTLS       = "tls"
	outcomeBroken    = "connection_broken"
	outcomeSecret    = "secret_unreadable"
)

// post makes one attempt.
func (c *client) post(ctx context.Context, j job, secrets []string, now time.Time) result {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, j.url, bytes.NewReader(j.body))
	if err != nil {
		return result{outcome: outcomeBroken}
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "slipway-webhooks/"+buildinfo.Version())
	req.Header.Set(HeaderID, j.id.String())
	req.Header.Set(HeaderTimestamp, timestamp)
	req.Header.Set(HeaderSignature, sign(secrets, timestamp, j.id.String(), j.body))
	req.Header.Set(HeaderEvent, j.eventType)
	req.Header.Set(HeaderAttempt, strconv.Itoa(j.attempt))
	resp, err := c.http.Do(req)
	if err != nil {
		return result{outcome: failureOf(err)}
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply)) // the status says it all
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return result{outcome: outcomeDelivered, status: resp.StatusCode}
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return result{outcome: outcomeRedirect, status: resp.StatusCode}
	default:
		return result{outcome: outcomeStatus, status: resp.StatusCode, retryAfter: readRetryAfter(resp.Header, now)}
	}
}

// failureOf names a failure without telling what lies behind the address.
func failureOf(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.Is(err, errAddress):
		return outcomeAddress
	case errors.As(err, &dns) && !dns.IsTimeout:
		return outcomeName
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return outcomeTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return outcomeRefused
	case errors.As(err, &cert), errors.As(err, &record), errors.As(err, &alert), errors.Is(err, http.ErrSchemeMismatch):
		return outcomeTLS
	default:
		return outcomeBroken
	}
}

// readRetryAfter reads seconds or a date (RFC 9110, section 10.2.3).
func readRetryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
