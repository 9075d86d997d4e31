package methods

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWith_DefinedMethods(t *testing.T) {
	t.Parallel()

	no, yes := false, true
	own := New()
	require.Same(t, own, own.With(nil))
	c := own.With([]Definition{
		{Name: "ours_balance", Block: &BlockRef{Position: 2}},
		{Name: "ours_byMember", Block: &BlockRef{Member: "atBlock"}, PinsLatest: &yes},
		{Name: "ours_range", Block: &BlockRef{IsRange: true}},
		{Name: "ours_find", Block: &BlockRef{IsAny: true}, TellsBlock: true},
		{Name: "ours_config", Finalized: true},
		{Name: "ours_price", Realtime: true},
		{Name: "ours_session", Stateful: true},
		{Name: "ours_keeps", Block: &BlockRef{}, PinsLatest: &no, PinsFinalized: &no, MindsBounds: &no},
		{Name: "eth_getBlockByHash", Block: &BlockRef{}, TellsBlock: true},
		{Name: "eth_call", PinsLatest: &no},
		{Name: "eth_sendRawTransaction", Finalized: true},
		{Name: "eth_newFilter", Realtime: true},
	})

	for _, m := range own.All() {
		require.Equal(t, m.Index, c.Find(m.Name).Index, m.Name)
	}
	require.Equal(t, c.Len()-1, c.Find("nobody_knows").Index)
	seen := map[int]bool{}
	for _, m := range c.All() {
		require.False(t, seen[m.Index], m.Name)
		seen[m.Index] = true
		require.Less(t, m.Index, c.Len()-1)
	}

	for name, want := range map[string]struct {
		params string
		facts  Facts
	}{
		"ours_balance":  {`["a","b","0x5"]`, Facts{Ref: RefNumber, Number: 5}},
		"ours_byMember": {`[{"atBlock":"finalized"}]`, Facts{Ref: RefTag, Tag: Finalized}},
		"ours_range":    {`[{"fromBlock":"0x1","toBlock":"0x9"}]`, Facts{Ref: RefNumber, Number: 9}},
		"ours_find":     {`["` + hash32 + `"]`, Facts{Ref: RefHash}},
		"ours_keeps":    {`["finalized"]`, Facts{Ref: RefTag, Tag: Finalized}},
		"ours_config":   {`["latest"]`, Facts{}},
	} {
		got := c.Describe(name, []byte(want.params))
		require.Equal(t, Read, got.Method.Kind, name)
		got.Method = nil
		require.Equal(t, want.facts, got, name)
	}
	require.True(t, c.Describe("ours_balance", []byte(`[1,2,"finalized"]`)).HasTag)
	require.True(t, c.Describe("ours_balance", []byte(`[1,2,"latest"]`)).IsAtLatest())
	require.False(t, c.Describe("ours_byMember", []byte(`[{"atBlock":"latest"}]`)).IsAtLatest(), "a member is not written into")
	require.False(t, c.Describe("ours_keeps", []byte(`["latest"]`)).IsAtLatest())
	require.False(t, c.Describe("eth_call", []byte(`[{},"latest"]`)).IsAtLatest())
	require.True(t, own.Describe("eth_call", []byte(`[{},"latest"]`)).IsAtLatest(), "the gateway's own table stays")
	require.True(t, c.Find("ours_keeps").IgnoresBounds)

	require.Equal(t, CacheAlways, c.Find("ours_config").Cache)
	require.Equal(t, CacheNow, c.Find("ours_price").Cache)
	require.Equal(t, CacheByContent, c.Find("ours_find").Cache)
	require.Equal(t, Filter, c.Find("ours_session").Kind)
	require.Equal(t, CacheByContent, c.Find("eth_getBlockByHash").Cache, "who says what is known already changes nothing")
	require.Equal(t, Send, c.Find("eth_sendRawTransaction").Kind, "a way of its own")
	require.False(t, c.IsOpen("eth_chainId"))
	require.Equal(t, Read, c.Find("eth_newFilter").Kind, "the operator's word")
}

func TestDefinition_Validate(t *testing.T) {
	t.Parallel()

	require.NoError(t, Definition{Name: "a_b", Block: &BlockRef{Position: 15}}.Validate())
	for name, d := range map[string]Definition{
		"a pattern": {Name: "a_*"}, "no name": {}, "two at once": {Name: "a", Finalized: true, Stateful: true},
		"too far": {Name: "a", Block: &BlockRef{Position: 16}}, "a range elsewhere": {Name: "a", Block: &BlockRef{Position: 1, IsRange: true}},
	} {
		require.Error(t, d.Validate(), name)
	}
}
