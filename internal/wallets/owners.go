package wallets

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// ownerCache remembers whose wallets addresses are. Its zero value is empty.
type ownerCache struct {
	mu    sync.Mutex // guards known
	known map[common.Address]owner
}

// owner is the tenant of an address; "" says that it is no wallet.
type owner struct {
	tenant string
	until  time.Time // zero: for ever, since wallets stay with their tenant
}

const (
	// maxOwners bounds the owners in memory.
	maxOwners = 20_000
	// noWalletFor is how long an account of the signer itself is taken for no wallet
	// without another look. Of other addresses that is never remembered: another replica
	// may make the wallet at any moment.
	noWalletFor = 5 * time.Second
)

func (c *ownerCache) get(a common.Address, now time.Time) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, ok := c.known[a]
	return o.tenant, ok && (o.until.IsZero() || now.Before(o.until))
}

func (c *ownerCache) put(a common.Address, o owner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[common.Address]owner{}
	}
	if len(c.known) >= maxOwners {
		for other := range c.known { // maps begin at a random place
			delete(c.known, other)
			break
		}
	}
	c.known[a] = o
}

// Owners says which tenants some wallets belong to. Addresses that are no wallets are
// left out.
func (s *Service) Owners(ctx context.Context, addresses ...common.Address) (map[common.Address]string, error) {
	out := make(map[common.Address]string, len(addresses))
	now := time.Now()
	var unknown []common.Address
	for _, a := range addresses {
		switch tenant, isKnown := s.owners.get(a, now); {
		case !isKnown:
			unknown = append(unknown, a)
		case tenant != "":
			out[a] = tenant
		}
	}
	if len(unknown) == 0 {
		return out, nil
	}
	found, err := s.deps.Store.owners(ctx, s.deps.HD.ID(), unknown)
	if err != nil {
		return nil, fmt.Errorf("find owners of wallets: %w", err)
	}
	for _, a := range unknown {
		switch tenant, isWallet := found[a]; {
		case isWallet:
			out[a] = tenant
			s.owners.put(a, owner{tenant: tenant})
		case s.isAccount(a):
			s.owners.put(a, owner{until: now.Add(noWalletFor)})
		}
	}
	return out, nil
}

// isAccount says whether an address is one of the signer's own.
func (s *Service) isAccount(a common.Address) bool {
	if s.deps.Accounts == nil {
		return false
	}
	_, err := s.deps.Accounts.Signer(a)
	return err == nil
}
