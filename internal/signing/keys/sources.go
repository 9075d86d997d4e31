package keys

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/awskms"
)

// Sources are the configured sources and the keyring they fill.
type Sources struct {
	ring    *signing.Keyring
	log     *slog.Logger
	sources []*source
	onAdded func(ctx context.Context) error
}

// Open checks the configuration and reads the keys that lie in this process,
// whose mistakes are errors. It calls no key service: Run does. Key
// services that are away or refuse are no errors; their keys come when they can.
func Open(configs []Config, log *slog.Logger) (*Sources, error) {
	if err := Validate(configs); err != nil {
		return nil, err
	}
	s := &Sources{ring: signing.NewKeyring(), log: log}
	kms := &awskms.Opener{}
	for _, cfg := range configs {
		one, err := newSource(cfg, kms, log)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.ID, err)
		}
		if one.inProcess {
			signers, err := one.load(context.Background()) // it waits for nothing
			if err != nil && cfg.ID != "" {
				err = fmt.Errorf("%s: %w", cfg.ID, err)
			}
			if err != nil {
				return nil, err
			}
			s.ring.Add(signers...)
		}
		s.sources = append(s.sources, one)
	}
	return s, nil
}

// Keyring is what the sources fill. It may be added to from elsewhere.
func (s *Sources) Keyring() *signing.Keyring { return s.ring }

// OnAdded has a function called after keys were added by Run; while it fails it
// is called again. It is set before Run.
func (s *Sources) OnAdded(f func(ctx context.Context) error) { s.onAdded = f }

// Run opens the keys of key services, calls ready when each service was tried
// once, and keeps all sources until ctx ends. It implements lifecycle.Run.
func (s *Sources) Run(ctx context.Context, ready func()) error {
	var all, first sync.WaitGroup
	first.Add(len(s.sources))
	for _, one := range s.sources {
		all.Go(func() { s.keep(ctx, one, first.Done) })
		if one.run != nil {
			all.Go(func() { one.run(ctx) })
		}
	}
	first.Wait() // every call of a source has a timeout
	ready()
	<-ctx.Done()
	all.Wait()
	return nil
}

// firstPause and mostPause bound the time between two attempts that fail.
const (
	firstPause = time.Second
	mostPause  = time.Minute
)

// keep loads one source, and again while it fails or may change. It calls tried
// after the first attempt.
func (s *Sources) keep(ctx context.Context, one *source, tried func()) {
	k := &keeper{Sources: s, source: one, pause: firstPause}
	if !one.inProcess { // Open has read those in this process
		k.look(ctx)
	}
	k.untold = false // what is there now, whoever follows ready sees for himself
	tried()
	for {
		wait, isDone := k.next()
		if isDone {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		k.look(ctx)
		k.tell(ctx)
	}
}

// keeper is where keep stands with its source.
type keeper struct {
	*Sources
	source  *source
	pause   time.Duration // before the next attempt after a failure
	trouble string        // of the last look; "" is none
	untold  bool          // whether keys were added that OnAdded does not know of
}

// look adds what the source has now, and logs a change between trouble and none.
func (k *keeper) look(ctx context.Context) {
	signers, err := k.source.load(ctx)
	if ctx.Err() != nil {
		return
	}
	name := slog.String("source", k.source.cfg.ID)
	if err != nil {
		if err.Error() != k.trouble {
			k.log.WarnContext(ctx, "keys cannot be opened, trying again", name, slog.Any("err", err))
		}
		k.trouble = err.Error()
		return
	}
	k.trouble = ""
	if added := k.ring.Add(signers...); added > 0 {
		k.untold = true
		k.log.InfoContext(ctx, "keys added", name, slog.String("kind", string(k.source.cfg.Kind)), slog.Int("accounts", added))
	}
}

// tell makes new keys known.
func (k *keeper) tell(ctx context.Context) {
	if !k.untold || k.onAdded == nil {
		return
	}
	err := k.onAdded(ctx)
	k.untold = err != nil
	if err != nil && ctx.Err() == nil {
		k.log.WarnContext(ctx, "new keys cannot be made known, trying again", slog.String("source", k.source.cfg.ID), slog.Any("err", err))
	}
}

// next is the time until the next look, unless there is nothing to look after.
func (k *keeper) next() (wait time.Duration, isDone bool) {
	wait = k.source.again
	if k.trouble != "" || (k.untold && k.onAdded != nil) {
		wait = k.pause
		k.pause = min(2*k.pause, mostPause)
	} else {
		k.pause = firstPause
	}
	return wait + rand.N(wait/5+1), wait == 0 //nolint:gosec // spreads load, guards nothing
}
