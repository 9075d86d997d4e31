package upstreams

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// http1Transport speaks HTTP/1.1 without TLS. A request is written and its
// answer read in the caller's goroutine, which is what makes it cheap; when ctx
// ends, the connection is closed and the caller returns at once.
type http1Transport struct {
	head  []byte          // the request line and the fields that all requests share
	own   map[string]bool // names of the fields in it, in canonical form
	conns *http1Conns
	limit int64
	// meet is asked before the first request over a new connection; it may ask the
	// node over that connection. Nil asks nobody.
	meet func(ctx context.Context, over asker) error
	// isOneShot says that the node ends connections after one answer, so that
	// nothing can be asked before.
	isOneShot atomic.Bool
}

func newHTTP1Transport(u *url.URL, connections int, limit int64) *http1Transport {
	head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json\r\nUser-Agent: slipway\r\n", u.RequestURI(), u.Host)
	own := map[string]bool{"Host": true, "Content-Type": true, "Accept": true, "User-Agent": true}
	if u.User != nil {
		password, _ := u.User.Password()
		head = append(head, "Authorization: Basic "...)
		head = base64.StdEncoding.AppendEncode(head, []byte(u.User.Username()+":"+password))
		head = append(head, "\r\n"...)
		own["Authorization"] = true
	}
	return &http1Transport{head: head, own: own, conns: newHTTP1Conns(hostPort(u), connections, idleConnTimeout), limit: limit}
}

// add adds header fields to every request.
func (t *http1Transport) add(header http.Header) {
	for name, values := range header {
		t.own[http.CanonicalHeaderKey(name)] = true
		for _, value := range values {
			t.head = append(t.head, name+": "+value+"\r\n"...)
		}
	}
}

func (t *http1Transport) roundTrip(ctx context.Context, deadline time.Time, body []byte) (httpReply, error) {
	reply, err := t.ask(ctx, deadline, body)
	if err != nil && isPast(deadline) {
		err = fmt.Errorf("%w: %w", errAttemptTimeout, err)
	}
	return reply, err
}

func isPast(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

// ask asks once, or twice where the first time seems to have reached nobody.
func (t *http1Transport) ask(ctx context.Context, deadline time.Time, body []byte) (httpReply, error) {
	conn, err := t.conns.take(ctx, deadline)
	if err != nil {
		return httpReply{}, err
	}
	reply, err := t.exchange(ctx, conn, body)
	if errors.Is(err, errNoMore) && !t.isOneShot.Swap(true) {
		if conn, err = t.conns.takeNew(ctx, deadline); err != nil {
			return httpReply{}, err
		}
		return t.exchange(ctx, conn, body)
	}
	if !errors.Is(err, errClosedBefore) || !conn.isKept || !mayRepeat(ctx) || ctx.Err() != nil || isPast(deadline) {
		return reply, err
	}
	// The node closed a kept connection before it knew of the request, or so it
	// looks. Who may be asked twice is asked again, over a new connection.
	if conn, err = t.conns.takeNew(ctx, deadline); err != nil {
		return httpReply{}, err
	}
	return t.exchange(ctx, conn, body)
}

// exchange sends one request and reads its answer, and gives the connection back.
func (t *http1Transport) exchange(ctx context.Context, conn *http1Conn, body []byte) (reply httpReply, err error) {
	isReusable := false
	// The connection is closed when ctx ends, and is never used again then.
	stop := context.AfterFunc(ctx, conn.abort)
	defer func() {
		t.conns.give(conn, stop() && isReusable)
	}()
	if !conn.isKept && t.meet != nil && !t.isOneShot.Load() {
		over := &overConn{t, conn}
		if err := t.meet(ctx, over); err != nil {
			return over.refusal(err)
		}
	}
	reply, isReusable, err = t.converse(ctx, conn, body)
	return reply, err
}

// converse sends one request over a connection and reads its answer. It says
// whether another may follow.
func (t *http1Transport) converse(ctx context.Context, conn *http1Conn, body []byte) (reply httpReply, isReusable bool, err error) {
	if err := conn.send(t.appendHead(conn.out[:0], telemetry.TraceFrom(ctx), fieldsFrom(ctx), len(body)), body); err != nil {
		return httpReply{}, false, fmt.Errorf("send the request: %w", err)
	}
	reply, isReusable, err = conn.receive(t.limit)
	if err != nil {
		return httpReply{}, false, fmt.Errorf("read the answer: %w", err)
	}
	return reply, isReusable, nil
}

// isAlive says whether a connection is kept that the node has not closed.
func (t *http1Transport) isAlive() (alive, isTold bool) { return t.conns.hasQuiet(), true }

// opened is how many connections there have been.
func (t *http1Transport) opened() uint64 { return t.conns.dialled.Load() }

// appendHead writes the head of a request with a body of the given length.
func (t *http1Transport) appendHead(dst []byte, trace telemetry.Trace, fields []Field, length int) []byte {
	dst = append(dst, t.head...)
	dst = appendField(dst, "X-Request-Id: ", trace.RequestID)
	dst = appendField(dst, "Traceparent: ", trace.Parent)
	dst = appendField(dst, "Tracestate: ", trace.State)
	for _, f := range fields {
		if !t.own[f.Name] {
			dst = appendField(dst, f.Name+": ", f.Value)
		}
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(length), 10)
	return append(dst, "\r\n\r\n"...)
}

// appendField leaves out what is empty, or could be taken for more than a value.
func appendField(dst []byte, name, value string) []byte {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' {
			return dst
		}
	}
	if value == "" {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// close drops the kept connections.
func (t *http1Transport) close() { t.conns.close() }

// hostPort is the address to dial for an http URL.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
