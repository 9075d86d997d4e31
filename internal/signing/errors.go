package signing

import "fmt"

// UnavailableError says that a key cannot sign now and may later: its key
// service is sealed, away, overloaded or slow. Nothing has to be done to the
// key; to try again is right.
type UnavailableError struct {
	// Key names the key, or the source of keys.
	Key KeyRef
	// Reason says what is wrong, in words that are safe to show to anybody.
	Reason string
	// Err is what the client of the key service said; nil if nothing. It is no
	// part of the message, since nobody knows what it repeats.
	Err error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("signer unavailable: %s: %s", e.Key, e.Reason)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// Code is the closed word for this class of failure in APIs and metrics.
func (e *UnavailableError) Code() string { return "signer_unavailable" }

// PermanentError says that a key will not sign until somebody changes
// something: it is disabled, deleted, of another kind, or forbidden to us. Only
// this key is concerned.
type PermanentError struct {
	// Key names the key, or the source of keys.
	Key KeyRef
	// Reason says what is wrong, in words that are safe to show to anybody.
	Reason string
	// Err is what the client of the key service said; nil if nothing. It is no
	// part of the message, since nobody knows what it repeats.
	Err error
}

func (e *PermanentError) Error() string {
	return fmt.Sprintf("signer refused: %s: %s", e.Key, e.Reason)
}

func (e *PermanentError) Unwrap() error { return e.Err }

// Code is the closed word for this class of failure in APIs and metrics.
func (e *PermanentError) Code() string { return "signer_refused" }
