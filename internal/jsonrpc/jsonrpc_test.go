package jsonrpc

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestScanRequest(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		text   string
		id     string // "" = absent
		method string
		params string
		code   Code // 0 = accepted
	}{
		"plain":                 {text: `{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}`, id: "1", method: "eth_chainId", params: "[]"},
		"any order and space":   {text: " {\n\"params\" : [ 1 ] , \"method\":\"m\",\"id\" : \"a\" }\t", id: `"a"`, method: "m", params: "[ 1 ]"},
		"large id keeps digits": {text: `{"id":123456789012345678901234567890,"method":"m"}`, id: "123456789012345678901234567890", method: "m"},
		"fraction as id":        {text: `{"id":1.50,"method":"m"}`, id: "1.50", method: "m"},
		"id null is an id":      {text: `{"id":null,"method":"m"}`, id: "null", method: "m"},
		"notification":          {text: `{"jsonrpc":"2.0","method":"m"}`, method: "m"},
		"params by name":        {text: `{"id":1,"method":"m","params":{"a":1}}`, id: "1", method: "m", params: `{"a":1}`},
		"params null":           {text: `{"id":1,"method":"m","params":null}`, id: "1", method: "m"},
		"escaped method":        {text: `{"id":1,"method":"eth\u005fcall"}`, id: "1", method: "eth_call"},
		"unknown members":       {text: `{"id":1,"method":"m","networkId":"evm:1"}`, id: "1", method: "m"},
		"no version":            {text: `{"id":1,"method":"m"}`, id: "1", method: "m"},

		"version 1.0":       {text: `{"jsonrpc":"1.0","id":1,"method":"m"}`, id: "1", code: CodeInvalidRequest},
		"two methods":       {text: `{"id":1,"method":"a","method":"b"}`, code: CodeInvalidRequest},
		"object as id":      {text: `{"id":{},"method":"m"}`, code: CodeInvalidRequest},
		"boolean as id":     {text: `{"id":true,"method":"m"}`, code: CodeInvalidRequest},
		"no method":         {text: `{"id":7}`, id: "7", code: CodeInvalidRequest},
		"number as method":  {text: `{"id":7,"method":1}`, id: "7", code: CodeInvalidRequest},
		"empty method":      {text: `{"id":7,"method":""}`, id: "7", code: CodeInvalidRequest},
		"string as params":  {text: `{"id":7,"method":"m","params":"x"}`, id: "7", method: "m", code: CodeInvalidRequest},
		"a number":          {text: `1`, code: CodeInvalidRequest},
		"empty object":      {text: `{}`, code: CodeInvalidRequest},
		"empty body":        {text: ``, code: CodeParse},
		"cut":               {text: `{"id":1,"method":"m"`, code: CodeParse},
		"trailing text":     {text: `{"id":1,"method":"m"}x`, code: CodeParse},
		"single quotes":     {text: `{'id':1}`, code: CodeParse},
		"control character": {text: "{\"id\":1,\"method\":\"a\nb\"}", code: CodeParse},
		"broken UTF-8":      {text: "{\"id\":\"\xff\",\"method\":\"m\"}", code: CodeParse},
		"too deep":          {text: `{"id":1,"method":"m","params":` + strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1) + `}`, code: CodeParse},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := ScanRequest([]byte(c.text))

			if c.code != 0 {
				require.NotNil(t, err)
				require.Equal(t, c.code, err.Code, err.Message)
			} else {
				require.Nil(t, err)
				require.Equal(t, c.params, string(got.Params))
			}
			require.Equal(t, c.id, string(got.ID))
			require.Equal(t, c.id == "", got.IsNotification())
			require.Equal(t, c.method, got.Method)
		})
	}
}

// A few megabytes that are made to be slow take as long as any other text.
func TestScanRequest_TakesLinearTime(t *testing.T) {
	t.Parallel()

	const count = 500_000
	for name, text := range map[string]string{
		"escapes":        `{"id":1,"method":"m","params":["` + strings.Repeat(`\u0000`, count) + `"]}`,
		"escaped quotes": `{"id":1,"method":"m","params":["` + strings.Repeat(`\"`, count) + `"]}`,
		"members":        `{"id":1,"method":"m"` + strings.Repeat(`,"a":1`, count) + `}`,
		"elements":       `{"id":1,"method":"m","params":[` + strings.Repeat(`1,`, count) + `1]}`,
		"strings":        `{"id":1,"method":"m","params":[` + strings.Repeat(`"",`, count) + `1]}`,
		"objects":        `{"id":1,"method":"m","params":[` + strings.Repeat(`{},`, count) + `1]}`,
		"depth":          `{"id":1,"method":"m","params":[` + strings.Repeat(strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+",", count/1000) + `1]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			began := time.Now()
			_, err := ScanRequest([]byte(text))
			require.Nil(t, err)
			require.Less(t, time.Since(began), 10*time.Second)
		})
	}
}

func TestScanResponse(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		text, id, result, err string
		bad                   bool
	}{
		"result":              {text: `{"jsonrpc":"2.0","id":1,"result":{"a": 1}}`, id: "1", result: `{"a": 1}`},
		"null result":         {text: `{"id":1,"result":null}`, id: "1", result: "null"},
		"error":               {text: `{"id":1,"error":{"code":3,"message":"execution reverted","data":"0x08c379a0"}}`, id: "1", err: `{"code":3,"message":"execution reverted","data":"0x08c379a0"}`},
		"error null":          {text: `{"id":1,"result":"0x1","error":null}`, id: "1", result: `"0x1"`},
		"result null + error": {text: `{"id":1,"result":null,"error":{"code":1,"message":""}}`, id: "1", err: `{"code":1,"message":""}`},
		"both":                {text: `{"id":1,"result":1,"error":{}}`, bad: true},
		"neither":             {text: `{"id":1}`, bad: true},
		"error as string":     {text: `{"id":1,"error":"x"}`, bad: true},
		"cut":                 {text: `{"id":1,"result":"0x`, bad: true},
		"html":                {text: `<html>502</html>`, bad: true},
		"empty":               {text: ``, bad: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := ScanResponse([]byte(c.text))

			if c.bad {
				require.ErrorIs(t, err, ErrNotResponse)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.id, string(got.ID))
			require.Equal(t, c.result, string(got.Result))
			require.Equal(t, c.err, string(got.Error))
		})
	}
}

func TestScanBatch(t *testing.T) {
	t.Parallel()

	elements, err := ScanBatch([]byte(` [ {"id":1} , 2,[3] ] `), 3)
	require.Nil(t, err)
	require.Equal(t, []string{`{"id":1}`, "2", "[3]"}, texts(elements))

	for text, code := range map[string]Code{
		`[]`:                         CodeInvalidRequest,
		`[1,2,3,4]`:                  CodeInvalidRequest,
		`[1,`:                        CodeParse,
		`[1] x`:                      CodeParse,
		`{}`:                         CodeParse,
		strings.Repeat("[", 100_000): CodeParse,
	} {
		_, err := ScanBatch([]byte(text), 3)
		require.NotNil(t, err, text)
		require.Equal(t, code, err.Code, err.Message)
	}
}

func TestElementAndMember(t *testing.T) {
	t.Parallel()

	require.Equal(t, `"0x1"`, string(Element([]byte(`[{"a":[1]}, "0x1" ,true]`), 1)))
	require.Nil(t, Element([]byte(`["0x1"]`), 1))
	require.Nil(t, Element([]byte(`[]`), 0))
	require.Nil(t, Element([]byte(`{"a":1}`), 0))
	require.Equal(t, []string{"1", "[2]"}, texts(Elements([]byte(`[1,[2]]`))))
	require.Empty(t, Elements([]byte(`[]`)))
	require.Nil(t, Elements([]byte(`[1`)))
	require.Equal(t, `"0xab"`, string(Member([]byte(`{"blockHash":1,"hash" : "0xab"}`), "hash")))
	require.Nil(t, Member([]byte(`{"a":{"hash":1}}`), "hash"))
	require.Nil(t, Member([]byte(`{}`), "hash"))
	require.Nil(t, Member([]byte(`{"ha`), "hash"))
}

func TestAppend(t *testing.T) {
	t.Parallel()

	require.Equal(t, `{"jsonrpc":"2.0","id":7,"method":"eth_call","params":[1]}`, string(AppendRequest(nil, ID("7"), "eth_call", []byte("[1]"))))
	require.Equal(t, `{"jsonrpc":"2.0","id":7,"method":"a\"b"}`, string(AppendRequest(nil, ID("7"), `a"b`, nil)))
	require.Equal(t, `{"jsonrpc":"2.0","id":"x","result":null}`, string(AppendResult(nil, ID(`"x"`), []byte("null"))))
	require.Equal(t, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"say \"no\""}}`, string(AppendError(nil, nil, NewError(CodeParse, `say "no"`))))
	require.Equal(t, `{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"m","data":"0x"}}`,
		string(AppendError(nil, ID("1"), &Error{Code: CodeReverted, Message: "m", Data: json.RawMessage(`"0x"`)})))
	require.Equal(t, CodeReverted, DecodeError([]byte(`{"code":3,"message":"m"}`)).Code)
	require.Equal(t, CodeInternal, DecodeError([]byte(`{"code":"x"}`)).Code)
}

func texts(in [][]byte) []string {
	out := make([]string, 0, len(in))
	for _, b := range in {
		out = append(out, string(b))
	}
	return out
}

// FuzzScanner holds the scanner against the standard library: both must agree
// on what is JSON, and what the envelope scanner cuts out must be JSON too.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{"to":"0x0"},"latest"]}`,
		`[1,-0.5e+7,"\u00e9\\\"",true,false,null,{}]`, `{"a":{"b":[[[]]]}}`, `01`, `1.`, `"\x"`, "\"\x01\"", `[1,]`, `{"a"}`, ` `, "\xff", `-`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := Valid(text), json.Valid(text); got != want && len(text) < MaxDepth {
			t.Fatalf("Valid(%q) = %v, encoding/json says %v", text, got, want)
		}
		if r, err := ScanRequest(text); err == nil {
			for _, part := range [][]byte{r.Params, r.ID} {
				if part != nil && !json.Valid(part) {
					t.Fatalf("ScanRequest(%q) cut out %q", text, part)
				}
			}
			if !json.Valid(AppendRequest(nil, ID("1"), r.Method, r.Params)) {
				t.Fatalf("AppendRequest of %q is not JSON", text)
			}
		}
		if r, err := ScanResponse(text); err == nil && r.Result != nil && !json.Valid(r.Result) {
			t.Fatalf("ScanResponse(%q) cut out %q", text, r.Result)
		}
		for _, e := range Elements(text) {
			if !json.Valid(e) {
				t.Fatalf("Elements(%q) cut out %q", text, e)
			}
		}
		Member(text, "hash")
	})
}

// FuzzElements holds the readers of parameters against the standard library.
func FuzzElements(f *testing.F) {
	for _, seed := range []string{`["0x1","latest"]`, ` [ {"a" : 1} , [ ] ] `, `[]`, `[1,]`, `[[1],"\"",null]`, `{"a":[1]}`, `["\ud800"]`} {
		f.Add([]byte(seed), 1)
	}
	f.Fuzz(func(t *testing.T, text []byte, n int) {
		var want []json.RawMessage
		isArray := json.Unmarshal(text, &want) == nil && want != nil
		if !isArray || len(text) >= MaxDepth {
			return
		}
		got := Elements(text)
		if len(got) != len(want) {
			t.Fatalf("Elements(%q) = %q", text, got)
		}
		for i := range want {
			if string(got[i]) != string(want[i]) || string(Element(text, i)) != string(want[i]) {
				t.Fatalf("element %d of %q is %q", i, text, got[i])
			}
		}
		if n >= len(want) && Element(text, n) != nil {
			t.Fatalf("element %d of %q is %q", n, text, Element(text, n))
		}
	})
}

func BenchmarkScanRequest(b *testing.B) {
	text := []byte(`{"jsonrpc":"2.0","id":7,"method":"eth_getBalance","params":["0x0000000000000000000000000000000000000001","latest"]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ScanRequest(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanResponse100KB(b *testing.B) {
	text := []byte(`{"jsonrpc":"2.0","id":7,"result":{"transactions":[` + strings.Repeat(`{"hash":"0x`+strings.Repeat("ab", 32)+`","input":"0x`+strings.Repeat("cd", 300)+`"},`, 130) + `null]}}`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := ScanResponse(text); err != nil {
			b.Fatal(err)
		}
	}
}
