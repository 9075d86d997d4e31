package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

var (
	// errNotYet says that no node has the block.
	errNotYet = errors.New("no node has the block yet")
	// errUnlinked says that answers do not fit together; asking again may help.
	errUnlinked = errors.New("the nodes show blocks that do not follow each other")
	// errTooDeep says that the chain has changed beyond what is remembered.
	errTooDeep = errors.New("the chain has changed further back than is remembered")

	errIncomplete = errors.New("the node shows logs of another block, or not all")
	errBloom      = errors.New("the logs do not make the bloom filter of their block")
	errTooFew     = errors.New("the bloom filter of the block speaks of more logs")
)

// source gives blocks by number. It answers errNotYet where there is none.
type source func(ctx context.Context, number uint64) (*block, error)

// next finds how the sequence goes on: with the block after its tip, or with
// another branch that is longer by at least that block. It does not change w.
func (w *window) next(ctx context.Context, blocks source) ([]*block, error) {
	first, err := blocks(ctx, w.tip().number+1)
	if err != nil {
		return nil, err
	}
	branch := []*block{first} // the newest first
	for {
		oldest := branch[len(branch)-1]
		if oldest.number == 0 {
			return nil, errTooDeep
		}
		known := w.at(oldest.number - 1)
		if known == nil {
			return nil, errTooDeep
		}
		if known.hash == oldest.parent {
			slices.Reverse(branch)
			return branch, nil
		}
		parent, err := blocks(ctx, oldest.number-1)
		if err != nil {
			return nil, fmt.Errorf("look for the fork: %w", err)
		}
		if parent.hash != oldest.parent {
			return nil, errUnlinked
		}
		branch = append(branch, parent)
	}
}
