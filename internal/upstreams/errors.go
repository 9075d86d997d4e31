package upstreams

import (
	"errors"
	"fmt"
)

// ErrNoUpstream says that no node can be asked: none is reachable, or none
// shows the right chain.
var ErrNoUpstream = errors.New("no upstream can be asked")

// ExhaustedError says that every permitted attempt ended without an answer.
type ExhaustedError struct {
	Last     Outcome // of the last attempt
	Attempts int
}

// Error implements error.
func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("no answer after %d attempts, the last one was %s", e.Attempts, e.Last)
}

// OversizedError says that an answer exceeds what the gateway takes of a node.
type OversizedError struct{ Limit int64 } // in bytes

// Error implements error.
func (e *OversizedError) Error() string {
	return fmt.Sprintf("the answer is larger than %d bytes: ask for less at a time", e.Limit)
}

// WrongChainError says that every node shows another chain than the one that
// was asked for.
type WrongChainError struct {
	Want, Found uint64 // chain ids
	// Genesis is set when the chain id fits and only block 0 differs.
	Genesis bool
}

// Error implements error.
func (e *WrongChainError) Error() string {
	if e.Genesis {
		return fmt.Sprintf("every upstream shows another genesis block than the configured one (chain id %d)", e.Want)
	}
	return fmt.Sprintf("every upstream shows chain id %d, configured is chain id %d", e.Found, e.Want)
}

// Causes of an ended attempt.
var (
	errAttemptTimeout = errors.New("the node did not answer within the attempt timeout")
	errLostRace       = errors.New("another node answered first")
	errTooLarge       = errors.New("the answer is larger than the limit")
	errRefused        = errors.New("no connection")
	errTaken          = errors.New("another node took the transaction")
)
