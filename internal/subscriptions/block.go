package subscriptions

import (
	"bytes"
	"encoding/hex"
	"errors"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// block is one block of the sequence.
type block struct {
	number       uint64
	hash, parent common.Hash
	// bloom is nil when the node gives none.
	bloom *bloom
	// header is the block as subscribers of heads see it, whole is the block as
	// the node gave it, with hashes of transactions. Both are never changed.
	header, whole []byte

	// isRemoved is set when another branch has taken the block's place.
	isRemoved atomic.Bool

	// Set when its logs were sent, by the feed of logs alone: the logs, and the
	// number of that sending.
	logs   []logEntry
	sentAt uint64
}

var errNotABlock = errors.New("the answer is no block")

// parseBlock reads an answer to eth_getBlockByNumber.
func parseBlock(text []byte) (*block, error) {
	b := &block{whole: text}
	number, ok := methods.ParseQuantity(jsonrpc.Member(text, "number"))
	if !ok || !decodeHex(b.hash[:], jsonrpc.Member(text, "hash")) || !decodeHex(b.parent[:], jsonrpc.Member(text, "parentHash")) {
		return nil, errNotABlock
	}
	b.number = number
	var filter bloom
	if decodeHex(filter[:], jsonrpc.Member(text, "logsBloom")) {
		b.bloom = &filter
	}
	b.header = text
	// What a block has beyond its header is what would make heads large.
	for _, name := range []string{"transactions", "uncles", "withdrawals"} {
		b.header = withoutMember(b.header, name)
	}
	return b, nil
}

// mayHaveLogs says whether the block can have logs at all.
func (b *block) mayHaveLogs() bool { return b.bloom == nil || !b.bloom.isEmpty() }

// logEntry is one log.
type logEntry struct {
	address common.Address
	topics  []common.Hash
	text    []byte // as the node gave it; never changed
}

var errNotALog = errors.New("the answer is no list of logs")

// parseLogs reads an answer to eth_getLogs for one block and checks that these
// are all logs of just that block: each names its hash, they are numbered
// without a gap, and together they make the bloom filter of the header.
func parseLogs(text []byte, b *block) ([]logEntry, error) {
	if len(text) == 0 || text[0] != '[' {
		return nil, errNotALog
	}
	elements := jsonrpc.Elements(text)
	logs := make([]logEntry, len(elements))
	var seen bloom
	for i, element := range elements {
		var hash common.Hash
		l := logEntry{text: element}
		if !decodeHex(hash[:], jsonrpc.Member(element, "blockHash")) || !decodeHex(l.address[:], jsonrpc.Member(element, "address")) {
			return nil, errNotALog
		}
		index, ok := methods.ParseQuantity(jsonrpc.Member(element, "logIndex"))
		if hash != b.hash || !ok || index != uint64(i) {
			return nil, errIncomplete
		}
		seen.add(l.address[:])
		for _, t := range jsonrpc.Elements(jsonrpc.Member(element, "topics")) {
			var topic common.Hash
			if !decodeHex(topic[:], t) {
				return nil, errNotALog
			}
			l.topics = append(l.topics, topic)
			seen.add(topic[:])
		}
		logs[i] = l
	}
	if b.bloom != nil && *b.bloom != seen {
		if seen.isWithin(b.bloom) {
			return logs, errTooFew
		}
		return logs, errBloom
	}
	return logs, nil
}

// removed is the log as it is told when its block was taken back.
func (l *logEntry) removed() []byte {
	member := jsonrpc.Member(l.text, "removed")
	if member == nil {
		out := append([]byte(nil), bytes.TrimRight(l.text[:len(l.text)-1], " \t\r\n")...)
		return append(out, `,"removed":true}`...)
	}
	start := offset(l.text, member)
	out := append([]byte(nil), l.text[:start]...)
	out = append(out, "true"...)
	return append(out, l.text[start+len(member):]...)
}

// withoutMember leaves one member out of an object.
func withoutMember(object []byte, name string) []byte {
	value := jsonrpc.Member(object, name)
	if value == nil {
		return object
	}
	end := offset(object, value) + len(value)
	start := bytes.LastIndex(object[:end-len(value)], []byte(`"`+name+`"`))
	if start < 0 { // written with escapes
		return object
	}
	rest := bytes.TrimLeft(object[end:], " \t\r\n")
	before := object[:start]
	if rest[0] == ',' {
		rest = rest[1:]
	} else {
		before = bytes.TrimRight(bytes.TrimRight(before, " \t\r\n"), ",")
	}
	out := make([]byte, 0, len(before)+len(rest))
	return append(append(out, before...), rest...)
}

// offset is where part, a slice of text, begins in it.
func offset(text, part []byte) int { return cap(text) - cap(part) }

// decodeHex reads a JSON string of exactly so many bytes, with 0x in front.
func decodeHex(dst, text []byte) bool {
	if len(text) != 2*len(dst)+4 || string(text[:3]) != `"0x` {
		return false
	}
	_, err := hex.Decode(dst, text[3:len(text)-1])
	return err == nil
}
