package gateway

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// coding is a content coding of HTTP (RFC 9110, section 8.4.1).
type coding uint8

// The codings. unknownCoding is any that is not spoken here.
const (
	identity coding = iota
	gzipped
	zstandard
	unknownCoding
)

// codingNamed is the coding that a token names; case does not matter.
func codingNamed(token string) coding {
	switch {
	case token == "", strings.EqualFold(token, "identity"):
		return identity
	case strings.EqualFold(token, "gzip"), strings.EqualFold(token, "x-gzip"):
		return gzipped
	case strings.EqualFold(token, "zstd"):
		return zstandard
	default:
		return unknownCoding
	}
}

// bodyCoding is the coding of a request body. Several codings on top of each
// other are none that is spoken here.
func bodyCoding(header http.Header) coding {
	values := header["Content-Encoding"]
	switch len(values) {
	case 0:
		return identity
	case 1:
		return codingNamed(strings.TrimSpace(values[0]))
	default:
		return unknownCoding
	}
}

// maxZstdWindow bounds, in bytes, what the reading of one zstd body remembers:
// the largest window that senders may use over HTTP (RFC 9659, section 3).
const maxZstdWindow = 8 << 20

// inflaters are the pooled readers of coded bodies.
type inflaters struct {
	gzip sync.Pool // of *gzip.Reader
	zstd sync.Pool // of *zstd.Decoder
}

// read inflates a body into buffer, up to limit bytes, and reads no more than
// limit bytes of the body itself. It returns the buffer as readAll does.
func (f *inflaters) read(body io.Reader, c coding, buffer []byte, limit int64) ([]byte, error) {
	raw := &io.LimitedReader{R: body, N: limit + 1}
	var err error
	if c == zstandard {
		buffer, err = f.readZstd(raw, buffer, limit)
	} else {
		buffer, err = f.readGzip(raw, buffer, limit)
	}
	if raw.N <= 0 || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return buffer, errBodyTooLarge
	}
	return buffer, err
}

func (f *inflaters) readGzip(raw io.Reader, buffer []byte, limit int64) ([]byte, error) {
	reader, isPooled := f.gzip.Get().(*gzip.Reader)
	if !isPooled {
		reader = new(gzip.Reader)
	}
	defer f.gzip.Put(reader)
	if err := reader.Reset(raw); err != nil {
		return buffer, errBodyBroken
	}
	return readAll(reader, buffer, limit)
}

func (f *inflaters) readZstd(raw io.Reader, buffer []byte, limit int64) ([]byte, error) {
	reader, isPooled := f.zstd.Get().(*zstd.Decoder)
	if !isPooled {
		made, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), // works in this goroutine
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return buffer, err
		}
		reader = made
	}
	defer func() {
		_ = reader.Reset(nil) // lets go of the body; a nil reader is no error
		f.zstd.Put(reader)
	}()
	if err := reader.Reset(raw); err != nil {
		return buffer, errBodyBroken
	}
	return readAll(reader, buffer, limit)
}

// unknownCodingProblem is the refusal of a body in a coding that is not spoken.
func unknownCodingProblem() *bodyProblem {
	return &bodyProblem{http.StatusUnsupportedMediaType, jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "invalid request: the body's Content-Encoding is not one of those accepted")}
}

// acceptedCodings is the value of Accept-Encoding in such a refusal.
func (h *Gateway) acceptedCodings() string {
	if h.cfg.Compression {
		return "zstd, gzip, identity"
	}
	return "identity"
}
