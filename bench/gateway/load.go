package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// load is what was seen from outside in one measurement.
type load struct {
	latencies []time.Duration
	errors    int
	took      time.Duration
}

// generate sends the requests over connections of its own, each of which waits
// for its answer before it sends the next, and stops after the given time. All
// that is done between two requests is to find the end of the answer.
func generate(ctx context.Context, addr string, requests [][]byte, connections int, length time.Duration) (load, error) {
	group, ctx := errgroup.WithContext(ctx)
	parts := make([]load, connections)
	start := time.Now()
	for i := range connections {
		group.Go(func() error {
			conn, err := dial(ctx, addr)
			if err != nil {
				return err
			}
			defer conn.Close()
			first := i * len(requests) / connections
			return conn.repeat(&parts[i], requests, first, start.Add(length))
		})
	}
	err := group.Wait()
	out := load{took: time.Since(start)}
	for _, p := range parts {
		out.latencies = append(out.latencies, p.latencies...)
		out.errors += p.errors
	}
	return out, err
}

// connection is one keep-alive connection.
type connection struct {
	net.Conn
	in *bufio.Reader
}

// stuck is how long one answer may take; it bounds a measurement.
const stuck = 20 * time.Second

func dial(ctx context.Context, addr string) (*connection, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

func (c *connection) repeat(out *load, requests [][]byte, first int, until time.Time) error {
	if err := c.SetDeadline(until.Add(stuck)); err != nil {
		return err
	}
	out.latencies = make([]time.Duration, 0, 1<<14)
	begin := time.Now()
	for i := first; begin.Before(until); i++ {
		if _, err := c.Write(requests[i%len(requests)]); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		isGood, err := c.skipAnswer()
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if !isGood {
			out.errors++
		}
		end := time.Now()
		out.latencies = append(out.latencies, end.Sub(begin))
		begin = end
	}
	return nil
}

// ask sends one request and returns the answer's body.
func (c *connection) ask(request []byte) ([]byte, error) {
	if err := c.SetDeadline(time.Now().Add(stuck)); err != nil {
		return nil, err
	}
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	head, err := c.readHead()
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	if err := c.readBody(head, &body); err != nil {
		return nil, err
	}
	if !head.isOK {
		return nil, fmt.Errorf("refused: %.200s", body.Bytes())
	}
	return body.Bytes(), nil
}

// skipAnswer reads over an answer and says whether it looks right: status 200,
// and no error where errors stand (in a chunked answer that is not looked at).
func (c *connection) skipAnswer() (bool, error) {
	head, err := c.readHead()
	if err != nil {
		return false, err
	}
	begin, err := c.in.Peek(min(startOfAnswer, max(head.length, 0)))
	if err != nil {
		return false, err
	}
	isGood := head.isOK && !bytes.Contains(begin, []byte(`"error"`))
	if !head.isChunked {
		_, err = c.in.Discard(head.length)
		return isGood, err
	}
	return isGood, c.readBody(head, io.Discard)
}

// startOfAnswer is how far into an answer an error would begin.
const startOfAnswer = 64

// answerHead is what matters of an answer's head.
type answerHead struct {
	isOK, isChunked bool
	length          int
}

var errNoEnd = errors.New("an answer without Content-Length")

const (
	okLine       = "HTTP/1.1 200 "
	encodingName = "transfer-encoding:"
)

func (c *connection) readHead() (answerHead, error) {
	line, err := c.in.ReadSlice('\n')
	head := answerHead{isOK: bytes.HasPrefix(line, []byte(okLine)), length: -1}
	for err == nil {
		if line, err = c.in.ReadSlice('\n'); err != nil || len(line) <= 2 {
			break
		}
		if value, ok := header(line, lengthName); ok {
			head.length, err = strconv.Atoi(value)
		} else if _, ok := header(line, encodingName); ok {
			head.isChunked = true
		}
	}
	if err == nil && head.length < 0 && !head.isChunked {
		err = errNoEnd
	}
	return head, err
}

func (c *connection) readBody(head answerHead, into io.Writer) error {
	if !head.isChunked {
		_, err := io.CopyN(into, c.in, int64(head.length))
		return err
	}
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 64)
		if err != nil {
			return fmt.Errorf("size of a chunk: %w", err)
		}
		if _, err := io.CopyN(into, c.in, size); err != nil {
			return err
		}
		if _, err := c.in.Discard(2); err != nil || size == 0 {
			return err
		}
	}
}
