package gateway

import (
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// minCoded is the size in bytes up to which an answer is sent as it is: it fits
// into one network packet, and coding it would only take time.
const minCoded = 1 << 10

// answerCoding chooses the coding of an answer from the values of
// Accept-Encoding: the one with the highest quality, and of equals zstd, then
// gzip. "*" stands for gzip, which is what everybody can read.
func answerCoding(accept []string) coding {
	const unsaid = -1
	zstdQ, gzipQ, starQ, identityQ := unsaid, unsaid, unsaid, unsaid
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			token, parameters, _ := strings.Cut(part, ";")
			token = strings.TrimSpace(token)
			q := quality(parameters)
			switch {
			case token == "":
			case token == "*":
				starQ = q
			case codingNamed(token) == gzipped:
				gzipQ = max(gzipQ, q)
			case codingNamed(token) == zstandard:
				zstdQ = q
			case codingNamed(token) == identity:
				identityQ = q
			}
		}
	}
	if gzipQ == unsaid {
		gzipQ = starQ
	}
	switch best := max(zstdQ, gzipQ); {
	case best <= 0 || identityQ > best:
		return identity
	case best == zstdQ:
		return zstandard
	default:
		return gzipped
	}
}

// quality is the weight in the parameters of a token, in thousandths (RFC 9110,
// section 12.4.2); what is no weight excludes the token, none is 1.
func quality(parameters string) int {
	name, value, isGiven := strings.Cut(parameters, "=")
	if !isGiven {
		return 1000
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if !strings.EqualFold(strings.TrimSpace(name), "q") || err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return int(q * 1000)
}

// token is the coding in Content-Encoding.
func (c coding) token() []string {
	if c == zstandard {
		return []string{"zstd"}
	}
	return []string{"gzip"}
}

// answerZstdWindow is what one zstd answer remembers, in bytes. JSON repeats
// itself within a few kilobytes.
const answerZstdWindow = 256 << 10

// deflaters are the pooled writers of coded answers. They use the fastest
// levels: a gateway beside its nodes has more bandwidth than time.
type deflaters struct {
	gzip sync.Pool // of *gzip.Writer
	zstd sync.Pool // of *zstd.Encoder
}

// deflater is what the writers of both codings can do.
type deflater interface {
	io.WriteCloser
	Reset(to io.Writer)
}

// write sends parts through the coding. Errors are those of a client that went
// away, and are nobody's.
func (d *deflaters) write(to io.Writer, c coding, parts ...[]byte) {
	pool := &d.gzip
	if c == zstandard {
		pool = &d.zstd
	}
	writer, isPooled := pool.Get().(deflater)
	if isPooled {
		writer.Reset(to)
	} else {
		writer = newDeflater(to, c)
	}
	for _, part := range parts {
		_, _ = writer.Write(part)
	}
	_ = writer.Close()
	writer.Reset(nil) // lets go of the answer
	pool.Put(writer)
}

// newDeflater ignores errors: they are those of options, which are fixed here.
func newDeflater(to io.Writer, c coding) deflater {
	if c == zstandard {
		writer, _ := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1), // works in this goroutine
			zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(answerZstdWindow), zstd.WithLowerEncoderMem(true))
		return writer
	}
	writer, _ := gzip.NewWriterLevel(to, gzip.BestSpeed)
	return writer
}
