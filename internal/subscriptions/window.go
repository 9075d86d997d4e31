package subscriptions

import "slices"

// maxWindow is how many blocks are remembered: reorganisations up to this depth
// are told exactly.
const maxWindow = 128

// window is the end of the sequence: linked blocks, the oldest first, never empty.
type window struct{ blocks []*block }

func (w *window) tip() *block { return w.blocks[len(w.blocks)-1] }

// at finds the block with a number, nil when it is not remembered.
func (w *window) at(number uint64) *block {
	oldest := w.blocks[0].number
	if number < oldest || number > w.tip().number {
		return nil
	}
	return w.blocks[number-oldest]
}

// step is one change of the sequence.
type step struct {
	removed []*block // the newest first
	added   []*block // the oldest first
}

// extend puts linked blocks in the place of whatever stood there. The first one
// must follow a remembered block.
func (w *window) extend(branch []*block) step {
	keep := branch[0].number - w.blocks[0].number
	removed := slices.Clone(w.blocks[keep:])
	slices.Reverse(removed)
	w.blocks = append(w.blocks[:keep:keep], branch...)
	if excess := len(w.blocks) - maxWindow; excess > 0 {
		w.blocks = slices.Clone(w.blocks[excess:]) // the old ones can be freed
	}
	return step{removed: removed, added: branch}
}
