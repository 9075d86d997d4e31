package cache

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"
)

// Entry is a kept answer. Its bytes are shared and never changed.
type Entry struct {
	Value    []byte // a JSON value
	Finality Finality
	// Number is the block it belongs to; of a realtime answer, the newest one
	// that was known when it was asked for. 0 where there is none.
	Number uint64
	// Hash is that block's, where the answer may still change and says it.
	Hash string
	// Asked is when the answer was asked for, in Unix milliseconds. 0 where it
	// does not matter.
	Asked int64
	// Until is when it expires, in Unix milliseconds; 0 is never.
	Until int64
}

// Age is how old the answer is.
func (e Entry) Age(now time.Time) time.Duration {
	if e.Asked == 0 {
		return 0
	}
	return now.Sub(time.UnixMilli(e.Asked))
}

// expiring is the entry with a time to live; 0 is for ever.
func (e Entry) expiring(now time.Time, ttl time.Duration) Entry {
	e.Until = 0
	if ttl > 0 {
		e.Until = now.Add(ttl).UnixMilli()
	}
	return e
}

// left is how long the entry may still be kept; not more than zero when its time
// is over. The clock may have been set since it was made, or the entry come from
// a gateway whose clock goes ahead: it never lives longer than it was to live
// when it was asked for.
func (e Entry) left(now time.Time) time.Duration {
	if e.Until == 0 {
		return forever
	}
	left := time.UnixMilli(e.Until).Sub(now)
	if e.Asked != 0 {
		left = min(left, time.Duration(e.Until-e.Asked)*time.Millisecond)
	}
	if e.Finality != Finalized {
		left = min(left, maxVolatileTTL)
	}
	return left
}

// entryVersion is the first byte of a stored entry. Another first byte means
// another form, written by an older or a newer release: such an entry is a miss.
const entryVersion = 2

// The head of a stored entry: version, flags, finality, length of the hash, then
// number, time asked and time of expiry in 8 bytes each, then the hash, then the value.
const (
	fixedHead = 4 + 3*8
	hashSize  = 32
	isPacked  = 1 // flag: the value is compressed with zstd
)

var errForeignEntry = errors.New("the stored entry has another form")

// appendHead writes everything but the value.
func (e Entry) appendHead(dst []byte, flags byte) []byte {
	hash, err := hex.DecodeString(trim0x(e.Hash))
	if err != nil || len(hash) != hashSize {
		hash = nil
	}
	dst = append(dst, entryVersion, flags, byte(e.Finality), byte(len(hash)))
	dst = binary.BigEndian.AppendUint64(dst, e.Number)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Asked))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Until))
	return append(dst, hash...)
}

func trim0x(s string) string {
	if len(s) > 2 && s[:2] == "0x" {
		return s[2:]
	}
	return s
}

// readHead reads what appendHead wrote. The value is what follows, packed or
// not; it shares the text's bytes.
func readHead(text []byte) (e Entry, flags byte, err error) {
	if len(text) < fixedHead || text[0] != entryVersion || text[1] > isPacked || Finality(text[2]) > Unknown {
		return Entry{}, 0, errForeignEntry
	}
	e = Entry{
		Finality: Finality(text[2]),
		Number:   binary.BigEndian.Uint64(text[4:]),
		Asked:    int64(binary.BigEndian.Uint64(text[12:])),
		Until:    int64(binary.BigEndian.Uint64(text[20:])),
	}
	size := int(text[3])
	if size != 0 && size != hashSize || len(text) <= fixedHead+size {
		return Entry{}, 0, errForeignEntry
	}
	if size > 0 {
		e.Hash = "0x" + hex.EncodeToString(text[fixedHead:fixedHead+size])
	}
	e.Value = text[fixedHead+size:]
	return e, text[1], nil
}
