// Package keyswitch turns keys off and on, for all replicas and for good. What
// is turned off stands in the database; every replica reads it before it signs
// anything and then again and again, so that a key is off everywhere within a
// moment. Where the database cannot be read, what was known holds.
package keyswitch

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/signing"
)

// readEvery is how soon the other replicas notice.
const readEvery = 2 * time.Second

// Switch is the keys of a process without those that are turned off. It is
// safe for concurrent use.
type Switch struct {
	keys  signing.Keys
	store *Store
	log   *slog.Logger

	reading sync.Mutex // one reads at a time: what was read first must not be put last

	mu  sync.RWMutex // guards the field below; never held while the database is asked
	off map[common.Address]bool
}

// New makes a switch in front of keys; it talks to nobody. Until Run has called
// ready, all keys are on.
func New(keys signing.Keys, store *Store, log *slog.Logger) *Switch {
	return &Switch{keys: keys, store: store, log: log, off: map[common.Address]bool{}}
}

// Signer implements signing.Keys: a key that is turned off is
// signing.ErrDisabledSigner.
func (s *Switch) Signer(address common.Address) (signing.Signer, error) {
	key, err := s.keys.Signer(address)
	if err == nil && s.isOff(address) {
		return nil, signing.ErrDisabledSigner
	}
	return key, err
}

// Signers implements signing.Keys, without those that are turned off.
func (s *Switch) Signers() []signing.Signer {
	return slices.DeleteFunc(slices.Clone(s.keys.Signers()), func(k signing.Signer) bool { return s.isOff(k.Address()) })
}

func (s *Switch) isOff(address common.Address) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.off[address]
}

// Disabled lists what is turned off, sorted.
func (s *Switch) Disabled() []common.Address {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]common.Address, 0, len(s.off))
	for a := range s.off {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b common.Address) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// Disable turns the key of an address off; it need not be known yet. What is
// being signed at the moment may still be.
func (s *Switch) Disable(ctx context.Context, address common.Address) error {
	if err := s.store.disable(ctx, address); err != nil {
		return fmt.Errorf("disable key: %w", err)
	}
	return s.read(ctx)
}

// Enable turns it on again.
func (s *Switch) Enable(ctx context.Context, address common.Address) error {
	if err := s.store.enable(ctx, address); err != nil {
		return fmt.Errorf("enable key: %w", err)
	}
	return s.read(ctx)
}

func (s *Switch) read(ctx context.Context) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	list, err := s.store.disabled(ctx)
	if err != nil {
		return fmt.Errorf("read disabled keys: %w", err)
	}
	off := make(map[common.Address]bool, len(list))
	for _, a := range list {
		off[a] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = off
	return nil
}

// Run reads what is turned off, calls ready, and goes on reading until ctx ends.
// It implements lifecycle.Run.
func (s *Switch) Run(ctx context.Context, ready func()) error {
	if err := s.read(ctx); err != nil {
		return err
	}
	ready()
	ticker := time.NewTicker(readEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := s.read(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "it is not known which keys were turned off meanwhile", slog.Any("err", err))
		}
	}
}
