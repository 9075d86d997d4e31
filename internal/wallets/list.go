package wallets

import (
	"context"
	"fmt"
)

// List reads the first 10,000 wallets of a tenant in the order of their indexes.
func (s *Service) List(ctx context.Context, tenant string) ([]Wallet, error) {
	list, err := s.deps.Store.list(ctx, s.deps.HD.ID(), tenant, false, maxListed)
	if err != nil {
		return nil, fmt.Errorf("list wallets: %w", err)
	}
	return list, nil
}

// Keys reads the first 10,000 keys that CreateKey made for a tenant, in the order of
// their indexes.
func (s *Service) Keys(ctx context.Context, tenant string) ([]Wallet, error) {
	list, err := s.deps.Store.list(ctx, s.deps.HD.ID(), tenant, true, maxListed)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return list, nil
}
