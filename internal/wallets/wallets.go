package wallets

import (
	"context"
	"fmt"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/owners"
	"github.com/slipwayhq/slipway/internal/sealed"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/local"
)

// Wallet is an end user's account.
type Wallet struct {
	ID      uuid.UUID
	Name    string
	Address common.Address
	Path    string // BIP-44
}

// Deps are what wallets are made with.
type Deps struct {
	Store *Store
	// HD is the mnemonic.
	HD *local.HD
	// Path is the path of index 0; the index is added to its last element.
	Path accounts.DerivationPath
	// Reserved is how many indexes, from 0 on, are accounts of the signer itself.
	Reserved int
	// Accounts are the signer's own; nil for none.
	Accounts signing.Keys
	// Key seals secrets in the database; nil derives one from the mnemonic.
	Key []byte
}

// Service makes wallets, guards them and finds their keys. It is safe for
// concurrent use.
type Service struct {
	cfg     Config
	deps    Deps
	checker checker
	keys    keyCache
	owners  owners.Cache
}

// New makes the service; it talks to nobody.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	key := deps.Key
	if key == nil {
		var err error
		if key, err = deps.HD.Key("slipway wallet verifications, version 1"); err != nil {
			return nil, err
		}
	}
	box, err := sealed.New(key)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, deps: deps, checker: checker{
		box: box, hasher: newHasher(), limits: limits{maxFailures: cfg.MaxFailures, lockFor: cfg.LockFor},
	}}
	s.owners = owners.Cache{IsAccount: s.isAccount, Find: func(ctx context.Context, addresses []common.Address) (map[common.Address]string, error) {
		return deps.Store.owners(ctx, deps.HD.ID(), addresses)
	}}
	return s, nil
}

// Owners says which tenants some wallets belong to. Addresses that are no wallets are
// left out.
func (s *Service) Owners(ctx context.Context, addresses ...common.Address) (map[common.Address]string, error) {
	out, err := s.owners.Of(ctx, addresses...)
	if err != nil {
		return nil, fmt.Errorf("find owners of wallets: %w", err)
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

// maxIndex is the last index that needs no hardening (BIP-32).
const maxIndex = 1<<31 - 1

// Create makes a wallet of a tenant at the index that is asked for, or at the next
// free one. It returns an InvalidError, ErrIndexTaken or ErrUnavailable.
func (s *Service) Create(ctx context.Context, tenant, keyVaultID, name string, index *int64) (Wallet, error) {
	if keyVaultID == "" {
		return Wallet{}, invalid("keyVaultId: is missing")
	}
	if s.cfg.KeyVaultID != "" && s.cfg.KeyVaultID != keyVaultID {
		return Wallet{}, invalid("keyVaultId: this signer has no such key vault")
	}
	if err := checkName("name", name); err != nil {
		return Wallet{}, err
	}
	if index != nil && *index < int64(s.deps.Reserved) {
		return Wallet{}, invalid(fmt.Sprintf("walletIndex: indexes below %d are accounts of the signer itself", s.deps.Reserved))
	}
	if index != nil && *index > maxIndex {
		return Wallet{}, invalid("walletIndex: must be below 2^31")
	}
	w, _, err := s.deps.Store.create(ctx, newWallet{
		id: uuid.New(), vault: s.deps.HD.ID(), tenant: tenant, name: name, wanted: index, floor: int64(s.deps.Reserved), derive: s.derive,
	})
	if err != nil {
		return Wallet{}, fmt.Errorf("create wallet: %w", err)
	}
	return w, nil
}

// CreateKey makes an account of the tenant itself at the next free index, or returns the
// one that was made with the same id; isNew tells which. It returns an InvalidError or
// ErrUnavailable.
func (s *Service) CreateKey(ctx context.Context, tenant, name string, id uuid.UUID) (w Wallet, isNew bool, err error) {
	if err := checkName("name", name); err != nil {
		return Wallet{}, false, err
	}
	w, isNew, err = s.deps.Store.create(ctx, newWallet{
		id: id, vault: s.deps.HD.ID(), tenant: tenant, name: name, isKey: true, floor: int64(s.deps.Reserved), derive: s.derive,
	})
	if err != nil {
		return Wallet{}, false, fmt.Errorf("create key: %w", err)
	}
	return w, isNew, nil
}

// Ref names the key of a wallet, as senders do.
func (w Wallet) Ref() signing.KeyRef { return signing.KeyRef("local:" + w.Path) }

// derive returns address and path of an index.
func (s *Service) derive(index int64) (common.Address, string, error) {
	path := append(accounts.DerivationPath{}, s.deps.Path...)
	last := &path[len(path)-1]
	if index > maxIndex-int64(*last&maxIndex) {
		return common.Address{}, "", invalid("walletIndex: is beyond the last index of the derivation path")
	}
	*last += uint32(index)
	signer, err := s.deps.HD.Signer(path)
	if err != nil {
		return common.Address{}, "", fmt.Errorf("%w: %w", errDerive, err)
	}
	return signer.Address(), path.String(), nil
}

// maxListed bounds eth_accounts.
const maxListed = 10_000

// Addresses lists the first 10,000 wallets of a tenant in the order of their indexes.
func (s *Service) Addresses(ctx context.Context, tenant string) ([]common.Address, error) {
	list, err := s.deps.Store.addresses(ctx, s.deps.HD.ID(), tenant, maxListed)
	if err != nil {
		return nil, fmt.Errorf("list wallets: %w", err)
	}
	return list, nil
}
