package http1

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxPending is how much of an answer is gathered before it is written.
const maxPending = 8 << 10

// response is the http.ResponseWriter of a connection, used again for each of
// its answers.
type response struct {
	conn   *conn
	header http.Header

	status int // 0 until the head is written
	// length is the Content-Length that the handler announced; -1 means that the
	// end is told otherwise.
	length  int64
	written int64 // bytes of the body
	// isChunked is the coding of an answer without length that is too long to
	// wait for its end.
	isChunked bool
	// mustClose says that the connection cannot be used after this answer.
	mustClose bool
	out       []byte // what is ready to be written: the head, or chunks
	pending   []byte // the body's bytes while its length is not known
	err       error  // of the connection
}

// begin makes it ready for the next answer.
func (w *response) begin() {
	clear(w.header)
	w.status, w.length, w.written = 0, -1, 0
	w.isChunked, w.mustClose = false, false
	w.out, w.pending = w.out[:0], w.pending[:0]
}

func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. Informational answers are not sent.
func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < http.StatusOK {
		return
	}
	w.status = status
	w.out = appendStatus(w.out, status)
	w.out = append(append(w.out, "Date: "...), *w.conn.server.date.Load()...)
	w.out = append(w.out, "\r\n"...)
	for name, values := range w.header {
		switch name {
		case "Content-Length":
			w.announce(values)
			continue
		case "Connection":
			w.mustClose = w.mustClose || len(values) > 0 && strings.EqualFold(values[0], "close")
			continue
		case "Transfer-Encoding", "Date":
			continue // this writer's own business
		}
		if !isToken(name) {
			continue
		}
		for _, value := range values {
			w.out = append(append(w.out, name...), ": "...)
			w.out = append(appendValue(w.out, value), "\r\n"...)
		}
	}
	if w.conn.server.isDraining.Load() {
		w.mustClose = true
	}
	if w.mustClose {
		w.out = append(w.out, "Connection: close\r\n"...)
	}
	switch {
	case !mayHaveBody(status):
		w.out = append(w.out, "\r\n"...)
	case w.length >= 0:
		w.out = appendLength(w.out, w.length)
	}
}

// announce takes the length that the handler says; nonsense counts as none.
func (w *response) announce(values []string) {
	if len(values) != 1 {
		return
	}
	if n, err := strconv.ParseInt(values[0], 10, 64); err == nil && n >= 0 {
		w.length = n
	}
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case len(p) == 0:
		return 0, nil
	case !mayHaveBody(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if w.length < 0 {
		w.writeUnmeasured(p)
	} else {
		w.gather(p)
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// gather writes p, or keeps it until there is more.
func (w *response) gather(p []byte) {
	if len(w.out)+len(p) <= maxPending {
		w.out = append(w.out, p...)
		return
	}
	w.send(p)
}

// writeUnmeasured keeps the body back as long as it is short, and then goes
// over to chunks.
func (w *response) writeUnmeasured(p []byte) {
	if len(w.pending)+len(p) <= maxPending {
		w.pending = append(w.pending, p...)
		return
	}
	w.chunk()
	w.pending = append(w.pending, p...)
	if len(w.pending) > maxPending {
		w.chunk()
	}
}

// chunk sends what is pending as a chunk.
func (w *response) chunk() {
	if !w.isChunked {
		w.isChunked = true
		w.out = append(w.out, "Transfer-Encoding: chunked\r\n\r\n"...)
	}
	if len(w.pending) == 0 {
		return
	}
	w.out = append(strconv.AppendInt(w.out, int64(len(w.pending)), 16), "\r\n"...)
	w.send(w.pending)
	w.out = append(w.out, "\r\n"...)
	w.pending = w.pending[:0]
}

// send writes what is gathered, and p behind it without copying it.
func (w *response) send(p []byte) {
	if w.err == nil {
		parts := w.conn.parts[:0]
		if len(w.out) > 0 {
			parts = append(parts, w.out)
		}
		if len(p) > 0 {
			parts = append(parts, p)
		}
		if len(parts) == 1 {
			_, w.err = w.conn.net.Write(parts[0])
		} else {
			w.conn.vector = parts
			_, w.err = w.conn.vector.WriteTo(w.conn.net)
		}
	}
	w.out = w.out[:0]
}

// end writes what is left. It says whether the connection can be used again.
func (w *response) end() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case !mayHaveBody(w.status):
	case w.length >= 0:
		// A client cannot tell where a shorter body ends.
		w.mustClose = w.mustClose || w.written != w.length
	case w.isChunked:
		w.chunk()
		w.out = append(w.out, "0\r\n\r\n"...)
	default:
		w.out = append(appendLength(w.out, int64(len(w.pending))), w.pending...)
	}
	if len(w.out) > 0 {
		w.send(nil)
	}
	return w.err == nil && !w.mustClose
}

// Flush implements http.Flusher.
func (w *response) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.length < 0 && mayHaveBody(w.status) {
		w.chunk()
	}
	if len(w.out) > 0 {
		w.send(nil)
	}
}

// SetWriteDeadline is for http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error { return w.conn.setWriteDeadline(t) }

// SetReadDeadline is for http.ResponseController. The body is read already.
func (w *response) SetReadDeadline(time.Time) error { return nil }

func mayHaveBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

func appendStatus(dst []byte, status int) []byte {
	if status == http.StatusOK {
		return append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	dst = strconv.AppendInt(append(dst, "HTTP/1.1 "...), int64(status), 10)
	dst = append(append(dst, ' '), http.StatusText(status)...)
	return append(dst, "\r\n"...)
}

func appendLength(dst []byte, n int64) []byte {
	return append(strconv.AppendInt(append(dst, "Content-Length: "...), n, 10), "\r\n\r\n"...)
}

// appendValue appends a field's value. What would end the line becomes a space,
// as with net/http.
func appendValue(dst []byte, value string) []byte {
	at := len(dst)
	dst = append(dst, value...)
	for i, c := range dst[at:] {
		if c == '\r' || c == '\n' {
			dst[at+i] = ' '
		}
	}
	return dst
}
