package gateway

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

var errNotList = errors.New("the answer to a piece of a search is no list")

// merged makes one answer of those to the pieces, which stand in the order of
// their blocks. The lists are put behind one another as they are; only pieces
// of the same block, which were cut by address or topic, are put in order.
func merged(pieces []*piece) (*Result, error) {
	out := &Result{Source: FromCache, Parts: [][]byte{[]byte("[")}, Head: pieces[0].result.Head, Upstream: pieces[0].result.Upstream}
	for begin := 0; begin < len(pieces); {
		end := begin + 1
		for end < len(pieces) && pieces[end].query.from == pieces[begin].query.from {
			end++
		}
		body, err := bodyOf(pieces[begin:end])
		if err != nil {
			return nil, err
		}
		if len(body) > 0 {
			if len(out.Parts) > 1 {
				out.Parts = append(out.Parts, []byte(","))
			}
			out.Parts = append(out.Parts, body)
		}
		for _, p := range pieces[begin:end] {
			out.learn(p.result)
		}
		begin = end
	}
	out.Parts = append(out.Parts, []byte("]"))
	return out, nil
}

// learn adds where a piece came from. Of several nodes none is named.
func (r *Result) learn(piece *Result) {
	if piece.Source != FromCache {
		r.Source = FromUpstream
	}
	if piece.Upstream != r.Upstream {
		r.Upstream = ""
	}
	r.Head = min(r.Head, piece.Head)
}

// bodyOf is what stands between the brackets of the pieces of one range.
func bodyOf(same []*piece) ([]byte, error) {
	if len(same) == 1 {
		return inner(same[0].result.Value)
	}
	type entry struct {
		index uint64
		text  []byte
	}
	var entries []entry
	for _, p := range same {
		if _, err := inner(p.result.Value); err != nil {
			return nil, err
		}
		for _, text := range jsonrpc.Elements(p.result.Value) {
			index, _ := methods.ParseQuantity(jsonrpc.Member(text, "logIndex"))
			entries = append(entries, entry{index, text})
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.index, b.index) })
	// An address or a topic that stands twice in the filter finds its logs twice.
	entries = slices.CompactFunc(entries, func(a, b entry) bool { return a.index == b.index })
	texts := make([][]byte, 0, len(entries))
	for _, e := range entries {
		texts = append(texts, e.text)
	}
	return bytes.Join(texts, []byte(",")), nil
}

// inner is what stands between the brackets of a JSON array, which is known to
// be well formed.
func inner(list []byte) ([]byte, error) {
	list = bytes.TrimSpace(list)
	switch {
	case string(list) == "null":
		return nil, nil
	case len(list) < 2 || list[0] != '[':
		return nil, errNotList
	default:
		return bytes.TrimSpace(list[1 : len(list)-1]), nil
	}
}
