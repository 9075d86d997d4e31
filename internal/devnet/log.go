package devnet

import (
	"context"
	"log/slog"
)

// quietHandler takes go-ethereum's log into ours. A node that stands alone
// warns about much that is wanted here (no peers, no beacon client), so
// warnings are for debugging and anything below is dropped.
type quietHandler struct{ slog.Handler }

func quiet(log *slog.Logger) slog.Handler {
	return quietHandler{log.With(slog.String("component", "go-ethereum")).Handler()}
}

func ourLevel(level slog.Level) slog.Level {
	if level < slog.LevelError {
		return slog.LevelDebug
	}
	return slog.LevelError
}

// Enabled implements slog.Handler.
func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, ourLevel(level))
}

// Handle implements slog.Handler.
func (h quietHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Level = ourLevel(r.Level)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}
