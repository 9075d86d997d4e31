package subscriptions

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// Bounds of a filter, those of go-ethereum.
const (
	maxTopics    = 4
	maxAddresses = 1000
	maxSubTopics = 1000
)

// filter says which logs a subscriber wants. The zero filter wants all.
type filter struct {
	addresses []common.Address
	topics    [][]common.Hash // empty at a place: anything
	// from and to bound the blocks; to counts only when hasTo is set.
	from, to uint64
	hasTo    bool
	// needs are the terms as a bloom filter shows them: of each set one must be there.
	needs [][]bloomBits
}

// parseFilter reads a filter object; absent or null means all logs.
func parseFilter(text []byte) (filter, error) {
	var f filter
	if len(text) == 0 || string(text) == "null" {
		return f, nil
	}
	if text[0] != '{' {
		return f, errors.New("the filter must be an object")
	}
	if h := jsonrpc.Member(text, "blockHash"); h != nil && string(h) != "null" {
		return f, errors.New("blockHash: a subscription is about blocks to come")
	}
	var err error
	if f.addresses, err = parseAddresses(jsonrpc.Member(text, "address")); err != nil {
		return f, err
	}
	if f.topics, err = parseTopics(jsonrpc.Member(text, "topics")); err != nil {
		return f, err
	}
	f.from, _ = methods.ParseQuantity(jsonrpc.Member(text, "fromBlock")) // tags mean "from now on"
	f.to, f.hasTo = methods.ParseQuantity(jsonrpc.Member(text, "toBlock"))
	f.needs = needs(f)
	return f, nil
}

// needs prepares the terms for the look at a bloom filter.
func needs(f filter) [][]bloomBits {
	var out [][]bloomBits
	if len(f.addresses) > 0 {
		set := make([]bloomBits, len(f.addresses))
		for i, a := range f.addresses {
			set[i] = bitsOf(a[:])
		}
		out = append(out, set)
	}
	for _, alternatives := range f.topics {
		if len(alternatives) == 0 {
			continue
		}
		set := make([]bloomBits, len(alternatives))
		for i, t := range alternatives {
			set[i] = bitsOf(t[:])
		}
		out = append(out, set)
	}
	return out
}

func parseAddresses(text []byte) ([]common.Address, error) {
	elements, err := oneOrMany(text, maxAddresses)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	out := make([]common.Address, len(elements))
	for i, e := range elements {
		if !decodeHex(out[i][:], e) {
			return nil, errors.New("address: must be 20 bytes in hexadecimal digits, or a list of such")
		}
	}
	return out, nil
}

func parseTopics(text []byte) ([][]common.Hash, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	if text[0] != '[' {
		return nil, errors.New("topics: must be a list")
	}
	places := jsonrpc.Elements(text)
	if len(places) > maxTopics {
		return nil, fmt.Errorf("topics: there are no more than %d", maxTopics)
	}
	out := make([][]common.Hash, len(places))
	for i, place := range places {
		alternatives, err := oneOrMany(place, maxSubTopics)
		if err != nil {
			return nil, fmt.Errorf("topics: %w", err)
		}
		for _, e := range alternatives {
			if string(e) == "null" { // among others: anything
				out[i] = nil
				break
			}
			var topic common.Hash
			if !decodeHex(topic[:], e) {
				return nil, errors.New("topics: each must be null, 32 bytes in hexadecimal digits, or a list of such")
			}
			out[i] = append(out[i], topic)
		}
	}
	return out, nil
}

// oneOrMany reads a value that may be a list of such; null is an empty list.
func oneOrMany(text []byte, limit int) ([][]byte, error) {
	switch {
	case len(text) == 0 || string(text) == "null":
		return nil, nil
	case text[0] != '[':
		return [][]byte{text}, nil
	}
	elements := jsonrpc.Elements(text)
	if len(elements) > limit {
		return nil, fmt.Errorf("there may be %d alternatives", limit)
	}
	return elements, nil
}

// matches says whether a log is wanted. It decides as nodes do.
func (f *filter) matches(l *logEntry, number uint64) bool {
	if number < f.from || f.hasTo && number > f.to {
		return false
	}
	if len(f.addresses) > 0 && !slices.Contains(f.addresses, l.address) {
		return false
	}
	if len(f.topics) > len(l.topics) {
		return false
	}
	for i, alternatives := range f.topics {
		if len(alternatives) > 0 && !slices.Contains(alternatives, l.topics[i]) {
			return false
		}
	}
	return true
}

// mayMatch says whether a block with this bloom filter can have wanted logs.
func (f *filter) mayMatch(b *bloom, number uint64) bool {
	if number < f.from || f.hasTo && number > f.to {
		return false
	}
	for _, set := range f.needs {
		if !slices.ContainsFunc(set, b.has) {
			return false
		}
	}
	return true
}
