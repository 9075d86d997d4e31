package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
)

// runUpstream is the node behind every proxy, made to cost next to nothing: the
// CPU that is measured beside it belongs to the proxy. It speaks as much HTTP
// as proxies use: keep-alive, bodies with a length, one request at a time.
func runUpstream(ctx context.Context, ready func(addr string)) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	node := newNode()
	ready(listener.Addr().String())
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		go serveConn(conn, node) // it ends with the connection, or with the process
	}
}

const responseHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "

// serveConn answers until the client closes or says what we do not understand.
func serveConn(conn net.Conn, node *node) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 16<<10)
	var body, answer, out []byte
	for {
		length, err := readHead(in)
		if err != nil {
			return
		}
		body = resize(body, length)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		answer = node.answer(answer[:0], body)
		out = append(out[:0], responseHead...)
		out = strconv.AppendInt(out, int64(len(answer)), 10)
		out = append(out, "\r\n\r\n"...)
		out = append(out, answer...)
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

func resize(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

var errNoLength = errors.New("a request without Content-Length")

const lengthName = "content-length:"

// maxBody bounds what a length in a head may make us allocate.
const maxBody = 16 << 20

// header is the value of a header line, if it is the one with this name.
func header(line []byte, name string) (string, bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return "", false
	}
	return string(bytes.TrimSpace(line[len(name):])), true
}

// readHead reads a request up to its body and returns the body's length.
func readHead(in *bufio.Reader) (int, error) {
	length := -1
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := header(line, lengthName); ok {
			if length, err = strconv.Atoi(value); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 || length > maxBody {
		return 0, errNoLength
	}
	return length, nil
}
