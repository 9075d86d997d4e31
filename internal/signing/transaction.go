package signing

import (
	"context"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// TransactionSigner is what a Signer implements besides whose key service signs
// whole transactions only, never a digest.
type TransactionSigner interface {
	// SignTransaction returns the signature of tx, for the chain and the
	// signature scheme of rules.
	SignTransaction(ctx context.Context, tx *types.Transaction, rules types.Signer) (Signature, error)
}

// SignTransaction signs a transaction in the way the key can.
func SignTransaction(ctx context.Context, key Signer, tx *types.Transaction, rules types.Signer) (*types.Transaction, error) {
	var signature Signature
	var err error
	if whole, ok := key.(TransactionSigner); ok {
		signature, err = whole.SignTransaction(ctx, tx, rules)
	} else {
		signature, err = key.Sign(ctx, rules.Hash(tx))
	}
	if err != nil {
		return nil, err
	}
	signed, err := tx.WithSignature(rules, signature[:])
	if err != nil {
		return nil, fmt.Errorf("attach signature: %w", err)
	}
	return signed, nil
}

// Verified wraps a key whose signatures are made outside this process: none is
// returned that does not lead back to the key's address. A wrong one is a
// PermanentError, since a service that answers with another key's signature is
// not to be asked again before somebody has looked at it.
func Verified(key Signer) Signer {
	v := verified{key}
	if whole, ok := key.(TransactionSigner); ok {
		return verifiedWhole{verified: v, whole: whole}
	}
	return v
}

type verified struct{ key Signer }

func (v verified) Address() common.Address { return v.key.Address() }

func (v verified) Ref() KeyRef { return v.key.Ref() }

func (v verified) Sign(ctx context.Context, digest [32]byte) (Signature, error) {
	sig, err := v.key.Sign(ctx, digest)
	if err != nil {
		return Signature{}, err
	}
	return v.check(sig, digest)
}

func (v verified) check(sig Signature, digest [32]byte) (Signature, error) {
	if err := Verify(sig, digest, v.Address()); err != nil {
		return Signature{}, &PermanentError{Key: v.Ref(), Reason: "the key service returned a " + err.Error(), Err: err}
	}
	return sig, nil
}

type verifiedWhole struct {
	verified
	whole TransactionSigner
}

func (v verifiedWhole) SignTransaction(ctx context.Context, tx *types.Transaction, rules types.Signer) (Signature, error) {
	sig, err := v.whole.SignTransaction(ctx, tx, rules)
	if err != nil {
		return Signature{}, err
	}
	return v.check(sig, rules.Hash(tx))
}
