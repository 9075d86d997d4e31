package cache

import (
	"fmt"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
)

// Finality says what may still happen to an answer. Its text stands in policies.
type Finality uint8

// The finalities.
const (
	// Finalized answers cannot change any more.
	Finalized Finality = iota
	// Unfinalized answers are of a block that may be taken back.
	Unfinalized
	// Realtime answers hold until the next block at most.
	Realtime
	// Unknown is where nothing tells which block an answer belongs to.
	Unknown

	// volatile answers are never kept: they may change at any moment.
	volatile
	// told answers say themselves which block they belong to.
	told
)

// String is the finality in configuration files.
func (f Finality) String() string {
	names := [...]string{"finalized", "unfinalized", "realtime", "unknown"}
	if int(f) < len(names) {
		return names[f]
	}
	return "none"
}

// UnmarshalText reads a finality.
func (f *Finality) UnmarshalText(text []byte) error {
	for known := Finalized; known <= Unknown; known++ {
		if known.String() == string(text) {
			*f = known
			return nil
		}
	}
	return fmt.Errorf("%q is no finality: write finalized, unfinalized, realtime or unknown", text)
}

// MarshalText writes a finality.
func (f Finality) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// FinalityOf says what may still happen to the answer to a read. Unknown is that of
// an answer that does not tell its block, of the pending block, and of what was
// not asked by a read.
func FinalityOf(facts methods.Facts, value []byte, head chain.Head) Finality {
	switch finality := finalityOf(facts, head); finality {
	case told:
		if number, ok := blockOf(facts, value); ok {
			return finalityAtNumber(number, head)
		}
		return Unknown
	case volatile:
		return Unknown
	default:
		return finality
	}
}

// finalityOf says what is known of an answer before it is there.
func finalityOf(facts methods.Facts, head chain.Head) Finality {
	if facts.Method.Kind != methods.Read || facts.Ref == methods.RefTag && facts.Tag == methods.Pending {
		return volatile
	}
	switch facts.Method.Cache {
	case methods.CacheNow:
		return Realtime
	case methods.CacheAlways:
		return Finalized
	case methods.CacheByContent:
		if facts.Ref == methods.RefHash {
			return told
		}
	case methods.CacheLogs:
		if facts.Ref == methods.RefHash {
			return told
		}
		return finalityAt(facts, head)
	case methods.CacheByBlock:
		return finalityAt(facts, head)
	case methods.CacheNever:
		if facts.Ref == methods.RefTag || facts.Ref == methods.RefDefault {
			return Realtime
		}
	}
	return Unknown
}

// finalityAt judges a request that names its block.
func finalityAt(facts methods.Facts, head chain.Head) Finality {
	switch facts.Ref {
	case methods.RefNumber:
		return finalityAtNumber(facts.Number, head)
	case methods.RefTag, methods.RefDefault:
		return Realtime
	case methods.RefHash, methods.RefNone:
		return Unknown
	}
	return Unknown
}

func finalityAtNumber(number uint64, head chain.Head) Finality {
	if head.IsFinal(number) {
		return Finalized
	}
	return Unfinalized
}
