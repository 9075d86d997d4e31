package gateway

import (
	"errors"
	"fmt"
	"time"
)

// Config is the configuration of the HTTP front.
type Config struct {
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
	// AnswerTimeout bounds the time in which a client takes an answer that is ready.
	AnswerTimeout time.Duration
	// Compression reads request bodies coded with gzip or zstd, and codes answers
	// above 1 KiB for clients that accept it.
	Compression bool
	// ExecutionHeaders says how much an answer's header tells about its origin.
	ExecutionHeaders ExecutionHeaders
	// ResponseHeaders are added to every answer, by name.
	ResponseHeaders map[string]string
	// Aliases say what requests mean by their host; the first that fits holds.
	Aliases []HostAlias
	// Trusted says whose word about a client's address is taken.
	Trusted TrustedProxies
	// Health says how much GET tells.
	Health HealthMode
}

// Default is the configuration that needs no change.
func Default() Config {
	return Config{
		Version:          "dev",
		MaxBodyBytes:     10 << 20,
		MaxBatch:         1000, // Besu's own limit is 1024
		BatchConcurrency: 16,
		RequestTimeout:   150 * time.Second,
		AnswerTimeout:    time.Minute,
		Compression:      true,
		ExecutionHeaders: ExecutionAll,
		Health:           HealthNetworks,
	}
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var errs []error
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
	if c.AnswerTimeout <= 0 {
		errs = append(errs, errors.New("answer timeout: must be more than zero"))
	}
	if !c.ExecutionHeaders.isKnown() {
		errs = append(errs, errors.New("execution headers: must be all, summary or off"))
	}
	if !c.Health.isKnown() {
		errs = append(errs, errors.New("health check mode: must be simple, networks or verbose"))
	}
	for name, value := range c.ResponseHeaders {
		if err := CheckAnswerHeader(name, value); err != nil {
			errs = append(errs, fmt.Errorf("response header %q: %w", name, err))
		}
	}
	return errors.Join(append(errs, c.Trusted.Validate())...)
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
