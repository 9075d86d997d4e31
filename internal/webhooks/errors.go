package webhooks

import "errors"

// What the operations on webhooks report.
var (
	// ErrNotFound says that the tenant has no such webhook, secret or delivery.
	ErrNotFound = errors.New("there is no such webhook, secret or delivery")
	// ErrTooMany says that the tenant has as many webhooks as it may.
	ErrTooMany = errors.New("the tenant has as many webhooks as it may")
	// ErrSecrets says that a webhook has one or two secrets, no fewer and no more.
	ErrSecrets = errors.New("a webhook has at least one secret and at most two")
	// ErrNotDead says that a delivery is still on its way.
	ErrNotDead = errors.New("the delivery is still pending")
	// ErrNoKey says that there is nothing to seal secrets with.
	ErrNoKey = errors.New("webhooks need an encryption key")
	// ErrUnavailable says that the database could not be reached.
	ErrUnavailable = errors.New("the database cannot be reached")
)

// InvalidError is a webhook that cannot be. Its text is made for the client.
type InvalidError struct {
	Field, Reason string
}

// Error implements error.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

func invalid(field, reason string) error { return &InvalidError{field, reason} }
