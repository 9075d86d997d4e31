package madekeys

import (
	"context"
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/signing"
)

// cache keeps the signers that were opened. Its zero value is empty.
type cache struct {
	mu      sync.Mutex // guards signers
	signers map[common.Address]signing.Signer
}

// maxCached bounds the signers in memory; another one is opened again.
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
	if c.signers == nil {
		c.signers = make(map[common.Address]signing.Signer)
	}
	if len(c.signers) >= maxCached {
		for other := range c.signers { // maps begin at a random place
			delete(c.signers, other)
			break
		}
	}
	c.signers[s.Address()] = s
	return s
}

// Owners says which tenants keys were made for. Other addresses are left out.
func (s *Service) Owners(ctx context.Context, addresses ...common.Address) (map[common.Address]string, error) {
	out, err := s.owners.Of(ctx, addresses...)
	if err != nil {
		return nil, fmt.Errorf("find owners of keys: %w", err)
	}
	return out, nil
}
