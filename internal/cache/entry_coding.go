package cache

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// Compression says which values Redis holds compressed. In memory none are: a
// hit must not pay for it.
type Compression struct {
	Enabled bool
	// Level is fastest, default, better or best.
	Level string
	// Threshold is the size in bytes from which on it is worth while.
	Threshold int
}

// DefaultCompression compresses values of 1 KiB and more.
func DefaultCompression() Compression {
	return Compression{Enabled: true, Level: "default", Threshold: 1024}
}

// Validate reports what makes no sense.
func (c Compression) Validate() error {
	if ok, _ := zstd.EncoderLevelFromString(c.Level); !ok {
		return fmt.Errorf("compression level %q: must be fastest, default, better or best", c.Level)
	}
	if c.Threshold < 0 {
		return fmt.Errorf("compression threshold %d: must not be negative", c.Threshold)
	}
	return nil
}

// coder writes and reads stored entries. It may be used from anywhere.
type coder struct {
	cfg    Compression
	packer *zstd.Encoder
	opener *zstd.Decoder
}

// maxUnpacked bounds what a stored value may unfold to: what a node may answer.
const maxUnpacked = 128 << 20

func newCoder(cfg Compression) (*coder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	_, level := zstd.EncoderLevelFromString(cfg.Level)
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level))
	if err != nil {
		return nil, fmt.Errorf("make the compressor: %w", err)
	}
	opener, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxUnpacked), zstd.WithDecoderConcurrency(0))
	if err != nil {
		return nil, fmt.Errorf("make the decompressor: %w", err)
	}
	return &coder{cfg: cfg, packer: packer, opener: opener}, nil
}

// encode writes an entry for a store outside the process.
func (c *coder) encode(e Entry) []byte {
	if c.cfg.Enabled && len(e.Value) >= c.cfg.Threshold {
		out := e.appendHead(make([]byte, 0, fixedHead+hashSize+len(e.Value)/2), isPacked)
		head := len(out)
		if out = c.packer.EncodeAll(e.Value, out); len(out)-head < len(e.Value) {
			return out
		}
	}
	return append(e.appendHead(make([]byte, 0, fixedHead+hashSize+len(e.Value)), 0), e.Value...)
}

// decode reads what encode wrote, and nothing else: whatever is not an entry
// with a JSON value is an error.
func (c *coder) decode(text []byte) (Entry, error) {
	e, flags, err := readHead(text)
	if err != nil {
		return Entry{}, err
	}
	if flags == isPacked {
		if e.Value, err = c.opener.DecodeAll(e.Value, nil); err != nil {
			return Entry{}, fmt.Errorf("unpack the stored value: %w", err)
		}
	}
	if !jsonrpc.Valid(e.Value) {
		return Entry{}, errForeignEntry
	}
	return e, nil
}
