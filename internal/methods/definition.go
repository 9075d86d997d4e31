package methods

import (
	"errors"
	"fmt"
	"strings"
)

// Definition is what an operator knows of a method. What it leaves out stays as
// the catalogue has it; a method that the catalogue does not have is a read.
type Definition struct {
	Name string
	// Finalized: an answer never changes. Realtime: it holds until the next block
	// at most. Stateful: the node that was asked first keeps state for it. At most
	// one of them is set.
	Finalized, Realtime, Stateful bool
	// Block is where the parameters name the block; nil says nothing of it.
	Block *BlockRef
	// TellsBlock says that the answer names its block.
	TellsBlock bool
	// PinsLatest and PinsFinalized say whether latest, and safe and finalized, may
	// be written as the number they stand for; nil leaves it.
	PinsLatest, PinsFinalized *bool
	// MindsBounds says whether nodes that do not have the block by their
	// configuration are asked later; nil leaves it.
	MindsBounds *bool
}

// BlockRef is where the parameters of a method name its block.
type BlockRef struct {
	// Position is that of the parameter, from 0.
	Position int8
	// Member is the member of it that is the block; empty where the parameter is.
	Member string
	// IsRange says that it is a filter with fromBlock and toBlock.
	IsRange bool
	// IsAny says that the answer is the same at every block, as that to a
	// question for a transaction by its hash.
	IsAny bool
}

// maxPosition is far behind the parameters of any method.
const maxPosition = 15

// Validate says what is wrong with a definition.
func (d Definition) Validate() error {
	var errs []error
	if d.Name == "" || strings.ContainsAny(d.Name, "*|! \"") {
		errs = append(errs, errors.New("must be the name of one method"))
	}
	count := 0
	for _, is := range []bool{d.Finalized, d.Realtime, d.Stateful} {
		if is {
			count++
		}
	}
	if count > 1 {
		errs = append(errs, errors.New("finalized, realtime and stateful exclude each other"))
	}
	if b := d.Block; b != nil && (b.Position < 0 || b.Position > maxPosition || b.IsRange && b.Position != 0) {
		errs = append(errs, fmt.Errorf("the block must be one of the first %d parameters, a range of blocks the first", maxPosition+1))
	}
	return errors.Join(errs...)
}

// IsOpen says whether a method may be defined: what the gateway answers itself,
// sends in a way of its own, or refuses, may not.
func (c *Catalogue) IsOpen(name string) bool {
	switch c.Find(name).Kind {
	case Unknown, Read, Filter:
		return true
	default:
		return false
	}
}

// With is the catalogue with methods defined. The rows that both have keep their
// Index. Definitions of methods that are not open change nothing.
func (c *Catalogue) With(definitions []Definition) *Catalogue {
	if len(definitions) == 0 {
		return c
	}
	out := &Catalogue{rows: make(map[string]*Method, len(c.rows)+len(definitions)), unknown: &Method{}}
	for name, m := range c.rows {
		out.rows[name] = m
	}
	for _, d := range definitions {
		if !c.IsOpen(d.Name) {
			continue
		}
		row := Method{Name: d.Name, Kind: Read, Block: none, NullOK: true, Index: len(out.rows)}
		if known, ok := out.rows[d.Name]; ok {
			row = *known
		}
		row.define(d)
		out.rows[d.Name] = &row
	}
	*out.unknown = *c.unknown
	out.unknown.Index = len(out.rows)
	return out
}

// define changes a row to what an operator knows.
func (m *Method) define(d Definition) {
	switch {
	case d.Stateful:
		*m = Method{Name: m.Name, Kind: Filter, Block: none, NullOK: m.NullOK, Index: m.Index}
		return
	case m.Kind == Filter:
		m.Kind = Read // the operator says that it keeps no state
	}
	if d.Block != nil {
		m.refer(*d.Block, d.TellsBlock)
	}
	switch {
	case d.Finalized:
		m.Cache, m.PinsLatest = CacheAlways, false
	case d.Realtime:
		m.Cache, m.PinsLatest = CacheNow, false
	}
	if d.PinsLatest != nil {
		m.PinsLatest = *d.PinsLatest && (m.Cache == CacheByBlock || m.Cache == CacheLogs) && m.BlockMember == ""
	}
	if d.PinsFinalized != nil {
		m.KeepsFinalized = !*d.PinsFinalized
	}
	if d.MindsBounds != nil {
		m.IgnoresBounds = !*d.MindsBounds
	}
}

// refer sets where the block is named. A row that has it there already keeps
// what it knows of its answers.
func (m *Method) refer(b BlockRef, tellsBlock bool) {
	switch {
	case b.IsAny:
		if tellsBlock || m.Cache == CacheByContent {
			m.Block, m.Cache, m.PinsLatest = none, CacheByContent, false
		}
	case m.Block == b.Position && b.Member == m.BlockMember && m.Cache != CacheNever && b.IsRange == (m.Cache == CacheLogs):
	case b.IsRange:
		m.Block, m.BlockMember, m.Cache, m.PinsLatest = b.Position, "", CacheLogs, true
	default:
		m.Block, m.BlockMember, m.Cache, m.PinsLatest = b.Position, b.Member, CacheByBlock, b.Member == ""
	}
}
