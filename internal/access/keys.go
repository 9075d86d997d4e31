package access

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/slipwayhq/slipway/internal/secret"
)

// Key is an API key without its secret.
type Key struct {
	ID        string     `json:"id"`
	Tenant    string     `json:"tenant"`
	Name      string     `json:"name"`
	Roles     []Role     `json:"roles"`
	CreatedAt time.Time  `json:"createdAt"`
	CreatedBy string     `json:"createdBy"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
	RevokedAt *time.Time `json:"revokedAt,omitempty"`

	hash []byte
}

// isActive says whether the key lets in.
func (k Key) isActive(now time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || now.Before(*k.ExpiresAt))
}

// NewKey is a key that is to be made.
type NewKey struct {
	Tenant string
	// Name of the caller; policies know it as key:NAME.
	Name  string
	Roles []Role
	// Lifetime of the key; 0 is for ever.
	Lifetime time.Duration
	// By is who makes it.
	By string
}

func (n NewKey) validate() error {
	for _, err := range []error{checkTenant(n.Tenant), checkName(n.Name), checkRoles(n.Roles)} {
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	if n.Lifetime < 0 || n.Lifetime > maxLifetime {
		return fmt.Errorf("%w: its lifetime must be between 0 (for ever) and ten years", ErrInvalid)
	}
	return nil
}

const maxLifetime = 10 * 366 * 24 * time.Hour

// known remembers keys, so that the database is not asked for every request.
type known struct {
	mu      sync.Mutex
	entries map[string]knownKey
}

type knownKey struct {
	key   *Key // nil: there is none
	until time.Time
}

const (
	// knownFor is how long a key is believed: a revocation counts everywhere after
	// that time.
	knownFor = 5 * time.Second
	// maxKnown bounds how many are remembered.
	maxKnown = 10_000
	// maxLookups bounds the questions to the database at a time: anybody can invent
	// ids of keys.
	maxLookups = 4
	// lookupTimeout bounds one, waiting for its turn included.
	lookupTimeout = 5 * time.Second
)

func (k *known) get(id string, now time.Time) (*Key, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.entries[id]
	return e.key, ok && now.Before(e.until)
}

func (k *known) put(id string, key *Key, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.entries == nil || len(k.entries) >= maxKnown {
		k.entries = map[string]knownKey{} // they are back in a moment
	}
	k.entries[id] = knownKey{key, now.Add(knownFor)}
}

func (k *known) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.entries, id)
}

// Keys are the API keys of a database.
type Keys struct {
	store   *Store
	known   known
	lookups chan struct{}
}

// NewKeys makes them ready.
func NewKeys(store *Store) *Keys {
	return &Keys{store: store, lookups: make(chan struct{}, maxLookups)}
}

// caller says whose key a token is.
func (k *Keys) caller(ctx context.Context, token string) (Caller, error) {
	id, ok := idOf(token)
	if !ok {
		return Caller{}, ErrKey
	}
	now := time.Now()
	key, err := k.find(ctx, id, now)
	if err != nil {
		return Caller{}, err
	}
	if key == nil || !isHash(token, key.hash) || !key.isActive(now) {
		return Caller{}, ErrKey
	}
	return Caller{Tenant: key.Tenant, Name: "key:" + key.Name, KeyID: key.ID, Roles: key.Roles}, nil
}

// find gives a key as it is, or was a few seconds ago; nil if there is none.
func (k *Keys) find(ctx context.Context, id string, now time.Time) (*Key, error) {
	if key, isKnown := k.known.get(id, now); isKnown {
		return key, nil
	}
	key, err := k.lookUp(ctx, id)
	if err == nil {
		k.known.put(id, key, now)
	}
	return key, err
}

func (k *Keys) lookUp(ctx context.Context, id string) (*Key, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	select {
	case k.lookups <- struct{}{}:
		defer func() { <-k.lookups }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: too many unknown keys at a time", ErrUnavailable)
	}
	return k.store.Find(ctx, id)
}

// Create makes a key. The token is shown once; nothing can find it again. It
// returns ErrInvalid or ErrNameTaken.
func (k *Keys) Create(ctx context.Context, n NewKey) (Key, secret.String, error) {
	if err := n.validate(); err != nil {
		return Key{}, secret.String{}, err
	}
	id, token := newToken()
	key, err := k.store.Insert(ctx, id, hashOf(token.Reveal()), n, 0)
	return key, token, err
}

// Rotate makes a second key with the name and roles of another one, and lets the
// older one expire after the overlap. It returns ErrNoKey, ErrTooMany or
// ErrInvalid.
func (k *Keys) Rotate(ctx context.Context, tenant, id string, overlap, lifetime time.Duration, by string) (Key, secret.String, error) {
	old, err := k.Get(ctx, tenant, id)
	if err != nil {
		return Key{}, secret.String{}, err
	}
	if !old.isActive(time.Now()) {
		return Key{}, secret.String{}, fmt.Errorf("%w: the key is not active any more", ErrInvalid)
	}
	n := NewKey{Tenant: old.Tenant, Name: old.Name, Roles: old.Roles, Lifetime: lifetime, By: by}
	if err := n.validate(); err != nil {
		return Key{}, secret.String{}, err
	}
	newID, token := newToken()
	made, err := k.store.Insert(ctx, newID, hashOf(token.Reveal()), n, 1)
	if err != nil {
		return Key{}, secret.String{}, err
	}
	k.known.forget(id)
	return made, token, k.store.Expire(ctx, tenant, id, overlap)
}

// Get reads a key of a tenant; it returns ErrNoKey.
func (k *Keys) Get(ctx context.Context, tenant, id string) (Key, error) {
	key, err := k.store.Find(ctx, id)
	if err != nil {
		return Key{}, err
	}
	if key == nil || key.Tenant != tenant {
		return Key{}, ErrNoKey
	}
	return *key, nil
}

// List reads the keys of a tenant, newest first; "" is all tenants.
func (k *Keys) List(ctx context.Context, tenant string) ([]Key, error) {
	return k.store.List(ctx, tenant)
}

// Revoke ends a key of a tenant. It counts at once here, and on other replicas
// within seconds. It returns ErrNoKey.
func (k *Keys) Revoke(ctx context.Context, tenant, id string) error {
	defer k.known.forget(id)
	return k.store.Revoke(ctx, tenant, id)
}
