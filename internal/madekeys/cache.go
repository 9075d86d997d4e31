package madekeys

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/signing"
)

// cache remembers signers, and whose keys addresses are: a key that was made stays what
// it is. Its zero value is empty.
type cache struct {
	mu      sync.Mutex // guards the fields below
	signers map[common.Address]signing.Signer
	owners  map[common.Address]owner
}

// owner is the tenant of an address; "" says that its key was not made here.
type owner struct {
	tenant string
	until  time.Time // zero: for ever
}

// notMadeFor is how long one of the signer's own accounts is taken for one that was not
// made here without another look. Of other addresses that is never remembered.
const notMadeFor = 5 * time.Second

// maxCached bounds what is in memory. What is not there is looked up in the database,
// and a signer opened again.
const maxCached = 4096

func (c *cache) signer(a common.Address) (signing.Signer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.signers[a]
	return s, ok
}

// keep returns the signer that is in use for its address: the first one.
func (c *cache) keep(s signing.Signer) signing.Signer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first, ok := c.signers[s.Address()]; ok {
		return first
	}
	c.signers = put(c.signers, s.Address(), s)
	return s
}

func (c *cache) owner(a common.Address, now time.Time) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, ok := c.owners[a]
	return o.tenant, ok && (o.until.IsZero() || now.Before(o.until))
}

func (c *cache) keepOwner(a common.Address, o owner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owners = put(c.owners, a, o)
}

func put[T any](m map[common.Address]T, a common.Address, value T) map[common.Address]T {
	if m == nil {
		m = map[common.Address]T{}
	}
	if len(m) >= maxCached {
		for other := range m { // maps begin at a random place
			delete(m, other)
			break
		}
	}
	m[a] = value
	return m
}

// Owners says which tenants keys were made for. Other addresses are left out.
func (s *Service) Owners(ctx context.Context, addresses ...common.Address) (map[common.Address]string, error) {
	out := make(map[common.Address]string, len(addresses))
	var unknown []common.Address
	now := time.Now()
	for _, a := range addresses {
		switch tenant, isKnown := s.cache.owner(a, now); {
		case !isKnown:
			unknown = append(unknown, a)
		case tenant != "":
			out[a] = tenant
		}
	}
	if len(unknown) == 0 {
		return out, nil
	}
	found, err := s.store.owners(ctx, unknown)
	if err != nil {
		return nil, fmt.Errorf("find owners of keys: %w", err)
	}
	for _, a := range unknown {
		if tenant, isMade := found[a]; isMade {
			out[a] = tenant
			s.cache.keepOwner(a, owner{tenant: tenant})
		} else if _, err := s.own.Signer(a); err == nil {
			s.cache.keepOwner(a, owner{until: now.Add(notMadeFor)})
		}
	}
	return out, nil
}
