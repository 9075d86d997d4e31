package wallets

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/signing"
)

// keyCache holds keys that were used lately. Its zero value is empty.
type keyCache struct {
	mu      sync.Mutex // guards signers
	signers map[common.Address]signing.Signer
}

// maxKeys bounds the keys in memory. A key that is not there is derived again,
// which takes a look into the database and a fraction of a millisecond.
const maxKeys = 4096

func (c *keyCache) get(a common.Address) (signing.Signer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.signers[a]
	return s, ok
}

func (c *keyCache) put(s signing.Signer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.signers == nil {
		c.signers = map[common.Address]signing.Signer{}
	}
	if len(c.signers) >= maxKeys {
		for any := range c.signers { // maps begin at a random place
			delete(c.signers, any)
			break
		}
	}
	c.signers[s.Address()] = s
}

// lookTimeout bounds the look for an address that is not in the cache.
const lookTimeout = 5 * time.Second

// Signer implements signing.Keys. A wallet that another replica made is found
// as well, and becomes a sender of the chain.
func (s *Service) Signer(address common.Address) (signing.Signer, error) {
	if signer, ok := s.keys.get(address); ok {
		return signer, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	text, err := s.deps.Store.path(ctx, s.deps.HD.ID(), address)
	if errors.Is(err, ErrUnknownWallet) {
		return nil, signing.ErrUnknownSigner
	}
	if err != nil {
		return nil, fmt.Errorf("find wallet %s: %w", address, err)
	}
	path, err := accounts.ParseDerivationPath(text)
	if err != nil {
		return nil, fmt.Errorf("wallet %s: its stored derivation path is malformed", address)
	}
	signer, err := s.deps.HD.Signer(path)
	if err != nil {
		return nil, fmt.Errorf("wallet %s: %w", address, err)
	}
	if signer.Address() != address {
		return nil, fmt.Errorf("wallet %s: its stored derivation path leads to another account", address)
	}
	s.keys.put(signer)
	return signer, nil
}

// Signers implements signing.Keys: no wallet is there from the start.
func (s *Service) Signers() []signing.Signer { return nil }
