package queue

import "errors"

// Errors callers tell apart.
var (
	// ErrNotFound says that there is no such transaction.
	ErrNotFound = errors.New("no such transaction")
	// ErrUnknownSender says that the signer has no key for the sender.
	ErrUnknownSender = errors.New("no key for the sender")
	// ErrKeyReused says that an idempotency key came with another request before.
	ErrKeyReused = errors.New("the idempotency key was used with another request")
	// ErrDraining says that the sender takes no new transactions.
	ErrDraining = errors.New("the sender is draining and takes no new transactions")
	// ErrUnproven says that the account signs only for who shows a verification,
	// and that the request came without one.
	ErrUnproven = errors.New("the account signs only for who shows a verification")
	// ErrUnavailable says that the database could not be reached. A request
	// that met it may or may not have been accepted: repeating it with its
	// idempotency key is safe.
	ErrUnavailable = errors.New("the database cannot be reached")
	// ErrLoginRefused is the case of ErrUnavailable in which the database does not
	// take user and password. It passes when a changed password is in use on both
	// sides.
	ErrLoginRefused = errors.New("the database refuses the login")
	// ErrOtherChain says that the node shows another chain than the one the
	// signer was configured for or has worked on before.
	ErrOtherChain = errors.New("the node is on another chain")

	// errFenced says that the lease went to another holder, or that the nonce
	// moved: nothing was committed.
	errFenced = errors.New("the lease was lost")
	// errClaimChanged says that a claimed transaction was cancelled or
	// suspended meanwhile: nothing was committed.
	errClaimChanged = errors.New("a claimed transaction changed")
)
