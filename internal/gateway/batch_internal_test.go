package gateway

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// Large values are written from where they are, and the answer is the same.
func TestAppendBatch_CutsChangeNothing(t *testing.T) {
	t.Parallel()
	large := []byte(`"` + strings.Repeat("ab", largeValue) + `"`)
	request := func(id string) jsonrpc.Request {
		r, problem := jsonrpc.ScanRequest([]byte(`{"jsonrpc":"2.0","id":` + id + `,"method":"m"}`))
		require.Nil(t, problem)
		return r
	}
	elements := []element{
		{request: request("1"), result: &Result{Value: large}},
		{request: request("2"), result: &Result{Value: []byte(`"small"`)}},
		{request: request(`"three"`), result: &Result{Parts: [][]byte{[]byte("["), []byte("1,"), []byte("2]")}}},
		{request: request("4"), result: &Result{Error: []byte(`{"code":3,"message":"no"}`)}},
		{request: request("5"), err: errRequestTimeout},
		{request: request("6"), result: &Result{Value: large}},
	}
	var cuts cuts
	whole := appendBatch(nil, elements, nil)
	text := appendBatch(nil, elements, &cuts)
	parts := cuts.parts(text)
	require.Less(t, len(text), 1000)
	require.Equal(t, string(whole), string(bytes.Join(parts, nil)))
	require.True(t, json.Valid(whole))
	require.Same(t, &large[0], &parts[1][0])
}
