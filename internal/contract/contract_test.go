package contract

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/strictjson"
)

const (
	alice = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
	token = `[
		{"type":"constructor","inputs":[{"name":"supply","type":"uint256"}]},
		{"type":"function","name":"transfer","inputs":[{"name":"to","type":"address","internalType":"address"},{"name":"amount","type":"uint256"}],"outputs":[{"name":"","type":"bool"}],"stateMutability":"nonpayable"},
		{"type":"function","name":"mint","inputs":[{"name":"to","type":"address"}]},
		{"type":"function","name":"mint","inputs":[{"name":"to","type":"address"},{"name":"amount","type":"uint256"}]},
		{"type":"event","name":"Transfer","inputs":[]},
		{"type":"receive"},
		{"type":"error","name":"InsufficientBalance","inputs":[{"name":"available","type":"uint256"},{"name":"required","type":"uint256"}]},
		"error Paused()"
	]`
)

func parse(t *testing.T, text string) ABI {
	t.Helper()
	a, err := Parse(json.RawMessage(text), "/abi")
	require.NoError(t, err)
	return a
}

// The examples of the ABI specification ("Examples", "Use of Dynamic Types").
func TestCall_ExamplesOfTheSpecification(t *testing.T) {
	t.Parallel()

	word := func(n int) string { return fmt.Sprintf("%064x", n) }
	cases := []struct{ signature, args, want string }{
		{"baz(uint32,bool)", `[69,true]`, "cdcd77c0" + word(69) + word(1)},
		{"bar(bytes3[2])", `["0x616263","0x646566"]`, ""},
		{"bar(bytes3[2])", `[["0x616263","0x646566"]]`, "fce353f6" + "616263" + strings.Repeat("0", 58) + "646566" + strings.Repeat("0", 58)},
		{"sam(bytes,bool,uint256[])", `["0x64617665",true,[1,"2","0x3"]]`, "a5643bf2" + word(0x60) + word(1) + word(0xa0) + word(4) + "64617665" + strings.Repeat("0", 56) + word(3) + word(1) + word(2) + word(3)},
		{
			"f(uint256,uint32[],bytes10,bytes)", `["0x123",["0x456","0x789"],"0x31323334353637383930","0x48656c6c6f2c20776f726c6421"]`,
			"8be65246" + word(0x123) + word(0x80) + "31323334353637383930" + strings.Repeat("0", 44) + word(0xe0) + word(2) + word(0x456) + word(0x789) + word(13) + "48656c6c6f2c20776f726c6421" + strings.Repeat("0", 38),
		},
		{
			"g(uint256[][],string[])", `[[[1,2],[3]],["one","two","three"]]`,
			"2289b18c" + word(0x40) + word(0x140) + word(2) + word(0x40) + word(0xa0) + word(2) + word(1) + word(2) + word(1) + word(3) + word(3) + word(0x60) + word(0xa0) + word(0xe0) +
				word(3) + "6f6e65" + strings.Repeat("0", 58) + word(3) + "74776f" + strings.Repeat("0", 58) + word(5) + "7468726565" + strings.Repeat("0", 54),
		},
	}
	for _, c := range cases {
		m, err := ABI{}.Method(c.signature)
		require.NoError(t, err)
		got, err := m.Call(json.RawMessage(c.args), "/arguments")
		if c.want == "" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err, c.signature)
		require.Equal(t, c.want, hex.EncodeToString(got), c.signature)
	}
}

func TestMethod_Finds(t *testing.T) {
	t.Parallel()

	known := parse(t, token)
	cases := map[string]struct{ want, err string }{
		"transfer": {want: "transfer(address,uint256)"},
		"function transfer(address to, uint amount) external returns (bool)": {want: "transfer(address,uint256)"},
		"mint(address)":                   {want: "mint(address)"},
		"mint":                            {err: "2 functions"},
		"tranfser":                        {err: `did you mean "transfer"?`},
		"burn(uint256)":                   {err: "no function burn(uint256)"},
		"transfer(address":                {err: "must be a signature"},
		"error Paused()":                  {err: "no function"},
		"transfer(address) x":             {err: "stands something else"},
		"transfer(addres)":                {err: `unknown type "addres"`},
		"transfer(uint256 a b)":           {err: "one type and one name"},
		"f(uint256[2]":                    {err: "comma or a closing"},
		"f(uint256[2a])":                  {err: "must be a signature"},
		"f(uint7)":                        {err: "unknown type"},
		"f(bytes33)":                      {err: "unknown type"},
		"f(bytes0)":                       {err: "unknown type"},
		"f(uint256[0])":                   {err: "unknown type"},
		"f(fixed128x18)":                  {err: "unknown type"},
		"f(uint256[99999][99999][99999])": {err: "too many elements"},
		"f" + strings.Repeat("(", 10_000): {err: "too deep"},
		"f(uint" + strings.Repeat("[]", 40) + ")":                               {err: "too deep"},
		"f(" + strings.Repeat("uint,", 1000) + "uint)":                          {err: "too many parameters"},
		"f(" + strings.TrimSuffix(strings.Repeat("uint[16000],", 2), ",") + ")": {err: "too many elements"},
	}
	for name, c := range cases {
		m, err := known.Method(name)
		if c.err != "" {
			require.ErrorContains(t, err, c.err, name)
			require.Less(t, len(err.Error()), 250, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.want, m.Signature())
	}

	_, err := ABI{}.Method("transfer")
	require.ErrorContains(t, err, "needs an ABI")
	m, err := ABI{}.Method("swap((address token, uint128[2] amounts)[3] legs, tuple(bool) flag)")
	require.NoError(t, err)
	require.Equal(t, "swap((address,uint128[2])[3],(bool))", m.Signature())
}

func TestParse_Refuses(t *testing.T) {
	t.Parallel()

	cases := []struct{ text, pointer, reason string }{
		{`7`, "/abi", "ABI fragment"},
		{`[{"type":"function","name":"f","inputs":[]},7]`, "/abi/1", "ABI fragment"},
		{`[{"type":"functoin","name":"f"}]`, "/abi/0", "unknown type of fragment"},
		{`[{"type":"function","name":"f","inputs":[{"type":"uint256 x"}]}]`, "/abi/0", "unknown type"},
		{`[{"type":"function","name":"f","inputs":[{"type":"uint256]["}]}]`, "/abi/0", "unknown type"},
		{`[{"type":"function","name":"f(uint256)"}]`, "/abi/0", "identifier"},
		{`["constructor()","constructor(uint256)"]`, "/abi/1", "another constructor"},
		{`[` + strings.Repeat(`"f()",`, 3000) + `"f()"]`, "/abi", "more than 2000"},
	}
	for _, c := range cases {
		_, err := Parse(json.RawMessage(c.text), "/abi")
		var got *strictjson.Error
		require.ErrorAs(t, err, &got, c.text)
		require.Equal(t, c.pointer, got.Pointer)
		require.Contains(t, got.Reason, c.reason)
	}
}

func TestEncode_ByNameAndByOrderAgree(t *testing.T) {
	t.Parallel()

	m, err := ABI{}.Method("pay((address to,(uint8 kind,string note)[] parts) order, int256 delta)")
	require.NoError(t, err)
	byOrder, err := m.Call(json.RawMessage(`[["`+alice+`",[[1,"a"],[2,"b"]]],-5]`), "")
	require.NoError(t, err)
	byName, err := m.Call(json.RawMessage(`{"delta":"-0x5","order":{"parts":[{"note":"a","kind":"1"},[2,"b"]],"to":"`+strings.ToLower(alice)+`"}}`), "")
	require.NoError(t, err)
	require.Equal(t, byOrder, byName)

	values, err := m.arguments.Unpack(byOrder[4:])
	require.NoError(t, err)
	require.Equal(t, big.NewInt(-5), values[1])
}

func TestEncode_Refuses(t *testing.T) {
	t.Parallel()

	cases := []struct{ signature, args, pointer, reason string }{
		{"f(uint8)", `[256]`, "/a/0", "out of the range of uint8"},
		{"f(uint8)", `[-1]`, "/a/0", "out of the range"},
		{"f(int8)", `["128"]`, "/a/0", "out of the range"},
		{"f(int8)", `["-129"]`, "/a/0", "out of the range"},
		{"f(uint256)", `["0x1` + strings.Repeat("0", 64) + `"]`, "/a/0", "out of the range"},
		{"f(int256)", `["0x8` + strings.Repeat("0", 63) + `"]`, "/a/0", "out of the range"},
		{"f(uint256)", `[9007199254740992]`, "/a/0", "2^53-1"},
		{"f(uint256)", `[1.5]`, "/a/0", "must be an integer"},
		{"f(uint256)", `[1e3]`, "/a/0", "must be an integer"},
		{"f(uint256)", `["1_000"]`, "/a/0", "must be an integer"},
		{"f(uint256)", `["+1"]`, "/a/0", "must be an integer"},
		{"f(uint256)", `[""]`, "/a/0", "must be an integer"},
		{"f(uint256)", `["0x"]`, "/a/0", "must be an integer"},
		{"f(uint256)", `[true]`, "/a/0", "must be an integer"},
		{"f(uint256)", `[null]`, "/a/0", "must be an integer"},
		{"f(bool)", `["true"]`, "/a/0", "true or false"},
		{"f(bool)", `[1]`, "/a/0", "true or false"},
		{"f(string)", `[7]`, "/a/0", "must be a text"},
		{"f(string)", `[null]`, "/a/0", "must be a text"},
		{"f(address)", `["0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266"]`, "/a/0", "EIP-55"},
		{"f(address)", `["0x12"]`, "/a/0", "40 hex digits"},
		{"f(bytes)", `["abcd"]`, "/a/0", "must be 0x"},
		{"f(bytes)", `["0xabc"]`, "/a/0", "even number"},
		{"f(bytes4)", `["0xabcdef"]`, "/a/0", "has 3 bytes, but bytes4 takes 4"},
		{"f(bytes4)", `["0xabcdef0102"]`, "/a/0", "has 5 bytes"},
		{"f(uint8[2])", `[[1]]`, "/a/0", "has 1 values, but uint8[2] takes 2"},
		{"f(uint8[2])", `[[1,300]]`, "/a/0/1", "out of the range"},
		{"f(uint8[])", `[{}]`, "/a/0", "must be a list"},
		{"f(uint8[])", `[null]`, "/a/0", "must be a list"},
		{"f(uint8)", `[]`, "/a", "has 0 values, but (uint8) takes 1"},
		{"f(uint8)", `7`, "/a", "must be a list"},
		{"f(uint8)", `{"x":1}`, "/a", "have no names"},
		{"f(uint8 x)", `{"y":1}`, "/a", `"x" is missing`},
		{"f(uint8 x)", `{"x":1,"y":1}`, "/a/y", "no such parameter"},
		{"f(uint8 x,uint8 x)", `{"x":1}`, "/a", "have no names"},
		{"f((uint8 x,bool y) p)", `[{"x":1,"y":"no"}]`, "/a/0/y", "true or false"},
		{"f(uint256[4096][])", `[[` + strings.Repeat("0,", 100_000) + `0]]`, "/a/0/0", "must be a list"},
	}
	for _, c := range cases {
		m, err := ABI{}.Method(c.signature)
		require.NoError(t, err, c.signature)
		_, err = m.Call(json.RawMessage(c.args), "/a")
		var got *strictjson.Error
		require.ErrorAs(t, err, &got, "%s %.60s", c.signature, c.args)
		require.Equal(t, c.pointer, got.Pointer, c.signature+c.args[:min(40, len(c.args))])
		require.Contains(t, got.Reason, c.reason)
	}
}

func TestABI_Constructor(t *testing.T) {
	t.Parallel()

	known := parse(t, token)
	got, err := known.Constructor().Encode(json.RawMessage(`["1000"]`), "/a")
	require.NoError(t, err)
	require.Equal(t, common.BigToHash(big.NewInt(1000)).Bytes(), got)
	_, err = known.Constructor().Encode(nil, "/a")
	require.ErrorContains(t, err, "has 0 values")

	got, err = ABI{}.Constructor().Encode(nil, "/a")
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = ABI{}.Constructor().Encode(json.RawMessage(`[1]`), "/a")
	require.ErrorContains(t, err, "has 1 values, but () takes 0")

	one, ok := parse(t, `"set(uint256)"`).Only()
	require.True(t, ok)
	require.Equal(t, "set(uint256)", one.Signature())
}

func TestReverted(t *testing.T) {
	t.Parallel()

	known := parse(t, token)
	data := func(signature, args string) []byte {
		m, err := ABI{}.Method(signature)
		require.NoError(t, err)
		out, err := m.Call(json.RawMessage(args), "")
		require.NoError(t, err)
		return out
	}
	cases := []struct {
		data          []byte
		message, sign string
	}{
		{nil, "reverted without a reason", ""},
		{[]byte{1}, "do not explain", ""},
		{data("Error(string)", `["too late"]`), "too late", "Error(string)"},
		{data("Error(string)", `[""]`), "reverted with an empty reason", "Error(string)"},
		{data("Panic(uint256)", `[17]`), "arithmetic overflow or underflow (panic 0x11)", "Panic(uint256)"},
		{data("Panic(uint256)", `[153]`), "panic (panic 0x99)", "Panic(uint256)"},
		{data("Panic(uint256)", `["0x1`+strings.Repeat("0", 30)+`"]`), "panic (panic 0x1000", "Panic(uint256)"},
		{data("InsufficientBalance(uint256,uint256)", `[1,"9007199254740993"]`), "InsufficientBalance(available: 1, required: 9007199254740993)", "InsufficientBalance(uint256,uint256)"},
		{data("Paused()", `[]`), "Paused()", "Paused()"},
		{data("Other()", `[]`), "do not explain", ""},
		{data("InsufficientBalance(uint256,uint256)", `[1,2]`)[:40], "do not explain", ""},
		{append(data("Error(string)", `["x"]`), make([]byte, 5000)...), "do not explain", ""},
	}
	for _, c := range cases {
		got := known.Reverted(c.data)
		require.Contains(t, got.Message, c.message)
		require.Equal(t, c.sign, got.Signature)
		require.Equal(t, "0x"+hex.EncodeToString(c.data), got.Data)
	}
	got := known.Reverted(data("InsufficientBalance(uint256,uint256)", `[1,2]`))
	require.Equal(t, []Value{{"available", "uint256", "1"}, {"required", "uint256", "2"}}, got.Arguments)

	// What is kept of an ABI explains the same.
	kept, err := json.Marshal(known.Errors())
	require.NoError(t, err)
	require.Equal(t, got, parse(t, string(kept)).Reverted(data("InsufficientBalance(uint256,uint256)", `[1,2]`)))

	odd := parse(t, `["error Odd(address who,(bytes4 id,int64 n)[] parts,bool ok,string s,bytes b)","error Bomb(uint256[][][][] x)"]`)
	got = odd.Reverted(data("Odd(address,(bytes4,int64)[],bool,string,bytes)", `["`+alice+`",[["0x01020304",-7]],true,"hi","0xff"]`))
	text, err := json.Marshal(got.Arguments)
	require.NoError(t, err)
	require.JSONEq(t, `[{"name":"who","type":"address","value":"`+alice+`"},{"name":"parts","type":"(bytes4,int64)[]","value":[["0x01020304","-7"]]},
		{"name":"ok","type":"bool","value":true},{"name":"s","type":"string","value":"hi"},{"name":"b","type":"bytes","value":"0xff"}]`, string(text))
	require.Len(t, odd.Errors(), 1, "an error whose data could stand for far more than it holds is not decoded")
}

// What is encoded, the library decodes to the same; nothing panics.
func FuzzCall(f *testing.F) {
	f.Add("f(uint256,bool)", `[1,true]`)
	f.Add("f((address a,bytes3[2] b)[] c)", `{"c":[["`+alice+`",["0x010203","0x040506"]]]}`)
	f.Add("f(int8[][2],string)", `[[[1],[-2,"0x3"]],"x"]`)
	f.Add("error E(uint256[][] x)", `[]`)
	f.Fuzz(func(t *testing.T, signature, args string) {
		if strictjson.Check([]byte(args)) != nil {
			return
		}
		m, err := ABI{}.Method(signature)
		if err != nil {
			return
		}
		again, err := ABI{}.Method(m.Signature())
		require.NoError(t, err)
		require.Equal(t, m.selector(), again.selector())
		data, err := m.Call(json.RawMessage(args), "")
		if err != nil {
			return
		}
		values, err := m.arguments.Unpack(data[4:])
		if len(m.arguments) > 0 {
			require.NoError(t, err)
		}
		packed, err := m.arguments.Pack(values...)
		require.NoError(t, err)
		require.Equal(t, hex.EncodeToString(data[4:]), hex.EncodeToString(packed))
	})
}

// Revert data is what a contract chose: it may be anything.
func FuzzReverted(f *testing.F) {
	f.Add(`["error E(uint256[][] x)"]`, []byte{1, 2, 3, 4})
	f.Add(token, common.FromHex("08c379a0"))
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		a, err := Parse(json.RawMessage(text), "")
		if err != nil {
			return
		}
		kept, err := json.Marshal(a.Errors())
		require.NoError(t, err)
		again, err := Parse(kept, "")
		require.NoError(t, err, string(kept))
		require.Len(t, again.errors, len(a.errors))
		for _, e := range a.errors {
			id := e.selector()
			_, err := json.Marshal(a.Reverted(append(id[:], data...)))
			require.NoError(t, err)
		}
	})
}
