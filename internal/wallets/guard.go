package wallets

import (
	"context"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
)

// Challenge is a question to a user.
type Challenge struct {
	ID           uuid.UUID
	Verification Verification
	Salt, Secret string // PINCODE only, "" otherwise

	secret string
}

func newChallenge(r record) Challenge {
	c := Challenge{ID: uuid.New(), Verification: Verification{ID: r.id, Name: r.name, Type: r.kind}, secret: hexText(32)}
	if r.kind == Pincode {
		c.Salt, c.Secret = r.salt, c.secret
	}
	return c
}

// walletKey finds a wallet: another tenant's, or another mnemonic's, is not there.
type walletKey struct {
	vault   common.Address
	tenant  string
	address common.Address
}

func (s *Service) wallet(tenant string, address common.Address) walletKey {
	return walletKey{s.deps.HD.ID(), tenant, address}
}

// AddVerification sets up a verification of a tenant's wallet. The parameters are what
// its user must be told, once: "uri" for an authenticator app, or "secretCodes"
// separated by commas.
func (s *Service) AddVerification(ctx context.Context, tenant string, address common.Address, n NewVerification) (Verification, map[string]string, error) {
	if err := n.check(); err != nil {
		return Verification{}, nil, err
	}
	r, parameters := newRecord(n, s.checker.box, s.checker.hasher)
	if err := s.deps.Store.addVerification(ctx, s.wallet(tenant, address), r); err != nil {
		return Verification{}, nil, fmt.Errorf("add verification: %w", err)
	}
	return Verification{ID: r.id, Name: r.name, Type: r.kind}, parameters, nil
}

// Verifications lists the verifications of a tenant's wallet, oldest first.
func (s *Service) Verifications(ctx context.Context, tenant string, address common.Address) ([]Verification, error) {
	list, err := s.deps.Store.verifications(ctx, s.wallet(tenant, address))
	if err != nil {
		return nil, fmt.Errorf("list verifications: %w", err)
	}
	return list, nil
}

// DeleteVerification takes a verification of a tenant's wallet away, with its challenges.
func (s *Service) DeleteVerification(ctx context.Context, tenant string, address common.Address, id uuid.UUID) error {
	if err := s.deps.Store.deleteVerification(ctx, s.wallet(tenant, address), id); err != nil {
		return fmt.Errorf("delete verification: %w", err)
	}
	return nil
}

// MaxChallenges is the most challenges of one verification in one go.
const MaxChallenges = 10

// Challenges makes challenges, amount for each verification the target means.
// The target needs an address.
func (s *Service) Challenges(ctx context.Context, t Target, amount int) ([]Challenge, error) {
	switch {
	case t.Address == nil:
		return nil, invalid("userWalletAddress: is missing")
	case amount < 1 || amount > MaxChallenges:
		return nil, invalid("amount: must be between 1 and 10")
	}
	list, err := s.deps.Store.addChallenges(ctx, s.deps.HD.ID(), t, amount, s.cfg.ChallengeTTL)
	if err != nil {
		return nil, fmt.Errorf("create challenges: %w", err)
	}
	return list, nil
}

// IsProtected says whether an account signs only for who shows a verification.
func (s *Service) IsProtected(ctx context.Context, address common.Address) (bool, error) {
	protected, err := s.deps.Store.isProtected(ctx, address)
	if err != nil {
		return false, fmt.Errorf("look for verifications: %w", err)
	}
	return protected, nil
}

// Request is what a user agrees to with a response: it is executed at most once,
// however often it is repeated.
type Request struct {
	IdempotencyKey string // of the tenant; not empty
	Hash           [32]byte
	Actor          string // who asks, as policies name callers
}

// Verify returns nil when a response is right, and uses up what must not be
// shown twice. Otherwise it returns ErrUnverified, a LockedError, or what kept
// it from finding out. Requests for which a response was used up before are
// verified without another one.
func (s *Service) Verify(ctx context.Context, t Target, response string, requests ...Request) error {
	err := s.deps.Store.attempt(ctx, s.deps.HD.ID(), t, requests, s.cfg.ChallengeTTL, func(list []record, now time.Time) ruling {
		return s.checker.rule(list, t, response, now)
	})
	if err != nil {
		return fmt.Errorf("verify response: %w", err)
	}
	return nil
}
