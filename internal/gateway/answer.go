package gateway

import (
	"errors"
	"net/http"
	"time"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// largeValue is from which size on a value is written from where it is,
// instead of being copied behind its envelope. net/http's own buffer is 4 KiB.
const largeValue = 16 << 10

// patientLength is up to which size an answer always fits into what the kernel
// buffers, so that no client can hold it up.
const patientLength = 64 << 10

// writeAnswer writes the answer to a single request.
func (h *Gateway) writeAnswer(x *exchange, id jsonrpc.ID, result *Result, err error) {
	if err != nil {
		wire, status, _ := toWire(err)
		var limited *LimitedError
		if errors.As(err, &limited) {
			x.w.Header()["Retry-After"] = []string{limited.seconds()}
		}
		h.writeError(x, status, id, wire)
		return
	}
	buffer := h.take()
	defer h.give(buffer)
	if result.isLarge() {
		// The envelope around nothing, then the value in its middle.
		out := jsonrpc.AppendResult((*buffer)[:0], id, nil)
		*buffer = out
		tail := len(out) - 1
		parts := append(make([][]byte, 0, len(result.Parts)+3), out[:tail], result.Value)
		parts = append(append(parts, result.Parts...), out[tail:])
		h.send(x, http.StatusOK, parts...)
		return
	}
	*buffer = appendResult((*buffer)[:0], id, result)
	h.send(x, http.StatusOK, *buffer)
}

// isLarge says whether an answer is better written from where it is.
func (r *Result) isLarge() bool { return r.Parts != nil || len(r.Value) >= largeValue }

func appendResult(dst []byte, id jsonrpc.ID, result *Result) []byte {
	if result.Error != nil {
		return jsonrpc.AppendRawError(dst, id, result.Error)
	}
	if result.Parts == nil {
		return jsonrpc.AppendResult(dst, id, result.Value)
	}
	dst = jsonrpc.AppendResult(dst, id, nil)
	end := dst[len(dst)-1]
	dst = dst[:len(dst)-1]
	for _, part := range result.Parts {
		dst = append(dst, part...)
	}
	return append(dst, end)
}

func (h *Gateway) writeError(x *exchange, status int, id jsonrpc.ID, problem *jsonrpc.Error) {
	buffer := h.take()
	defer h.give(buffer)
	*buffer = jsonrpc.AppendError((*buffer)[:0], id, problem)
	h.send(x, status, *buffer)
}

// send writes a JSON answer made of parts, coded where that is worth it and the
// client can read it. A coded answer has no length beforehand: it is coded while
// it is sent. Errors of writing are ignored: a client that went away is
// nobody's error.
func (h *Gateway) send(x *exchange, status int, parts ...[]byte) {
	x.status = status
	length := 0
	for _, part := range parts {
		length += len(part)
	}
	if length > patientLength {
		// The server's own limit still has the whole time of the request in it.
		_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(h.cfg.AnswerTimeout)) // a writer without deadlines has the server's
	}
	header := x.w.Header()
	header["Content-Type"] = h.jsonType
	c := identity
	if length > minCoded && h.cfg.Compression {
		header["Vary"] = h.varyCoding(header["Vary"])
		c = answerCoding(x.r.Header["Accept-Encoding"])
	}
	if c != identity {
		header["Content-Encoding"] = c.token()
		x.w.WriteHeader(status)
		h.deflaters.write(x.w, c, parts...)
		return
	}
	x.setLength(length)
	x.w.WriteHeader(status)
	for _, part := range parts {
		_, _ = x.w.Write(part)
	}
}

// varyCoding adds the coding to what an answer depends on.
func (h *Gateway) varyCoding(otherwise []string) []string {
	if otherwise == nil {
		return h.varyOnCoding
	}
	return h.varyOnBoth
}

// writeRefusal answers a client that is not let in.
func (h *Gateway) writeRefusal(x *exchange, err error) {
	wire, status, _ := toWire(err)
	if status == http.StatusUnauthorized {
		x.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	h.writeError(x, status, nil, wire)
}
