package chain

// Head is where a network stands.
type Head struct {
	Latest    uint64
	Finalized uint64
	// IsKnown is false until a node has told its newest block.
	IsKnown bool
	// HasFinalized is false while no block is known to be final.
	HasFinalized bool
}

// IsFinal says whether a block can no longer change.
func (h Head) IsFinal(number uint64) bool { return h.HasFinalized && number <= h.Finalized }
