package wallets

import (
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// unprotected remembers for a moment which accounts have no verification: most
// have none, and each of their transactions would ask the database. What this
// process adds counts at once; what another replica adds, within
// unprotectedFor. That an account is protected is never remembered.
type unprotected struct {
	mu    sync.Mutex // guards the fields below
	until map[common.Address]time.Time
	// changes counts what this process added, so that an answer from before is
	// not remembered after it.
	changes int
}

const (
	unprotectedFor = time.Second
	// maxUnprotected bounds the memory: beyond it all is forgotten.
	maxUnprotected = 10_000
)

// has says whether an account is known to be open, and at which change.
func (u *unprotected) has(a common.Address, now time.Time) (isOpen bool, change int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return now.Before(u.until[a]), u.changes
}

// note remembers an account, unless something was added since.
func (u *unprotected) note(a common.Address, now time.Time, change int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if change != u.changes {
		return
	}
	if u.until == nil || len(u.until) >= maxUnprotected {
		u.until = map[common.Address]time.Time{}
	}
	u.until[a] = now.Add(unprotectedFor)
}

// forget forgets everything.
func (u *unprotected) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.changes++
	u.until = nil
}
