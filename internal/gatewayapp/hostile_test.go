package gatewayapp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// Hostile requests: whatever a body is, the answer is JSON-RPC with the right
// code, and what was no request never reaches a node.
const (
	parseError     = -32700
	invalidRequest = -32600
)

// call is a request that the gateway answers by itself; it takes the JSON of an id.
func call(id string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"eth_chainId"}`
}

func TestHostile_WhatIsNoRequestIsAnsweredSo(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	app := start(t, config(node))
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	deepObjects := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	for name, c := range map[string]struct {
		body string
		code int
		id   string // null when empty
	}{
		// Not JSON.
		"nothing":                  {"", parseError, ""},
		"white space":              {" \r\n\t ", parseError, ""},
		"text":                     {"hello", parseError, ""},
		"a page":                   {"<html></html>", parseError, ""},
		"a form":                   {"jsonrpc=2.0&id=1&method=eth_chainId", parseError, ""},
		"half a request":           {`{"jsonrpc":"2.0","id":1,"method":"eth_ch`, parseError, ""},
		"no closing brace":         {`{"jsonrpc":"2.0","id":1,"method":"eth_chainId"`, parseError, ""},
		"one brace too many":       {call("1") + "}", parseError, ""},
		"two requests":             {call("1") + call("2"), parseError, ""},
		"two requests in lines":    {call("1") + "\n" + call("2"), parseError, ""},
		"a comma behind":           {call("1") + ",", parseError, ""},
		"a comma at the end":       {`{"jsonrpc":"2.0","id":1,"method":"eth_chainId",}`, parseError, ""},
		"no comma":                 {`{"jsonrpc":"2.0" "id":1,"method":"eth_chainId"}`, parseError, ""},
		"no colon":                 {`{"jsonrpc" "2.0","id":1,"method":"eth_chainId"}`, parseError, ""},
		"single quotes":            {`{'jsonrpc':'2.0','id':1,'method':'eth_chainId'}`, parseError, ""},
		"bare names":               {`{jsonrpc:"2.0",id:1,method:"eth_chainId"}`, parseError, ""},
		"a comment":                {"/* hi */" + call("1"), parseError, ""},
		"wrong brackets":           {`{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[}}`, parseError, ""},
		"NaN":                      {call("NaN"), parseError, ""},
		"Infinity":                 {call("-Infinity"), parseError, ""},
		"a number with plus":       {call("+1"), parseError, ""},
		"a number with zero first": {call("01"), parseError, ""},
		"a number without end":     {call("1."), parseError, ""},
		"a number without begin":   {call(".5"), parseError, ""},
		"an exponent without end":  {call("1e"), parseError, ""},
		"a hex number":             {call("0x1"), parseError, ""},
		"capital literals":         {call("NULL"), parseError, ""},
		"a byte order mark":        {"\xef\xbb\xbf" + call("1"), parseError, ""},
		"UTF-16":                   {"\xff\xfe{\x00}\x00", parseError, ""},
		"a NUL before":             {"\x00" + call("1"), parseError, ""},
		"a NUL behind":             {call("1") + "\x00", parseError, ""},
		"a NUL in a string":        {call("\"\x00\""), parseError, ""},
		"a line break in a string": {call("\"\n\""), parseError, ""},
		"an unknown escape":        {call(`"\x41"`), parseError, ""},
		"half an escape":           {call(`"\u00"`), parseError, ""},
		"broken UTF-8 in the id":   {call("\"\xff\""), parseError, ""},
		"broken UTF-8 in params":   {`{"jsonrpc":"2.0","id":1,"method":"eth_call","params":["` + "\xc3\x28" + `"]}`, parseError, ""},
		"broken UTF-8 as method":   {`{"jsonrpc":"2.0","id":1,"method":"` + "\xed\xa0\x80" + `"}`, parseError, ""},
		"overlong UTF-8":           {call("\"\xc0\xaf\""), parseError, ""},
		"broken UTF-8 in a batch":  {"[" + call("1") + "," + call("\"\xff\"") + "]", parseError, ""},
		"half a batch":             {"[" + call("1") + ",", parseError, ""},
		"a batch with a comma":     {"[" + call("1") + ",]", parseError, ""},
		"a batch and more":         {"[" + call("1") + "]x", parseError, ""},

		// Too deep.
		"100,000 arrays":            {deep, parseError, ""},
		"100,000 arrays, unclosed":  {deep[:100_000], parseError, ""},
		"100,000 objects":           {deepObjects, parseError, ""},
		"params 100,000 deep":       {`{"jsonrpc":"2.0","id":1,"method":"eth_call","params":` + deep + `}`, parseError, ""},
		"an id 100,000 deep":        {call(deep), parseError, ""},
		"an unknown member as deep": {`{"jsonrpc":"2.0","id":1,"method":"eth_call","x":` + deepObjects + `}`, parseError, ""},

		// JSON, but no request.
		"null":                   {"null", invalidRequest, ""},
		"true":                   {"true", invalidRequest, ""},
		"a number":               {"17", invalidRequest, ""},
		"a string":               {`"eth_chainId"`, invalidRequest, ""},
		"an empty object":        {"{}", invalidRequest, ""},
		"an answer":              {`{"jsonrpc":"2.0","id":1,"result":"0x1"}`, invalidRequest, "1"},
		"an empty batch":         {" [ ] ", invalidRequest, ""},
		"version 1.0":            {`{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}`, invalidRequest, "1"},
		"version as number":      {`{"jsonrpc":2.0,"id":1,"method":"eth_chainId"}`, invalidRequest, "1"},
		"version null":           {`{"jsonrpc":null,"id":1,"method":"eth_chainId"}`, invalidRequest, "1"},
		"version in a list":      {`{"jsonrpc":["2.0"],"id":1,"method":"eth_chainId"}`, invalidRequest, "1"},
		"an object as id":        {call(`{"a":1}`), invalidRequest, ""},
		"a list as id":           {call(`[1]`), invalidRequest, ""},
		"a boolean as id":        {call(`true`), invalidRequest, ""},
		"no method":              {`{"jsonrpc":"2.0","id":"x"}`, invalidRequest, `"x"`},
		"null as method":         {`{"jsonrpc":"2.0","id":"x","method":null}`, invalidRequest, `"x"`},
		"a number as method":     {`{"jsonrpc":"2.0","id":"x","method":1}`, invalidRequest, `"x"`},
		"an object as method":    {`{"jsonrpc":"2.0","id":"x","method":{}}`, invalidRequest, `"x"`},
		"a list as method":       {`{"jsonrpc":"2.0","id":"x","method":["eth_chainId"]}`, invalidRequest, `"x"`},
		"an empty method":        {`{"jsonrpc":"2.0","id":"x","method":""}`, invalidRequest, `"x"`},
		"a number as params":     {`{"jsonrpc":"2.0","id":7,"method":"eth_call","params":1}`, invalidRequest, "7"},
		"a string as params":     {`{"jsonrpc":"2.0","id":7,"method":"eth_call","params":"0x"}`, invalidRequest, "7"},
		"a boolean as params":    {`{"jsonrpc":"2.0","id":7,"method":"eth_call","params":false}`, invalidRequest, "7"},
		"two ids":                {`{"jsonrpc":"2.0","id":1,"id":2,"method":"eth_chainId"}`, invalidRequest, ""},
		"two methods":            {`{"jsonrpc":"2.0","id":1,"method":"eth_chainId","method":"admin_peers"}`, invalidRequest, ""},
		"two params":             {`{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[],"params":[]}`, invalidRequest, ""},
		"two versions":           {`{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"eth_chainId"}`, invalidRequest, ""},
		"a batch over the limit": {"[" + strings.Repeat("1,", 1000) + "1]", invalidRequest, ""},
		"a batch of 100,000":     {"[" + strings.Repeat(call("1")+",", 99_999) + call("1") + "]", invalidRequest, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			status, text := post(t, app, "/", c.body)
			require.Equal(t, 400, status, text)
			requireError(t, text, c.code, orNull(c.id))
		})
	}
	t.Cleanup(func() {
		require.Zero(t, node.Calls("eth_call"), "a node was asked")
	})
}

// requireError checks that a text is an answer with an error, and nothing else.
func requireError(t *testing.T, text string, code int, id string) {
	t.Helper()
	var answer struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&answer), text)
	require.False(t, decoder.More(), text)
	require.Equal(t, "2.0", answer.JSONRPC, text)
	require.Equal(t, id, string(answer.ID), text)
	require.NotNil(t, answer.Error, text)
	require.Equal(t, code, answer.Error.Code, text)
	require.NotEmpty(t, answer.Error.Message, text)
}

func orNull(id string) string {
	if id == "" {
		return "null"
	}
	return id
}

func TestHostile_IDsComeBackByteForByte(t *testing.T) {
	t.Parallel()

	app := start(t, config(upstreamtest.New(t)))
	for name, id := range map[string]string{
		"zero":                  `0`,
		"minus zero":            `-0`,
		"null":                  `null`,
		"a fraction":            `1.0`,
		"beyond 64 bits":        `18446744073709551616`,
		"10,000 digits":         strings.Repeat("9", 10_000),
		"a tiny number":         `1e-400`,
		"beyond all numbers":    `1E+999999999`,
		"an empty string":       `""`,
		"escapes":               `"\u0000\ud800\"\\\/é"`,
		"a string that is JSON": `"{\"id\":1}"`,
		"a megabyte":            `"` + strings.Repeat("x", 1<<20) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			status, text := post(t, app, "/", " "+call(id)+"\n")
			require.Equal(t, 200, status)
			require.Equal(t, `{"jsonrpc":"2.0","id":`+id+`,"result":"0x7a69"}`, text)
			status, text = post(t, app, "/", "["+call(id)+"]")
			require.Equal(t, 200, status)
			require.Equal(t, `[{"jsonrpc":"2.0","id":`+id+`,"result":"0x7a69"}]`, text)
		})
	}
}

func TestHostile_BatchesAreAnsweredElementByElement(t *testing.T) {
	t.Parallel()

	app := start(t, config(upstreamtest.New(t)))
	good := func(id string) string { return `{"jsonrpc":"2.0","id":` + id + `,"result":"0x7a69"}` }
	invalid := func(id, message string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32600,"message":"invalid request: %s"}}`, id, message)
	}
	const notification = `{"jsonrpc":"2.0","method":"eth_chainId"}`
	for name, c := range map[string]struct {
		body   string
		status int
		answer string
	}{
		"no requests":        {`[1,null,"x",[]]`, 200, "[" + strings.Repeat(invalid("null", "not an object")+",", 3) + invalid("null", "not an object") + "]"},
		"a batch in a batch": {"[[" + call("1") + "]]", 200, "[" + invalid("null", "not an object") + "]"},
		"good and bad":       {"[" + call("1") + `,{"id":2},` + call("3") + "]", 200, "[" + good("1") + "," + invalid("2", "the method must be a non-empty string") + "," + good("3") + "]"},
		"equal ids":          {"[" + call("1") + "," + call("1") + "]", 200, "[" + good("1") + "," + good("1") + "]"},
		"a notification":     {"[" + notification + "," + call("1") + "]", 200, "[" + good("1") + "]"},
		"notifications":      {"[" + notification + "," + notification + "]", 204, ""},
		"the limit":          {"[" + strings.Repeat(call("1")+",", 999) + call("1") + "]", 200, "[" + strings.Repeat(good("1")+",", 999) + good("1") + "]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			status, text := post(t, app, "/", c.body)
			require.Equal(t, c.status, status, text)
			require.Equal(t, c.answer, text)
		})
	}
}
