package queue

import (
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
)

// notice tells a waiter that its transaction has moved. signed is nil when it
// has to look for itself.
type notice struct{ signed *signature }

// signature is what a caller of eth_sendTransaction waits for.
type signature struct {
	nonce uint64
	hash  common.Hash
}

// waiters wakes callers who wait until a transaction is signed or has ended. It
// is only a shortcut: whoever waits also looks into the database from time to
// time, since another replica may drive the sender.
type waiters struct {
	mu      sync.Mutex
	waiting map[uuid.UUID][]chan notice
}

func newWaiters() *waiters { return &waiters{waiting: map[uuid.UUID][]chan notice{}} }

// wait returns a channel for one notice, and a function that must be called
// when the caller no longer waits.
func (w *waiters) wait(id uuid.UUID) (<-chan notice, func()) {
	ch := make(chan notice, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[id] = append(w.waiting[id], ch)
	return ch, func() { w.leave(id, ch) }
}

func (w *waiters) leave(id uuid.UUID, ch chan notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.waiting[id]
	for i, c := range list {
		if c == ch {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(w.waiting, id)
		return
	}
	w.waiting[id] = list
}

// tell wakes those who wait for the transaction.
func (w *waiters) tell(id uuid.UUID, n notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.waiting[id] {
		ch <- n // has room: one notice each
	}
	delete(w.waiting, id)
}
