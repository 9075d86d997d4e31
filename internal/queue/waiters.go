package queue

import (
	"sync"

	"github.com/google/uuid"
)

// waiters wakes callers who wait until a transaction has moved. It is only a
// shortcut: whoever waits also looks into the database from time to time,
// since another replica may drive the sender.
type waiters struct {
	mu      sync.Mutex
	waiting map[uuid.UUID][]chan struct{}
}

func newWaiters() *waiters { return &waiters{waiting: map[uuid.UUID][]chan struct{}{}} }

// wait returns a channel that is closed at the transaction's next move, and a
// function that must be called when the caller no longer waits.
func (w *waiters) wait(id uuid.UUID) (<-chan struct{}, func()) {
	ch := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[id] = append(w.waiting[id], ch)
	return ch, func() { w.leave(id, ch) }
}

func (w *waiters) leave(id uuid.UUID, ch chan struct{}) {
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

// moved wakes those who wait for the transaction.
func (w *waiters) moved(id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.waiting[id] {
		close(ch)
	}
	delete(w.waiting, id)
}
