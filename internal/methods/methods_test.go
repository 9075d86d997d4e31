package methods

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const hash32 = "0x00000000000000000000000000000000000000000000000000000000000000ab"

func TestDescribe(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		method, params string
		want           Facts // without Method
	}{
		"tag":                    {"eth_getBalance", `["0xab","latest"]`, Facts{Ref: RefTag, Tag: Latest}},
		"finalized":              {"eth_getBalance", `["0xab", "finalized"]`, Facts{Ref: RefTag, Tag: Finalized, HasTag: true}},
		"number":                 {"eth_getBalance", `["0xab","0x1F"]`, Facts{Ref: RefNumber, Number: 31}},
		"earliest is block 0":    {"eth_getBalance", `["0xab","earliest"]`, Facts{Ref: RefNumber}},
		"left out":               {"eth_getBalance", `["0xab"]`, Facts{Ref: RefDefault}},
		"null":                   {"eth_call", `[{},null]`, Facts{Ref: RefDefault}},
		"EIP-1898 hash":          {"eth_call", `[{},{"blockHash":"` + hash32 + `"}]`, Facts{Ref: RefHash}},
		"EIP-1898 number":        {"eth_call", `[{},{"blockNumber":"0x5"}]`, Facts{Ref: RefNumber, Number: 5}},
		"wrong hex":              {"eth_getBalance", `["0xab","0xzz"]`, Facts{}},
		"decimal number":         {"eth_getBalance", `["0xab",12]`, Facts{}},
		"more than 64 bits":      {"eth_getBalance", `["0xab","0x11111111111111111"]`, Facts{}},
		"params by name":         {"eth_getBalance", `{"address":"0xab"}`, Facts{}},
		"no params":              {"eth_getBlockByNumber", ``, Facts{Ref: RefDefault}},
		"storage position":       {"eth_getStorageAt", `["0xab","0x0","0x2"]`, Facts{Ref: RefNumber, Number: 2}},
		"block hash":             {"eth_getBlockByHash", `["` + hash32 + `",false]`, Facts{Ref: RefHash}},
		"transaction hash":       {"eth_getTransactionReceipt", `["` + hash32 + `"]`, Facts{Ref: RefHash}},
		"log range":              {"eth_getLogs", `[{"fromBlock":"0x1","toBlock":"0x9"}]`, Facts{Ref: RefNumber, Number: 9}},
		"log range to finalized": {"eth_getLogs", `[{"fromBlock":"0x1","toBlock":"finalized"}]`, Facts{Ref: RefTag, Tag: Finalized, HasTag: true}},
		"log range from tag":     {"eth_getLogs", `[{"fromBlock":"safe","toBlock":"0x9"}]`, Facts{Ref: RefTag, Tag: Safe, HasTag: true}},
		"log range, open end":    {"eth_getLogs", `[{"fromBlock":"0x1"}]`, Facts{Ref: RefDefault}},
		"logs of one block":      {"eth_getLogs", `[{"blockHash":"` + hash32 + `"}]`, Facts{Ref: RefHash}},
		"logs without filter":    {"eth_getLogs", `[]`, Facts{}},
		"no block parameter":     {"eth_gasPrice", `[]`, Facts{}},
		"unknown method":         {"foo_bar", `["latest"]`, Facts{}},
	}
	catalogue := New()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := catalogue.Describe(c.method, []byte(c.params))

			c.want.Method = catalogue.Find(c.method)
			require.Equal(t, c.want, got)
		})
	}
}

func TestCatalogue_Rows(t *testing.T) {
	t.Parallel()

	c := New()
	seen := map[string]bool{}
	for _, m := range table() {
		require.False(t, seen[m.Name], "%s stands twice", m.Name)
		seen[m.Name] = true
		require.NotEqual(t, Unknown, m.Kind, m.Name)
		require.Equal(t, m.Kind == Refused || m.Kind == Subscription, m.Hint != "", "%s: methods that can be refused, and only they, have a hint", m.Name)
		require.NotContains(t, OperatorNamespaces(), Namespace(m.Name))
		require.Equal(t, m.Name, c.Find(m.Name).Name)
	}
	require.Len(t, seen, c.Len()-1)
	require.True(t, slices.IsSorted(OperatorNamespaces()))
	require.Equal(t, "other", c.Find("foo_bar").Label())
	require.Equal(t, "eth_call", c.Find("eth_call").Label())
}

func TestFacts_WhatMayBeDoneTwice(t *testing.T) {
	t.Parallel()

	c := New()
	for method, want := range map[string]struct{ write, repeat, join bool }{
		"eth_getBalance":         {false, true, true},
		"eth_sendRawTransaction": {true, true, false},
		"eth_newFilter":          {false, false, false},
		"made_up":                {true, false, false},
	} {
		f := c.Describe(method, nil)
		require.Equal(t, want.write, f.IsWrite(), method)
		require.Equal(t, want.repeat, f.Repeatable(), method)
		require.Equal(t, want.join, f.Joinable(), method)
	}
}

func TestReplaceTags(t *testing.T) {
	t.Parallel()

	cases := map[string]struct{ method, in, want string }{
		"plain":      {"eth_getBalance", `["0xab", "finalized" ]`, `["0xab", "0xff" ]`},
		"safe":       {"eth_call", `[{},"safe",{}]`, `[{},"0xff",{}]`},
		"latest":     {"eth_call", `[{},"latest"]`, `[{},"latest"]`},
		"object":     {"eth_call", `[{},{"blockNumber":"finalized"}]`, `[{},{"blockNumber":"0xff"}]`},
		"both ends":  {"eth_getLogs", `[{"fromBlock":"safe","toBlock":"finalized","topics":[]}]`, `[{"fromBlock":"0xff","toBlock":"0xff","topics":[]}]`},
		"one end":    {"eth_getLogs", `[{"fromBlock":"0x1","toBlock":"finalized"}]`, `[{"fromBlock":"0x1","toBlock":"0xff"}]`},
		"elsewhere":  {"eth_getBalance", `["finalized","latest"]`, `["finalized","latest"]`},
		"first word": {"eth_getBlockByNumber", `["finalized",false]`, `["0xff",false]`},
	}
	catalogue := New()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			whole := []byte(`{"params":` + c.in + `,"id":1}`) // parameters are a slice of a longer text
			params := whole[10 : 10+len(c.in)]

			got := catalogue.Describe(c.method, params).ReplaceTags(params, 255)

			require.Equal(t, c.want, string(got))
			require.Equal(t, `{"params":`+c.in+`,"id":1}`, string(whole), "the request itself is not touched")
		})
	}
}

func TestFirstString(t *testing.T) {
	t.Parallel()

	got, ok := FirstString([]byte(`["0xab"]`))
	require.True(t, ok)
	require.Equal(t, "0xab", got)
	for _, text := range []string{`[]`, `[1]`, `["a\"b"]`, `{}`, ``} {
		_, ok := FirstString([]byte(text))
		require.False(t, ok, text)
	}
}

// FuzzReplaceTags: whatever the parameters, replacing tags leaves JSON that
// names no finality tag at the block parameter and describes the same call.
func FuzzReplaceTags(f *testing.F) {
	f.Add("eth_getBalance", `["0xab","finalized"]`)
	f.Add("eth_getLogs", `[{"fromBlock":"safe","toBlock":"finalized"}]`)
	f.Add("eth_call", `[{},{"blockNumber":"safe","blockNumber":"safe"}]`)
	c := New()
	f.Fuzz(func(t *testing.T, method, params string) {
		if !json.Valid([]byte(params)) {
			return
		}
		got := c.Describe(method, []byte(params)).ReplaceTags([]byte(params), 7)
		if !json.Valid(got) {
			t.Fatalf("ReplaceTags(%s %s) = %s", method, params, got)
		}
		if after := c.Describe(method, got); after.HasTag && !strings.Contains(params, `\`) && !isTwice(params) {
			t.Fatalf("a tag is left: %s", got)
		}
	})
}

// isTwice finds texts in which a member may stand twice.
func isTwice(params string) bool {
	return strings.Count(params, "blockNumber") > 1 || strings.Count(params, "Block") > 2
}
