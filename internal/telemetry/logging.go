package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

// LogConfig chooses what is logged and in which form.
type LogConfig struct {
	Level  slog.Level // debug, info, warn or error
	Format string     // "json" or "text"
}

// NewLogger makes the logger that is handed to every component. Of warnings and
// errors with the same message it writes at most 20 in 10 seconds.
func NewLogger(w io.Writer, cfg LogConfig) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: cfg.Level}
	switch cfg.Format {
	case "json", "":
		return slog.New(sampled(forCollectors{slog.NewJSONHandler(w, options)})), nil
	case "text":
		return slog.New(sampled(slog.NewTextHandler(w, options))), nil
	default:
		return nil, fmt.Errorf("log format %q: must be json or text", cfg.Format)
	}
}

// forCollectors adds to each line what those who collect lines look for: the
// severity by the names that Google's Cloud Logging has for it, beside our
// level, and the id of the trace that the line belongs to.
type forCollectors struct{ slog.Handler }

// Handle implements slog.Handler.
func (h forCollectors) Handle(ctx context.Context, r slog.Record) error {
	r = r.Clone()
	r.AddAttrs(slog.String("severity", severity(r.Level)))
	if id := TraceFrom(ctx).ID(); id != "" {
		r.AddAttrs(slog.String("trace_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h forCollectors) WithAttrs(attrs []slog.Attr) slog.Handler {
	return forCollectors{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h forCollectors) WithGroup(name string) slog.Handler {
	return forCollectors{h.Handler.WithGroup(name)}
}

func severity(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "ERROR"
	case level >= slog.LevelWarn:
		return "WARNING"
	case level >= slog.LevelInfo:
		return "INFO"
	}
	return "DEBUG"
}
