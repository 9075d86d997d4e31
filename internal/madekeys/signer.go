package madekeys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/slipwayhq/slipway/internal/signing"
)

// lookTimeout bounds the look for an address that is not in the cache.
const lookTimeout = 5 * time.Second

// Signer implements signing.Keys. A key that another replica had made is found as well.
// It is opened when it signs for the first time, so that a key service that is away
// keeps nobody from asking for a signature later.
func (s *Service) Signer(address common.Address) (signing.Signer, error) {
	if key, ok := s.cache.signer(address); ok {
		return key, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	key, err := s.store.find(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("find key %s: %w", address, err)
	}
	if key == nil {
		return nil, signing.ErrUnknownSigner
	}
	return s.cache.keep(s.signerOf(*key)), nil
}

// Signers implements signing.Keys: no key that was made is there from the start.
func (s *Service) Signers() []signing.Signer { return nil }

func (s *Service) signerOf(k Key) signing.Signer {
	made := &signer{key: k, sources: s.sources}
	if s.sources.SignsWhole(k.Source) {
		return &wholeSigner{made}
	}
	return made
}

// signer is a key that is opened when it is needed.
type signer struct {
	key     Key
	sources Sources

	mu     sync.Mutex // guards opened; never held while a key service is asked
	opened signing.Signer
}

func (s *signer) Address() common.Address { return s.key.Address }

func (s *signer) Ref() signing.KeyRef { return s.key.Ref }

// Sign implements signing.Signer.
func (s *signer) Sign(ctx context.Context, digest [32]byte) (signing.Signature, error) {
	opened, err := s.open(ctx)
	if err != nil {
		return signing.Signature{}, err
	}
	return opened.Sign(ctx, digest)
}

func (s *signer) open(ctx context.Context) (signing.Signer, error) {
	s.mu.Lock()
	opened := s.opened
	s.mu.Unlock()
	if opened != nil {
		return opened, nil
	}
	opened, err := s.sources.OpenMade(ctx, s.key.Source, s.key.place)
	if err != nil {
		return nil, s.cannotOpen(err)
	}
	if opened.Address() != s.key.Address {
		return nil, &signing.PermanentError{Key: s.key.Ref, Reason: "the key that its source has there is another one"}
	}
	s.mu.Lock()
	s.opened = opened
	s.mu.Unlock()
	return opened, nil
}

// cannotOpen makes an error one of those that signing.Signer allows.
func (s *signer) cannotOpen(err error) error {
	var away *signing.UnavailableError
	var refused *signing.PermanentError
	if errors.As(err, &away) || errors.As(err, &refused) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &signing.PermanentError{Key: s.key.Ref, Reason: "the source " + s.key.Source + " is not in the configuration, or of another kind than it was", Err: err}
}

// wholeSigner is a signer of whole transactions.
type wholeSigner struct{ *signer }

// SignTransaction implements signing.TransactionSigner.
func (s *wholeSigner) SignTransaction(ctx context.Context, tx *types.Transaction, rules types.Signer) (signing.Signature, error) {
	opened, err := s.open(ctx)
	if err != nil {
		return signing.Signature{}, err
	}
	whole, ok := opened.(signing.TransactionSigner)
	if !ok {
		return signing.Signature{}, &signing.PermanentError{Key: s.key.Ref, Reason: "the key signs no whole transactions"}
	}
	return whole.SignTransaction(ctx, tx, rules)
}
