// Package owners remembers which tenant an address belongs to.
package owners

import (
	"context"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// maxKnown bounds what is in memory: some 2 MB. What is not there is looked up again.
const maxKnown = 20_000

// noneFor is how long one of the signer's own accounts is taken to have no owner. Of
// other addresses that is never remembered: another replica may give one an owner at
// any moment.
const noneFor = 5 * time.Second

// Cache finds the tenants of addresses. Whose an address is never changes, so it asks
// for each once. It is safe for concurrent use.
type Cache struct {
	// Find asks the database for the tenants of addresses; it leaves out those that
	// have none.
	Find func(context.Context, []common.Address) (map[common.Address]string, error)
	// IsAccount says whether an address is one of the signer's own accounts.
	IsAccount func(common.Address) bool

	mu    sync.Mutex // guards known
	known map[common.Address]owner
}

// owner is the tenant of an address; "" is none.
type owner struct {
	tenant string
	until  time.Time // zero: for ever
}

// Of says which tenants addresses belong to. Those of nobody are left out.
func (c *Cache) Of(ctx context.Context, addresses ...common.Address) (map[common.Address]string, error) {
	out := make(map[common.Address]string, len(addresses))
	var unknown []common.Address
	now := time.Now()
	for _, a := range addresses {
		switch tenant, isKnown := c.get(a, now); {
		case !isKnown:
			unknown = append(unknown, a)
		case tenant != "":
			out[a] = tenant
		}
	}
	if len(unknown) == 0 {
		return out, nil
	}
	found, err := c.Find(ctx, unknown)
	if err != nil {
		return nil, err
	}
	for _, a := range unknown {
		if tenant, has := found[a]; has {
			out[a] = tenant
			c.put(a, owner{tenant: tenant})
		} else if c.IsAccount(a) {
			c.put(a, owner{until: now.Add(noneFor)})
		}
	}
	return out, nil
}

func (c *Cache) get(a common.Address, now time.Time) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, has := c.known[a]
	return o.tenant, has && (o.until.IsZero() || now.Before(o.until))
}

func (c *Cache) put(a common.Address, o owner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[common.Address]owner)
	}
	if len(c.known) >= maxKnown {
		for other := range c.known { // maps begin at a random place
			delete(c.known, other)
			break
		}
	}
	c.known[a] = o
}
