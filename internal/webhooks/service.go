package webhooks

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"

	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/sealed"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Deps are what webhooks work with.
type Deps struct {
	Store *Store
	// Key seals secrets; nil where there is none. Then webhooks cannot be made.
	Key     []byte
	Metrics telemetry.Factory
	Log     *slog.Logger
}

// Service is the webhooks of one chain: who is told what, and the telling.
type Service struct {
	cfg     Config
	store   *Store
	box     *sealed.Box // nil without a key
	guard   guard
	client  *client
	metrics *metrics
	log     *slog.Logger
	due     chan struct{} // coalescing, size one: there may be work
}

// New checks everything and calls nobody; Run makes deliveries.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, store: deps.Store, guard: guard{allowed: cfg.networks()}, client: newClient(cfg), metrics: newMetrics(deps.Metrics), log: deps.Log,
		due: make(chan struct{}, 1),
	}
	if deps.Key != nil {
		box, err := sealed.New(deps.Key)
		if err != nil {
			return nil, err
		}
		s.box = box
	}
	return s, nil
}

// Create makes a webhook. An empty secret makes one; it is returned, and never
// shown again. It returns an *InvalidError, ErrTooMany or ErrNoKey.
func (s *Service) Create(ctx context.Context, tenant string, w Webhook, key secret.String) (Webhook, secret.String, error) {
	if s.box == nil {
		return w, key, ErrNoKey
	}
	if err := s.check(w); err != nil {
		return w, key, err
	}
	key, err := provideSecret(key)
	if err != nil {
		return w, key, err
	}
	w.ID = uuid.New()
	if err := s.store.Insert(ctx, tenant, w, uuid.New(), s.box.Seal(w.ID, []byte(key.Reveal())), s.cfg.MaxPerTenant); err != nil {
		return w, key, err
	}
	w, err = s.Get(ctx, tenant, w.ID)
	return w, key, err
}

func provideSecret(key secret.String) (secret.String, error) {
	if !key.IsEmpty() {
		return key, checkSecret(key)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails: it ends the program instead
	return secret.New("whsec_" + base64.RawURLEncoding.EncodeToString(random)), nil
}

// List shows all webhooks of a tenant, oldest first.
func (s *Service) List(ctx context.Context, tenant string) ([]Webhook, error) {
	return s.store.List(ctx, tenant, nil)
}

// Get shows one.
func (s *Service) Get(ctx context.Context, tenant string, id uuid.UUID) (Webhook, error) {
	list, err := s.store.List(ctx, tenant, &id)
	if err != nil {
		return Webhook{}, err
	}
	if len(list) == 0 {
		return Webhook{}, ErrNotFound
	}
	return list[0], nil
}

// Update changes a webhook. Deliveries that exist go to the new URL.
func (s *Service) Update(ctx context.Context, tenant string, id uuid.UUID, c Change) (Webhook, error) {
	w, err := s.Get(ctx, tenant, id)
	if err != nil {
		return w, err
	}
	c.Apply(&w)
	if err := s.check(w); err != nil {
		return w, err
	}
	if err := s.store.Update(ctx, tenant, w); err != nil {
		return w, err
	}
	s.nudge()
	return s.Get(ctx, tenant, id)
}

// Delete removes a webhook with its deliveries.
func (s *Service) Delete(ctx context.Context, tenant string, id uuid.UUID) error {
	return s.store.Delete(ctx, tenant, id)
}

// AddSecret gives a webhook its second secret; from now on deliveries are signed
// with both. An empty one makes one. It returns ErrSecrets when there are two.
func (s *Service) AddSecret(ctx context.Context, tenant string, id uuid.UUID, key secret.String) (Secret, secret.String, error) {
	if s.box == nil {
		return Secret{}, key, ErrNoKey
	}
	key, err := provideSecret(key)
	if err != nil {
		return Secret{}, key, err
	}
	made, err := s.store.AddSecret(ctx, tenant, id, uuid.New(), s.box.Seal(id, []byte(key.Reveal())))
	return made, key, err
}

// RemoveSecret takes one of two secrets away. It returns ErrSecrets for the last.
func (s *Service) RemoveSecret(ctx context.Context, tenant string, id, secretID uuid.UUID) error {
	return s.store.RemoveSecret(ctx, tenant, id, secretID)
}

// Deliveries lists what was, is and could not be delivered.
func (s *Service) Deliveries(ctx context.Context, tenant string, id uuid.UUID, f DeliveryFilter) ([]Delivery, error) {
	if _, err := s.Get(ctx, tenant, id); err != nil {
		return nil, err
	}
	return s.store.Deliveries(ctx, id, f)
}

// Redeliver sends a delivery once more that has arrived or was given up, at once,
// whatever else its transaction has pending.
func (s *Service) Redeliver(ctx context.Context, tenant string, id, delivery uuid.UUID) error {
	if _, err := s.Get(ctx, tenant, id); err != nil {
		return err
	}
	if err := s.store.Redeliver(ctx, id, delivery); err != nil {
		return err
	}
	s.nudge()
	return nil
}

// RedeliverDead sends everything once more that was given up, each transaction
// in its order, and says how many.
func (s *Service) RedeliverDead(ctx context.Context, tenant string, id uuid.UUID) (int, error) {
	if _, err := s.Get(ctx, tenant, id); err != nil {
		return 0, err
	}
	n, err := s.store.RedeliverDead(ctx, id)
	s.nudge()
	return n, err
}

// nudge makes the dispatcher look for work at once.
func (s *Service) nudge() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}
