package cache

import "errors"

// entryVersion is the first byte of a stored entry. Another first byte means
// another form, written by an older or a newer release: such an entry is a miss.
const entryVersion = 1

var errForeignEntry = errors.New("the stored entry has another form")

// encode writes an entry for a store outside the process.
func (e Entry) encode() []byte {
	return append(append(make([]byte, 0, len(e.Value)+1), entryVersion), e.Value...)
}

// decodeEntry reads what encode wrote. The entry shares the text's bytes.
func decodeEntry(text []byte) (Entry, error) {
	if len(text) < 2 || text[0] != entryVersion {
		return Entry{}, errForeignEntry
	}
	return Entry{Value: text[1:]}, nil
}
