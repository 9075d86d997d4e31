package cache

import "context"

// Entry is a kept answer. Its bytes are shared and never changed.
type Entry struct {
	Value []byte // a JSON value
}

// Store keeps entries. Its methods may be called from anywhere. They return no
// errors: what goes wrong is a miss, or an entry that is not kept.
type Store interface {
	Get(ctx context.Context, key Key) (Entry, bool)
	Set(ctx context.Context, key Key, entry Entry)
}
