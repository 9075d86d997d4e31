// Package madekeys has keys made in key services and knows those that were made. A
// database holds which they are, never the keys: so every replica finds them, and finds
// them again after a restart.
//
// What happens outside cannot be part of an SQL transaction. So an order is written down
// first, with an id that the key service is told as well; where the key is, as soon as
// that is known; and what it is, at the end. A repeated order goes on where the attempt
// before it ended.
package madekeys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/owners"
	"github.com/slipwayhq/slipway/internal/signing"
)

// Errors callers tell apart.
var (
	// ErrUnavailable says that the database could not be reached.
	ErrUnavailable = errors.New("the database cannot be reached")
	// ErrKeyReused says that an idempotency key belongs to an order of another key.
	ErrKeyReused = errors.New("the idempotency key was used for another key")
)

// Sources make keys and open those that they made; keys.Sources does.
type Sources interface {
	// Makes returns nil where a source makes keys.
	Makes(source string) error
	Make(ctx context.Context, source string, order signing.Order) (place string, err error)
	OpenMade(ctx context.Context, source, place string) (signing.Signer, error)
	SignsWhole(source string) bool
}

// Order is a key that a tenant wants.
type Order struct {
	Tenant         string
	IdempotencyKey string // "" for none
	Source         string // "" is the signer's mnemonic
	Name           string
}

// Key is a key that was made.
type Key struct {
	Tenant  string
	Source  string
	Name    string
	Address common.Address
	Ref     signing.KeyRef

	place string
}

// Service makes keys and finds those that were made. It is safe for concurrent use.
type Service struct {
	store   *Store
	sources Sources
	log     *slog.Logger
	cache   cache
	owners  owners.Cache
}

// New makes the service; it talks to nobody. The signer's own keys are no keys that were
// made here, for all but the few that a source lists as well.
func New(store *Store, sources Sources, own signing.Keys, log *slog.Logger) *Service {
	return &Service{store: store, sources: sources, log: log, owners: owners.Cache{
		Find:      store.owners,
		IsAccount: func(a common.Address) bool { _, err := own.Signer(a); return err == nil },
	}}
}

const (
	// makeTimeout bounds one attempt; the client of each key service has timeouts of its
	// own, which are shorter.
	makeTimeout = 40 * time.Second
	// claimFor is how long an attempt keeps others out whose replica has ended. It is
	// longer than an attempt.
	claimFor = 50 * time.Second
	// lookAgain is how soon an order that another attempt works on is looked at again.
	lookAgain = 200 * time.Millisecond
)

// OrderID writes an order of a key of the mnemonic down and returns its id: the same
// for the same idempotency key. It returns ErrKeyReused or ErrUnavailable.
func (s *Service) OrderID(ctx context.Context, o Order) (uuid.UUID, error) {
	r, err := s.store.order(ctx, o)
	return r.id, err
}

// Make makes a key in its source, or returns the one that was made for the idempotency
// key; isNew tells which. An attempt goes on when ctx ends, since what it does outside
// is done. It fails as Sources.Make does, or with ErrKeyReused or ErrUnavailable.
func (s *Service) Make(ctx context.Context, o Order) (key Key, isNew bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), makeTimeout)
	defer cancel()
	if err := s.sources.Makes(o.Source); err != nil {
		return s.madeBefore(ctx, o, err)
	}
	r, err := s.store.order(ctx, o)
	if err != nil {
		return Key{}, false, err
	}
	for {
		if r.key != nil {
			return *r.key, false, nil
		}
		switch isOurs, err := s.store.claim(ctx, r.id, claimFor); {
		case err != nil:
			return Key{}, false, err
		case isOurs:
			key, err := s.attempt(ctx, r.id)
			return key, err == nil, err
		}
		select {
		case <-ctx.Done():
			return Key{}, false, &signing.UnavailableError{Key: signing.KeyRef(o.Source), Reason: "another request with this idempotency key is making the key"}
		case <-time.After(lookAgain):
		}
		if r, err = s.store.read(ctx, r.id); err != nil {
			return Key{}, false, err
		}
	}
}

// madeBefore returns the key that a source made which makes none any more.
func (s *Service) madeBefore(ctx context.Context, o Order, refusal error) (Key, bool, error) {
	r, err := s.store.orderOf(ctx, o)
	switch {
	case err != nil:
		return Key{}, false, err
	case r.key == nil:
		return Key{}, false, refusal
	}
	return *r.key, false, nil
}

// attempt makes the key of an order that this replica has claimed.
func (s *Service) attempt(ctx context.Context, id uuid.UUID) (Key, error) {
	r, err := s.store.read(ctx, id)
	if err != nil || r.key != nil {
		return r.keyOrNone(), err
	}
	key, err := s.makeOutside(ctx, r)
	if err == nil {
		err = s.store.finish(ctx, id, key)
	}
	if err == nil {
		s.log.InfoContext(ctx, "key made", orderAttrs(r, key.place), slog.String("address", key.Address.Hex()))
		return key, nil
	}
	s.log.WarnContext(ctx, "the key of an order is not made; the order repeated with its idempotency key goes on with it",
		orderAttrs(r, key.place), slog.Any("err", err))
	// Without this the next attempt waits until the claim is over.
	if releaseErr := s.store.release(ctx, id); releaseErr != nil {
		s.log.WarnContext(ctx, "claim of an order of a key not released", orderAttrs(r, ""), slog.Any("err", releaseErr))
	}
	return Key{}, err
}

// makeOutside has the source make the key, and opens it.
func (s *Service) makeOutside(ctx context.Context, r row) (Key, error) {
	key := Key{Tenant: r.order.Tenant, Source: r.order.Source, Name: r.order.Name, place: r.place}
	isRepeated := r.attempts > 1
	if isRepeated && r.place == "" {
		s.log.WarnContext(ctx, "an earlier attempt to make this key ended before it knew where the key is; what it made and cannot be found is used by nobody",
			orderAttrs(r, ""), slog.Time("since", r.orderedAt))
	}
	var err error
	key.place, err = s.sources.Make(ctx, r.order.Source, signing.Order{
		ID: r.id.String(), Name: r.order.Name, IsRepeated: isRepeated, Place: r.place,
		Note: func(ctx context.Context, place string) error {
			key.place = place
			// Said before it is written: whatever ends here, the key is named.
			s.log.InfoContext(ctx, "place of a new key", orderAttrs(r, place))
			return s.store.note(ctx, r.id, place)
		},
	})
	if err != nil {
		return key, fmt.Errorf("make key in %s: %w", r.order.Source, err)
	}
	signer, err := s.sources.OpenMade(ctx, r.order.Source, key.place)
	if err != nil {
		return key, fmt.Errorf("open the new key in %s: %w", r.order.Source, err)
	}
	key.Address, key.Ref = signer.Address(), signer.Ref()
	return key, nil
}

func orderAttrs(r row, place string) slog.Attr {
	return slog.Group("order", slog.String("id", r.id.String()), slog.String("tenant", r.order.Tenant), slog.String("source", r.order.Source), slog.String("place", place))
}

// Keys lists the first 10,000 keys that were made for a tenant, oldest first.
func (s *Service) Keys(ctx context.Context, tenant string) ([]Key, error) {
	return s.store.list(ctx, tenant)
}
