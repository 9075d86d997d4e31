package strictjson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type inner struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

type embedded struct {
	From string `json:"from"`
}

type target struct {
	embedded
	To    *string         `json:"to"`
	One   *inner          `json:"one"`
	Many  []inner         `json:"many"`
	Free  json.RawMessage `json:"free"`
	inner int             //nolint:unused // stands for what has no name in JSON
}

func TestDecode_Reads(t *testing.T) {
	t.Parallel()

	var got target
	require.NoError(t, Decode([]byte(` {"from":"a","to":null,"one":{"name":"x","count":1},"many":[{"name":"y"}],"free":{"Any":{"thing":[]}}} `), &got))
	require.Equal(t, "a", got.From)
	require.Equal(t, inner{"x", 1}, *got.One)
	require.Equal(t, "y", got.Many[0].Name)
	require.JSONEq(t, `{"Any":{"thing":[]}}`, string(got.Free))
}

func TestDecode_Refuses(t *testing.T) {
	t.Parallel()

	deep := func(n int) string { return `{"free":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}" }
	cases := map[string]struct{ text, pointer, reason string }{
		"nothing":                   {``, "", "ends too early"},
		"half":                      {`{"from":"a"`, "", "ends too early"},
		"no JSON":                   {`{"from":a}`, "", "error at byte"},
		"text after":                {`{} {}`, "", "text after"},
		"no UTF-8":                  {"{\"from\":\"\xff\"}", "", "UTF-8"},
		"unknown":                   {`{"fron":"a"}`, "/fron", `unknown field "fron"; did you mean "from"?`},
		"nothing near":              {`{"xyzzy":"a"}`, "/xyzzy", `unknown field "xyzzy"`},
		"another case":              {`{"From":"a"}`, "/From", `unknown field "From"; did you mean "from"?`},
		"unknown inside":            {`{"one":{"nmae":"a"}}`, "/one/nmae", `did you mean "name"?`},
		"unknown inside of a list":  {`{"many":[{},{"cuont":1}]}`, "/many/1/cuont", `did you mean "count"?`},
		"twice":                     {`{"from":"a","from":"b"}`, "/from", "occurs twice"},
		"twice, spelt otherwise":    {`{"from":"a","fr\u006fm":"b"}`, "/from", "occurs twice"},
		"twice where all is free":   {`{"free":{"a/b":[{"x":1,"x":2}]}}`, "/free/a~1b/0/x", "occurs twice"},
		"too deep":                  {deep(MaxDepth), "/free" + strings.Repeat("/0", MaxDepth-1), "more than 32 deep"},
		"deep without end":          {strings.Repeat(`{"a":`, 1<<16), strings.Repeat("/a", MaxDepth), "more than 32 deep"},
		"a number for a text":       {`{"from":7.25}`, "/from", "must not be a JSON number"},
		"a fraction for an integer": {`{"one":{"count":7.25}}`, "/one/count", "must not be a JSON number"},
		"a list for an object":      {`[]`, "", "must not be a JSON array"},
		"a long unknown name":       {`{"` + strings.Repeat("x", 4000) + `":1}`, "/" + strings.Repeat("x", 128) + "…", "…"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Decode([]byte(c.text), &target{})
			var got *Error
			require.ErrorAs(t, err, &got)
			require.Equal(t, c.pointer, got.Pointer)
			require.Contains(t, got.Reason, c.reason)
			require.NotContains(t, got.Reason, "7.25", "no value is repeated")
			require.Less(t, len(got.Reason), 200)
		})
	}
	require.NoError(t, Decode([]byte(deep(MaxDepth-1)), &target{}))
}

// A long name around a long list costs no more than their lengths.
func TestCheck_IsLinear(t *testing.T) {
	t.Parallel()
	text := []byte(`{"` + strings.Repeat("n", 1<<19) + `":[` + strings.Repeat("0,", 1<<17) + `0]}`)
	result := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		for b.Loop() {
			require.NoError(b, Check(text))
		}
	})
	require.Less(t, result.AllocedBytesPerOp(), int64(64*len(text)))
}

// What passes is understood by encoding/json in the same way, and once only.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"from":"a"}`, `{"one":{"count":1}}`, `{"from":"a","from":"b"}`, `[[[`, "\"\xff\"", `{"many":[{"name":"x"}],"free":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want target
		err := Decode(text, &got)
		require.Equal(t, decode(text, new(target)), err, "the short way and the long one decide the same")
		require.Equal(t, check(text), Check(text))
		if err != nil {
			return
		}
		require.NoError(t, json.Unmarshal(text, &want))
		require.Equal(t, want, got)
		again, err := json.Marshal(want)
		require.NoError(t, err)
		require.True(t, json.Valid(again))
	})
}

// What is usual takes the short way, what is not finds the long one.
func TestIsFine(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf(`"n%d":[%d , "x\"", {} ]`, i, i))
		}
		return `{"free":{` + strings.Join(names, ",") + `}}`
	}
	usual := []string{
		`{}`, ` { } `, `{"from":"a","to":null,"one":{"name":"\u0041\\\"","count":-1.5e3},"many":[{"name":"y"},{}],"free":[true,false,[]]}`, many(maxNames), `[]`, `7`,
		strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth),
	}
	for _, text := range usual {
		require.True(t, isFine([]byte(text), reflect.TypeFor[target]()), text)
		require.NoError(t, check([]byte(text)), text)
	}
	for _, text := range []string{
		``, ` `, `{`, `{} {}`, "\"\xff\"", `{"From":"a"}`, `{"fr\u006fm":"a"}`, `{"from":"a","from":"b"}`, `{"one":{"x":1}}`, `{"many":[{"x":1}]}`, `{"inner":1}`,
		`{"free":{"a":1,"a":2}}`, many(maxNames + 1), strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1),
	} {
		require.False(t, isFine([]byte(text), reflect.TypeFor[target]()), text)
	}
}

func BenchmarkDecode(b *testing.B) {
	text := []byte(`{"from":"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266","to":"0x000000000000000000000000000000000000dEaD","one":{"name":"0x00000000000000000000000000000000000000000000000000000051000000ff"}}`)
	for b.Loop() {
		var into target
		if err := Decode(text, &into); err != nil {
			b.Fatal(err)
		}
	}
}
