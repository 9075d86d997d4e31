package gateway

import (
	"errors"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
)

// Config is the configuration of the HTTP front.
type Config struct {
	// Project is the first part of the request path.
	Project string
	// Version stands in the answer to web3_clientVersion.
	Version string
	// MaxBodyBytes bounds a request body.
	MaxBodyBytes int64
	// MaxBatch bounds the number of elements in a batch.
	MaxBatch int
	// BatchConcurrency bounds how many elements of a batch are forwarded at a time,
	// where they cannot go as one batch.
	BatchConcurrency int
	// RequestTimeout bounds one HTTP request, a batch as a whole.
	RequestTimeout time.Duration
	// Compression reads request bodies coded with gzip or zstd, and codes answers
	// above 1 KiB for clients that accept it.
	Compression bool
	// CORS says which web pages may read the answers.
	CORS CORS
	// ExecutionHeaders says how much an answer's header tells about its origin.
	ExecutionHeaders ExecutionHeaders
	// DeniedNamespaces lists the method namespaces that are not forwarded.
	DeniedNamespaces []string
}

// Default is the configuration that needs no change.
func Default() Config {
	return Config{
		Project:          "main",
		Version:          "dev",
		MaxBodyBytes:     10 << 20,
		MaxBatch:         1000, // Besu's own limit is 1024
		BatchConcurrency: 16,
		RequestTimeout:   150 * time.Second,
		Compression:      true,
		CORS:             DefaultCORS(),
		ExecutionHeaders: ExecutionAll,
		DeniedNamespaces: methods.OperatorNamespaces(),
	}
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	if !isPathSegment(c.Project) {
		errs = append(errs, errors.New("project: must be made of letters, digits, '-', '_' and '.'"))
	}
	if c.MaxBodyBytes < 1 {
		errs = append(errs, errors.New("maximum body size: must be at least 1 byte"))
	}
	if c.MaxBatch < 1 {
		errs = append(errs, errors.New("maximum batch: must be at least 1"))
	}
	if c.BatchConcurrency < 1 {
		errs = append(errs, errors.New("batch concurrency: must be at least 1"))
	}
	if c.RequestTimeout <= 0 {
		errs = append(errs, errors.New("request timeout: must be more than zero"))
	}
	if !c.ExecutionHeaders.isKnown() {
		errs = append(errs, errors.New("execution headers: must be all, summary or off"))
	}
	return errors.Join(append(errs, c.CORS.Validate())...)
}

func isPathSegment(s string) bool {
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != ""
}
