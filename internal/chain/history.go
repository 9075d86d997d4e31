package chain

import (
	"sync"
	"sync/atomic"
	"time"
)

// history remembers the hashes of recent blocks that can still be taken back,
// and notices when one of them has been.
type history struct {
	lastReorg atomic.Int64 // Unix nanoseconds; 0: none was seen

	mu        sync.Mutex
	hashes    map[uint64]string
	listeners []func(Reorg)
}

// maxHistory bounds the remembered hashes. Deeper reorganisations than this do
// not happen outside of broken networks, and all of them show at the top.
const maxHistory = 256

// Reorg says that the chain has taken blocks back.
type Reorg struct {
	// Number is the block at which it was noticed. Blocks below may be concerned
	// as well, down to the finalized one: where the branches part is not known.
	Number uint64
	// Was and Is are the hashes of that block before and after.
	Was, Is string
}

// OnReorg registers a listener, which is called in the goroutine of whoever
// reported the block and must not wait for anything.
func (t *Tracker) OnReorg(listener func(Reorg)) {
	t.history.mu.Lock()
	defer t.history.mu.Unlock()
	t.history.listeners = append(t.history.listeners, listener)
}

// ObserveBlock reports a block with its hash and that of its parent, as nodes
// write them. Where blocks are final at once there is nothing to learn from it.
func (t *Tracker) ObserveBlock(number uint64, hash, parent string) {
	head := t.Head()
	if t.Finality().Mode == Instant || hash == "" || head.IsFinal(number) || number+maxHistory <= head.Latest {
		return
	}
	h := &t.history
	h.mu.Lock()
	reorg, found := h.learn(number, hash, parent)
	for known := range h.hashes {
		if known+maxHistory <= number || head.IsFinal(known) {
			delete(h.hashes, known)
		}
	}
	listeners := h.listeners
	h.mu.Unlock()
	if !found {
		return
	}
	h.lastReorg.Store(time.Now().UnixNano())
	for _, listener := range listeners {
		listener(reorg)
	}
}

// learn takes a block in; it needs the lock. Once the chain is known to have
// turned, what was remembered of it is worth nothing.
func (h *history) learn(number uint64, hash, parent string) (Reorg, bool) {
	if h.hashes == nil {
		h.hashes = map[uint64]string{}
	}
	var reorg Reorg
	if was, ok := h.hashes[number]; ok && was != hash {
		reorg = Reorg{Number: number, Was: was, Is: hash}
	} else if was, ok := h.hashes[number-1]; ok && number > 0 && parent != "" && was != parent {
		reorg = Reorg{Number: number - 1, Was: was, Is: parent}
	}
	isTurned := reorg != Reorg{}
	if isTurned {
		clear(h.hashes)
	}
	h.hashes[number] = hash
	if number > 0 && parent != "" {
		h.hashes[number-1] = parent
	}
	return reorg, isTurned
}

// HashOf is the hash of a recent block that is not final; empty when it is not known.
func (t *Tracker) HashOf(number uint64) string {
	t.history.mu.Lock()
	defer t.history.mu.Unlock()
	return t.history.hashes[number]
}

// LastReorg is when the chain was last seen to take a block back; the zero time
// when it never was.
func (t *Tracker) LastReorg() time.Time {
	at := t.history.lastReorg.Load()
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}
