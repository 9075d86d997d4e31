package wallets

import (
	"errors"
	"time"
)

// Errors callers tell apart.
var (
	// ErrUnknownWallet says that an address is no wallet of this signer.
	ErrUnknownWallet = errors.New("no wallet has this address")
	// ErrUnknownVerification says that the wallet has no such verification.
	ErrUnknownVerification = errors.New("the wallet has no such verification")
	// ErrIndexTaken says that a wallet has the wanted index, or had it.
	ErrIndexTaken = errors.New("the wallet index is taken")
	// ErrTooMany says that a wallet has as many verifications as it may.
	ErrTooMany = errors.New("the wallet has too many verifications")
	// ErrUnverified says that a response is wrong, or that its challenge does
	// not exist, is over or was answered before. It does not say which.
	ErrUnverified = errors.New("the challenge response is wrong, or its challenge is unknown, expired or used")
	// ErrUnavailable says that the database could not be reached.
	ErrUnavailable = errors.New("the database cannot be reached")
	// ErrSealed says that stored secrets were sealed with another key.
	ErrSealed = errors.New("the wallet's verification was sealed with another encryption key")
)

// InvalidError is a request that makes no sense. Its text is made for the
// client and repeats no secret.
type InvalidError struct{ Detail string }

// Error implements error.
func (e *InvalidError) Error() string { return e.Detail }

func invalid(detail string) error { return &InvalidError{detail} }

// LockedError says that a verification takes no response for a while, because
// of too many wrong ones.
type LockedError struct{ Until time.Time }

// Error implements error.
func (e *LockedError) Error() string {
	return "too many wrong responses: the verification is locked until " + e.Until.UTC().Format(time.RFC3339)
}
