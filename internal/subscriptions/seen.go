package subscriptions

import "github.com/ethereum/go-ethereum/common"

// seenSize is how many hashes are remembered at least.
const seenSize = 32768

// seen remembers the latest hashes: between seenSize and twice as many.
type seen struct{ young, old map[common.Hash]struct{} }

// add says whether the hash is new.
func (s *seen) add(h common.Hash) bool {
	if _, is := s.young[h]; is {
		return false
	}
	if _, is := s.old[h]; is {
		return false
	}
	if s.young == nil || len(s.young) >= seenSize {
		s.old, s.young = s.young, make(map[common.Hash]struct{})
	}
	s.young[h] = struct{}{}
	return true
}
