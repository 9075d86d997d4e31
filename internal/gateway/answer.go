package gateway

import (
	"net/http"
	"strconv"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// largeValue is from which size on a value is written from where it is,
// instead of being copied behind its envelope. net/http's own buffer is 4 KiB.
const largeValue = 16 << 10

// writeAnswer writes the answer to a single request.
func (h *Gateway) writeAnswer(w http.ResponseWriter, id jsonrpc.ID, result *Result, err error) {
	if err != nil {
		wire, status, _ := toWire(err)
		h.writeError(w, status, id, wire)
		return
	}
	buffer := h.take()
	defer h.give(buffer)
	if result.Error == nil && len(result.Value) >= largeValue {
		// The envelope around nothing, then the value in its middle.
		out := jsonrpc.AppendResult((*buffer)[:0], id, nil)
		*buffer = out
		h.writeHeader(w, http.StatusOK, len(out)+len(result.Value))
		tail := len(out) - 1
		h.write(w, out[:tail])
		h.write(w, result.Value)
		h.write(w, out[tail:])
		return
	}
	*buffer = appendResult((*buffer)[:0], id, result)
	h.writeHeader(w, http.StatusOK, len(*buffer))
	h.write(w, *buffer)
}

func appendResult(dst []byte, id jsonrpc.ID, result *Result) []byte {
	if result.Error != nil {
		return jsonrpc.AppendRawError(dst, id, result.Error)
	}
	return jsonrpc.AppendResult(dst, id, result.Value)
}

func (h *Gateway) writeError(w http.ResponseWriter, status int, id jsonrpc.ID, problem *jsonrpc.Error) {
	buffer := h.take()
	defer h.give(buffer)
	*buffer = jsonrpc.AppendError((*buffer)[:0], id, problem)
	h.writeHeader(w, status, len(*buffer))
	h.write(w, *buffer)
}

func (h *Gateway) writeHeader(w http.ResponseWriter, status, length int) {
	header := w.Header()
	header["Content-Type"] = h.jsonType
	header["Content-Length"] = []string{strconv.Itoa(length)}
	w.WriteHeader(status)
}

// write ignores errors: a client that went away is nobody's error.
func (h *Gateway) write(w http.ResponseWriter, b []byte) { _, _ = w.Write(b) }
