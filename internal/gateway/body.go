package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// bodyProblem says why a body could not be read.
type bodyProblem struct {
	status int
	wire   *jsonrpc.Error
}

var (
	errBodyTooLarge = errors.New("the body is larger than the limit")
	errBodyBroken   = errors.New("the body could not be read")
)

// readBody reads a request body into buffer, up to MaxBodyBytes after
// inflating. It returns the buffer, which may have grown, in any case.
func (h *Gateway) readBody(r *http.Request, buffer []byte) ([]byte, *bodyProblem) {
	if r.ContentLength > h.cfg.MaxBodyBytes {
		return buffer, toBodyProblem(errBodyTooLarge)
	}
	c := bodyCoding(r.Header)
	if c == unknownCoding || c != identity && !h.cfg.Compression {
		return buffer, unknownCodingProblem()
	}
	var err error
	if c == identity {
		buffer, err = readAll(r.Body, buffer, h.cfg.MaxBodyBytes)
	} else {
		buffer, err = h.inflaters.read(r.Body, c, buffer, h.cfg.MaxBodyBytes)
	}
	return buffer, toBodyProblem(err)
}

func toBodyProblem(err error) *bodyProblem {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &bodyProblem{http.StatusRequestTimeout, jsonrpc.NewError(jsonrpc.CodeParse, "parse error: the body did not come in time")}
	case errors.Is(err, errBodyTooLarge):
		return &bodyProblem{http.StatusRequestEntityTooLarge, jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "invalid request: the body is larger than the limit")}
	default:
		return &bodyProblem{http.StatusBadRequest, jsonrpc.NewError(jsonrpc.CodeParse, "parse error: the body could not be read")}
	}
}

// readAll reads up to limit bytes into buffer, and never asks the reader for
// more than one byte beyond. It returns the buffer, which may have grown: by
// what has come, whatever was announced.
func readAll(from io.Reader, buffer []byte, limit int64) ([]byte, error) {
	for {
		if len(buffer) == cap(buffer) {
			buffer = grow(buffer, limit)
		}
		end := min(int64(cap(buffer)), limit+1)
		n, err := from.Read(buffer[len(buffer):end])
		buffer = buffer[:len(buffer)+n]
		if int64(len(buffer)) > limit {
			return buffer, errBodyTooLarge
		}
		if errors.Is(err, io.EOF) {
			return buffer, nil
		}
		if err != nil {
			return buffer, err
		}
	}
}

// grow doubles a full buffer, as far as limit lets it become full. The built-in
// append grows large slices by a quarter and would leave behind five times what
// a body takes.
func grow(buffer []byte, limit int64) []byte {
	const least = 512
	return slices.Grow(buffer, int(min(max(int64(len(buffer)), least), limit+1-int64(len(buffer)))))
}
