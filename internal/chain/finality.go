package chain

import "fmt"

// Mode says how a network's finalized block is known.
type Mode uint8

// The modes.
const (
	Auto    Mode = iota // ask the first reachable node which of the others fits
	Instant             // every block is final (QBFT, IBFT2)
	ByTag               // the nodes answer "finalized"
	ByDepth             // a block is final when enough blocks follow it
)

// DefaultDepth is the depth behind which a block counts as final on networks
// that say nothing themselves: two epochs of 32 slots, as in proof of stake.
const DefaultDepth = 64

// String is the mode's name in configuration files.
func (m Mode) String() string {
	switch m {
	case Auto:
		return "auto"
	case Instant:
		return "instant"
	case ByTag:
		return "tag"
	case ByDepth:
		return "depth"
	default:
		return "unknown"
	}
}

// UnmarshalText reads a mode's name.
func (m *Mode) UnmarshalText(text []byte) error {
	for _, mode := range []Mode{Auto, Instant, ByTag, ByDepth} {
		if mode.String() == string(text) {
			*m = mode
			return nil
		}
	}
	return fmt.Errorf("finality %q: must be auto, instant, tag or depth", text)
}

// MarshalText writes a mode's name.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Finality is a network's rule of finality.
type Finality struct {
	Mode Mode
	// Depth in blocks, used by ByDepth only.
	Depth uint64
}

// Finalized says which block is final when latest is the newest block and
// tagged the newest one that a node called finalized (0: none yet). It is false
// when nothing is known to be final.
func (f Finality) Finalized(latest, tagged uint64) (uint64, bool) {
	switch f.Mode {
	case Instant:
		return latest, true
	case ByTag:
		return tagged, tagged > 0
	case ByDepth:
		if latest < f.Depth {
			return 0, false
		}
		return latest - f.Depth, true
	default:
		return 0, false
	}
}
