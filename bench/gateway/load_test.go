package main

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reading is a connection from which a text can be read.
func reading(text string) *connection {
	return &connection{in: bufio.NewReader(strings.NewReader(text))}
}

func TestSkipAnswer_EndsWhereTheNextBegins(t *testing.T) {
	t.Parallel()
	c := reading("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst" +
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n" +
		"HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n" + `{"id":1,"error":{"code":-1}} `[:28] +
		"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
	for i, want := range []bool{true, true, false, false} {
		isGood, err := c.skipAnswer()
		require.NoError(t, err)
		require.Equal(t, want, isGood, "answer %d", i)
	}
	_, err := c.skipAnswer()
	require.Error(t, err)
}

func TestReadHead_NeedsAnEnd(t *testing.T) {
	t.Parallel()
	_, err := reading("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n").readHead()
	require.ErrorIs(t, err, errNoEnd)
}

func TestCheckAnswer_TakesEachIDOnce(t *testing.T) {
	t.Parallel()
	single, both := []byte(call(1, "x", "")), []byte("["+call(1, "x", "")+","+call(2, "x", "")+"]")
	require.NoError(t, checkAnswer(single, []byte(`{"id":1,"result":"0x1"}`)))
	require.NoError(t, checkAnswer(both, []byte(`[{"id":2,"result":1},{"id":1,"result":1}]`)))
	for _, wrong := range []string{
		``, `{"id":2,"result":1}`, `{"id":1,"result":null}`, `{"id":1,"error":{}}`, `[]`,
	} {
		require.Error(t, checkAnswer(single, []byte(wrong)), wrong)
	}
	require.Error(t, checkAnswer(both, []byte(`[{"id":1,"result":1},{"id":1,"result":1}]`)))
}

func TestPost_IsOneWholeRequest(t *testing.T) {
	t.Parallel()
	const want = "POST / HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]"
	require.Equal(t, want, string(post("h:1", "[1]")))
	length, err := readHead(bufio.NewReader(strings.NewReader(want)))
	require.NoError(t, err)
	require.Equal(t, 3, length)
}

func TestCutID_LeavesTheRest(t *testing.T) {
	t.Parallel()
	before, id, after := cutID([]byte(`{"id":17,"x":1}`))
	require.Equal(t, []string{`{"id":`, `17`, `,"x":1}`}, []string{string(before), string(id), string(after)})
	before, id, after = cutID([]byte(`{}`))
	require.Equal(t, []string{`{}`, ``, ``}, []string{string(before), string(id), string(after)})
}
