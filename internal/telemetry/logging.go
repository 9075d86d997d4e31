package telemetry

import (
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
		return slog.New(sampled(slog.NewJSONHandler(w, options))), nil
	case "text":
		return slog.New(sampled(slog.NewTextHandler(w, options))), nil
	default:
		return nil, fmt.Errorf("log format %q: must be json or text", cfg.Format)
	}
}
