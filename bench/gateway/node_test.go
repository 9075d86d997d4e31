package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNode_AnswersEveryCaseRightly(t *testing.T) {
	t.Parallel()
	n := newNode()
	for _, c := range cases() {
		answer := n.answer(nil, []byte(c.bodies[0]))
		require.NoError(t, checkAnswer([]byte(c.bodies[0]), answer), c.name)
		require.Equal(t, answer, n.answer(nil, []byte(c.bodies[0])), "%s: the second answer differs", c.name)
	}
}

func TestNode_SizesAreWhatTheCasesSay(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 1700, len(renderBlock(firstHead, false)), 300)
	require.InDelta(t, 100_000, len(renderBlock(firstHead, true)), 10_000)
	require.InDelta(t, 1000, len(appendReceipt(nil, hash('x', 1))), 200)
	require.Len(t, hash('x', ^uint64(0)), 66)
}

func TestNode_ShowsAMovingChain(t *testing.T) {
	t.Parallel()
	n := newNode()
	var got struct{ Result struct{ Number string } }
	require.NoError(t, json.Unmarshal(n.answer(nil, []byte(call(1, "eth_getBlockByNumber", `"finalized",false`))), &got))
	require.Equal(t, "0x1312cc0", got.Result.Number)
	require.JSONEq(t, `{"jsonrpc":"2.0","id":1,"result":null}`, string(n.answer(nil, []byte(call(1, "eth_getBlockByNumber", `"0xffffffffff",false`)))))
	require.Contains(t, string(n.answer(nil, []byte(call(1, "eth_blockNumber", "")))), `"0x1312d`)
	require.Contains(t, string(n.answer(nil, []byte(call(1, "eth_mystery", "")))), `"error"`)
}

func TestReadCall_TakesAnyOrderAndSpacing(t *testing.T) {
	t.Parallel()
	id, method, params := readCall([]byte(` { "params" : [ "a\"]", {"x":[1]} ] , "id" : "q\\\"" ,"method":"eth_call", "jsonrpc":"2.0"}`))
	require.Equal(t, `"q\\\""`, string(id))
	require.Equal(t, "eth_call", string(method))
	require.Equal(t, `[ "a\"]", {"x":[1]} ]`, string(params))

	id, _, params = readCall([]byte(`{"method":"x"}`))
	require.Equal(t, "null", string(id))
	require.Empty(t, params)
}

func TestElements_AreCutApart(t *testing.T) {
	t.Parallel()
	s := scanner{text: []byte(` [ {"a":1} , 2,"x"]`)}
	require.Equal(t, byte('['), s.peek())
	require.Equal(t, [][]byte{[]byte(`{"a":1}`), []byte(`2`), []byte(`"x"`)}, s.elements())
	require.Empty(t, (&scanner{text: []byte(`[]`)}).elements())
}
