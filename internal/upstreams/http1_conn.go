package upstreams

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"
)

// http1Conn is one connection, used by one exchange at a time.
type http1Conn struct {
	conn   net.Conn
	in     *bufio.Reader
	answer fasthttp.Response // reused by each answer; bodies leave it
	out    []byte            // reused by each request
	since  time.Time         // when it was given back
	isKept bool              // it has served a request before
}

const (
	// readBuffer holds a whole head; a longer one is an error.
	readBuffer = 16 << 10
	// maxJoined is up to which size head and body leave in one write.
	maxJoined = 64 << 10
	// maxInterim bounds the informational answers before an answer.
	maxInterim = 8
)

func newHTTP1Conn(conn net.Conn) *http1Conn {
	return &http1Conn{conn: conn, in: bufio.NewReaderSize(conn, readBuffer)}
}

// Reasons why there is no answer.
var (
	// errClosedBefore: the node closed the connection before the first byte of an answer.
	errClosedBefore = errors.New("the node closed the connection before it answered")
	errBadHead      = errors.New("the head of the answer cannot be read")
)

// abort ends whatever reads or writes. It may be called at any time.
func (c *http1Conn) abort() { c.conn.Close() }

// send writes a request. head begins where c.out does.
func (c *http1Conn) send(head, body []byte) error {
	isJoined := len(head)+len(body) <= maxJoined
	if isJoined {
		head = append(head, body...)
	}
	c.out = head
	_, err := c.conn.Write(head)
	if err == nil && !isJoined {
		_, err = c.conn.Write(body)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errClosedBefore, err)
	}
	return nil
}

// receive reads an answer with a body of up to limit bytes. It says whether
// another request may follow on the connection.
func (c *http1Conn) receive(limit int64) (reply httpReply, isReusable bool, err error) {
	if _, err := c.in.Peek(1); err != nil {
		return reply, false, fmt.Errorf("%w: %w", errClosedBefore, err)
	}
	if err := c.readHead(); err != nil {
		return reply, false, err
	}
	if reply.status = c.answer.StatusCode(); reply.status == http.StatusTooManyRequests {
		reply.retryAfter = string(c.answer.Header.Peek("Retry-After"))
	}
	if reply.body, err = c.readBody(limit); err != nil {
		return reply, false, err
	}
	// What follows an answer that nobody asked for is not read as the next one.
	return reply, !c.answer.Header.ConnectionClose() && c.in.Buffered() == 0, nil
}

// readHead reads up to the body, over informational answers.
func (c *http1Conn) readHead() error {
	for range maxInterim {
		if err := c.answer.Header.Read(c.in); err != nil {
			return errBadHead // the library's own words quote what the node sent
		}
		// 101 would end HTTP on this connection. Nobody asks for it.
		if status := c.answer.StatusCode(); status >= http.StatusOK || status == http.StatusSwitchingProtocols {
			return nil
		}
	}
	return errBadHead
}

// chunked is the library's length of a chunked body. Any other length below
// zero means that the body ends with the connection.
const chunked = -1

// readBody reads the body as its framing says (RFC 9112, section 6.3).
func (c *http1Conn) readBody(limit int64) ([]byte, error) {
	length := c.answer.Header.ContentLength()
	switch status := c.answer.StatusCode(); {
	case status < http.StatusOK, status == http.StatusNoContent, status == http.StatusNotModified:
		return nil, nil
	case length >= 0:
		return readLimited(c.in, int64(length), limit)
	}
	err := c.answer.ReadBody(c.in, int(min(limit, math.MaxInt)))
	body := c.answer.SwapBody(nil) // from now on ours
	if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		return nil, errTooLarge
	}
	if err == nil && length == chunked {
		err = c.answer.Header.ReadTrailer(c.in)
	}
	return body, err
}
