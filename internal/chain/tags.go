package chain

// TagNumber says which number to write in place of "safe" and "finalized".
// Where the nodes know these tags themselves, none is written.
func (f Finality) TagNumber(h Head) (uint64, bool) {
	if f.Mode == ByTag || f.Mode == Auto || !h.HasFinalized {
		return 0, false
	}
	return h.Finalized, true
}
