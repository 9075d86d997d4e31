package main

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/config"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
)

const (
	// watchEvery is how often the file is looked at. It is read and compared, not
	// asked for its time: Kubernetes swaps links below mounted files.
	watchEvery = time.Second
	// reloadTimeout bounds the change to a new configuration, of which the first
	// look at new nodes takes longest.
	reloadTimeout = 30 * time.Second
)

// reloader puts a changed configuration file in force while the gateway runs.
type reloader struct {
	settings *settings
	getenv   func(string) string
	app      *gatewayapp.App
	log      *slog.Logger
	started  config.Gateway
	hangup   <-chan os.Signal
	every    time.Duration
}

// run works until ctx ends.
func (r *reloader) run(ctx context.Context) {
	seen := r.fingerprint()
	ticker := time.NewTicker(r.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hangup:
			seen = r.fingerprint()
			r.reload(ctx)
		case <-ticker.C:
			// A file that is away, or is being written, is looked at again: only
			// what stays the same for one look is taken.
			if now := r.fingerprint(); now != seen && r.isSettled(ctx, now) {
				seen = now
				r.reload(ctx)
			}
		}
	}
}

// settleTime is how long a changed file must stay as it is before it is read.
const settleTime = 100 * time.Millisecond

func (r *reloader) isSettled(ctx context.Context, seen [sha256.Size]byte) bool {
	timer := time.NewTimer(settleTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	}
	return r.fingerprint() == seen
}

// fingerprint tells versions of the file apart; one that cannot be read is a
// version too.
func (r *reloader) fingerprint() [sha256.Size]byte {
	if r.settings.Config == "" {
		return [sha256.Size]byte{}
	}
	text, err := os.ReadFile(r.settings.Config)
	if err != nil {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(text)
}

// reload reads the file and puts it in force, or says why the gateway goes on
// as before.
func (r *reloader) reload(ctx context.Context) {
	if r.settings.Config == "" {
		r.log.WarnContext(ctx, "there is no configuration file to read again")
		return
	}
	next, err := r.settings.configuration(r.getenv)
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, reloadTimeout)
		err = r.app.Reload(bounded, next.App)
		cancel()
	}
	if err != nil {
		if ctx.Err() == nil {
			r.log.ErrorContext(ctx, "the new configuration is not used, the old one stays in force",
				slog.String("file", r.settings.Config), slog.Any("problems", strings.Split(err.Error(), "\n")))
		}
		return
	}
	r.warn(ctx, next)
	r.log.InfoContext(ctx, "the new configuration is in force", slog.String("file", r.settings.Config))
}

// warn names what has no effect, or none before the next start.
func (r *reloader) warn(ctx context.Context, next config.Gateway) {
	for _, warning := range next.Warnings {
		r.log.WarnContext(ctx, "configuration key without effect", slog.String("warning", warning))
	}
	later := r.app.NeedsRestart(next.App)
	if next.Logging != r.started.Logging {
		later = append(later, "log level")
	}
	if len(later) > 0 {
		r.log.WarnContext(ctx, "these settings take effect with the next start", slog.Any("settings", later))
	}
}
