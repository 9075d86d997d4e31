package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// verifiedFor is how long a credential that was verified is believed without
	// looking again. It bounds how long a key that was withdrawn still counts.
	verifiedFor = 30 * time.Second
	// maxVerified bounds how many are remembered.
	maxVerified = 10_000
)

// verified remembers credentials whose signature was right, by their digest:
// verifying one costs more than answering from the cache.
type verified struct {
	mu      sync.RWMutex
	entries map[[sha256.Size]byte]verifiedEntry
}

type verifiedEntry struct {
	as    *Principal
	until time.Time
}

func newVerified() *verified {
	return &verified{entries: map[[sha256.Size]byte]verifiedEntry{}}
}

func (v *verified) get(digest [sha256.Size]byte, now time.Time) *Principal {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if e, has := v.entries[digest]; has && now.Before(e.until) {
		return e.as
	}
	return nil
}

// put remembers a credential until it expires, and verifiedFor at most. A zero
// expires is never.
func (v *verified) put(digest [sha256.Size]byte, as *Principal, now, expires time.Time) {
	until := now.Add(verifiedFor)
	if !expires.IsZero() && expires.Before(until) {
		until = expires
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.entries) >= maxVerified {
		v.makeRoom(now)
	}
	v.entries[digest] = verifiedEntry{as, until}
}

// makeRoom drops what is over, or else any one.
func (v *verified) makeRoom(now time.Time) {
	const look = 16
	looked := 0
	for digest, e := range v.entries {
		if looked++; !now.Before(e.until) || looked == look {
			delete(v.entries, digest)
		}
		if looked == look {
			return
		}
	}
}

func (v *verified) clear() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.entries)
}
