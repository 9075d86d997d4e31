package gateway

import (
	"errors"
	"io"
	"net/http"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// bodyProblem says why a body could not be read.
type bodyProblem struct {
	status int
	wire   *jsonrpc.Error
}

// readBody reads a request body into buffer, up to limit bytes. It returns the
// buffer, which may have grown, in any case.
func readBody(r *http.Request, buffer []byte, limit int64) ([]byte, *bodyProblem) {
	tooLarge := &bodyProblem{http.StatusRequestEntityTooLarge, jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "invalid request: the body is larger than the limit")}
	if r.ContentLength > limit {
		return buffer, tooLarge
	}
	for {
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
		n, err := r.Body.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if int64(len(buffer)) > limit {
			return buffer, tooLarge
		}
		if errors.Is(err, io.EOF) {
			return buffer, nil
		}
		if err != nil {
			return buffer, &bodyProblem{http.StatusBadRequest, jsonrpc.NewError(jsonrpc.CodeParse, "parse error: the body could not be read")}
		}
	}
}
