package deploy

import "sync"

// maxWarnings bounds how many different warnings of an operation are told; the
// API server may send one with each answer.
const maxWarnings = 100

// warnings passes on what the API server says beside its answers, such as that
// a pod would break a Pod Security Standard: each text once an operation.
type warnings struct {
	mu   sync.Mutex
	tell Tell
	told map[string]bool
}

// begin makes an operation's progress the place where warnings are told.
func (w *warnings) begin(tell Tell) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell, w.told = tell, make(map[string]bool)
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tell == nil || text == "" || w.told[text] || len(w.told) >= maxWarnings {
		return
	}
	w.told[text] = true
	w.tell(Event{"warning", "", text})
}
