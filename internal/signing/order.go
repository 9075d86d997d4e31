package signing

import (
	"context"
	"errors"
)

// ErrNoSource says that the configuration has no source of keys of a name.
var ErrNoSource = errors.New("there is no such source of keys")

// Order is a key that is to be made in a key service. An order that did not end is
// repeated with the same ID, so that what an earlier attempt made is found.
type Order struct {
	// ID names the order, here and in the key service: letters, digits and hyphens.
	ID string
	// Name is what people call the key.
	Name string
	// IsRepeated says that an earlier attempt may have made the key.
	IsRepeated bool
	// Place is where the key is, as an earlier attempt noted; "" for nowhere yet.
	Place string
	// Note writes down where the key is. Whoever makes it calls it as soon as he knows,
	// and does nothing more when it fails.
	Note func(ctx context.Context, place string) error
}

// UnsupportedError says that keys cannot be made at a place.
type UnsupportedError struct {
	// Reason says why, and what to do instead, in words that are safe to show to
	// anybody.
	Reason string
}

func (e *UnsupportedError) Error() string { return e.Reason }
