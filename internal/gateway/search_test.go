package gateway

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

func mustQuery(t *testing.T, params string) query {
	t.Helper()
	q, ok := readQuery(logsMethod, []byte(params))
	require.True(t, ok)
	return q
}

func ranges(list []query) string {
	var out []string
	for _, q := range list {
		out = append(out, fmt.Sprintf("%d-%d", q.from, q.to))
	}
	return strings.Join(out, " ")
}

func TestReadQuery_WhatGoesToTheNodeAsItStands(t *testing.T) {
	t.Parallel()

	for _, params := range []string{
		``, `[]`, `["0x1"]`, `[{}]`, `[{"blockHash":"0xab"}]`, `[{"fromBlock":"latest","toBlock":"latest"}]`,
		`[{"fromBlock":"0x1","toBlock":"pending"}]`, `[{"fromBlock":"0x1","toBlock":"0x2"},1]`, `[{"fromBlock":1,"toBlock":2}]`,
		`[{"fromBlock":"0x1","toBlock":"0x2","after":0}]`, `[{"fromBlock":"0x1","toBlock":"0x2","count":5}]`,
	} {
		_, ok := readQuery(logsMethod, []byte(params))
		require.False(t, ok, params)
	}
	q := mustQuery(t, `[{"fromBlock":"earliest","toBlock":"latest"}]`)
	require.True(t, q.isOpen)
}

func TestQuery_Chunks(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		from, to, chunk uint64
		want            string
	}{
		"no longer than a chunk":      {7, 16, 10, "7-16"},
		"cut at multiples":            {7, 25, 10, "7-9 10-19 20-25"},
		"begins at a multiple":        {10, 29, 10, "10-19 20-29"},
		"single blocks":               {3, 5, 1, "3-3 4-4 5-5"},
		"never cut":                   {0, 99, 0, "0-99"},
		"backwards":                   {9, 3, 2, "9-3"},
		"the end of all numbers":      {1<<64 - 12, 1<<64 - 1, 10, "18446744073709551604-18446744073709551609 18446744073709551610-18446744073709551615"},
		"one block more than a chunk": {0, 10, 10, "0-9 10-10"},
	}
	for name, c := range cases {
		require.Equal(t, c.want, ranges(query{from: c.from, to: c.to}.chunks(c.chunk)), name)
	}
}

func TestQuery_ChunksOfOverlappingSearchesAreEqual(t *testing.T) {
	t.Parallel()

	a := mustQuery(t, `[{"fromBlock":"0x3","toBlock":"0x20","address":"0xab"}]`).chunks(10)
	b := mustQuery(t, `[{ "address" : "0xab", "toBlock":"0x1c","fromBlock":"0x5"}]`).chunks(10)
	first, err := a[1].params()
	require.NoError(t, err)
	second, err := b[1].params()
	require.NoError(t, err)
	require.Equal(t, `[{"address":"0xab","fromBlock":"0xa","toBlock":"0x13"}]`, string(first))
	require.Equal(t, string(first), string(second))
}

func TestQuery_Halves(t *testing.T) {
	t.Parallel()

	cases := map[string]struct{ params, first, second string }{
		"range first": {
			`[{"fromBlock":"0x1","toBlock":"0x4","address":["0xa","0xb"]}]`,
			`[{"address":["0xa","0xb"],"fromBlock":"0x1","toBlock":"0x2"}]`,
			`[{"address":["0xa","0xb"],"fromBlock":"0x3","toBlock":"0x4"}]`,
		},
		"addresses of one block": {
			`[{"fromBlock":"0x1","toBlock":"0x1","address":["0xa","0xb","0xc"],"topics":[["0x1","0x2"]]}]`,
			`[{"address":["0xa"],"fromBlock":"0x1","toBlock":"0x1","topics":[["0x1","0x2"]]}]`,
			`[{"address":["0xb","0xc"],"fromBlock":"0x1","toBlock":"0x1","topics":[["0x1","0x2"]]}]`,
		},
		"the first topic": {
			`[{"fromBlock":"0x1","toBlock":"0x1","topics":[["0x1","0x2"],null,"0x3"]}]`,
			`[{"fromBlock":"0x1","toBlock":"0x1","topics":[["0x1"],null,"0x3"]}]`,
			`[{"fromBlock":"0x1","toBlock":"0x1","topics":[["0x2"],null,"0x3"]}]`,
		},
		"nothing left": {params: `[{"fromBlock":"0x1","toBlock":"0x1","address":"0xa","topics":["0x1"]}]`},
	}
	for name, c := range cases {
		halves := mustQuery(t, c.params).halves()
		if c.first == "" {
			require.Nil(t, halves, name)
			continue
		}
		for i, want := range []string{c.first, c.second} {
			got, err := halves[i].params()
			require.NoError(t, err)
			require.Equal(t, want, string(got), name)
		}
	}
}

func TestQuery_Check(t *testing.T) {
	t.Parallel()

	s := Search{MaxRange: 100, MaxAddresses: 2, MaxTopics: 3, EnforceRange: true}
	cases := map[string]struct{ params, problem string }{
		"as long as allowed": {`[{"fromBlock":"0x1","toBlock":"0x64"}]`, ""},
		"longer":             {`[{"fromBlock":"0x1","toBlock":"0x65"}]`, "a range of 101 blocks: at most 100 are allowed"},
		"addresses":          {`[{"fromBlock":"0x1","toBlock":"0x2","address":["0xa","0xb","0xc"]}]`, "3 addresses: at most 2 are allowed"},
		"topics":             {`[{"fromBlock":"0x1","toBlock":"0x2","topics":["0x1",null,["0x2","0x3","0x4"]]}]`, "4 topics: at most 3 are allowed"},
		"backwards":          {`[{"fromBlock":"0x3","toBlock":"0x2"}]`, "invalid block range params: fromBlock 3 is after toBlock 2"},
	}
	for name, c := range cases {
		err := mustQuery(t, c.params).check(s)
		if c.problem == "" {
			require.NoError(t, err, name)
		} else {
			require.EqualError(t, err, c.problem, name)
		}
	}
	require.NoError(t, query{from: 3, to: 2}.check(Search{}))
	require.ErrorContains(t, query{to: 1 << 60}.checkPieces(1000), "more than 999000 blocks")
}

// TestQuery_PiecesCoverTheRange cuts random ranges at random and finds every
// block once.
func TestQuery_PiecesCoverTheRange(t *testing.T) {
	t.Parallel()

	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		q := query{from: random.Uint64N(50)}
		q.to = q.from + random.Uint64N(100)
		pieces := q.chunks(random.Uint64N(20))
		for range 20 {
			at := random.IntN(len(pieces))
			if halves := pieces[at].halves(); halves != nil {
				pieces = append(pieces[:at], append(halves, pieces[at+1:]...)...)
			}
		}
		next := q.from
		for _, p := range pieces {
			require.Equal(t, next, p.from)
			require.LessOrEqual(t, p.from, p.to)
			next = p.to + 1
		}
		require.Equal(t, q.to+1, next)
	}
}

func mergedText(t *testing.T, pieces ...*piece) string {
	t.Helper()
	result, err := merged(pieces)
	require.NoError(t, err)
	text := string(appendResult(nil, nil, result))
	require.True(t, jsonrpc.Valid([]byte(text)), text)
	return strings.TrimSuffix(strings.TrimPrefix(text, `{"jsonrpc":"2.0","id":null,"result":`), "}")
}

func TestMerged(t *testing.T) {
	t.Parallel()

	at := func(block uint64, value string) *piece {
		return &piece{query{from: block, to: block}, &Result{Value: []byte(value)}}
	}
	require.Equal(t, `[]`, mergedText(t, at(1, `[]`), at(2, ` [ ] `), at(3, "null")))
	require.Equal(t, `[1,2,3]`, mergedText(t, at(1, `[1]`), at(2, `[]`), at(3, ` [2,3] `)))
	require.Equal(t, `[{"logIndex":"0x0"},{"logIndex":"0x1"},{"logIndex":"0xa"},4]`, mergedText(t,
		at(1, `[{"logIndex":"0x1"},{"logIndex":"0xa"}]`), at(1, `[{"logIndex":"0x0"},{"logIndex":"0xa"}]`), at(2, `[4]`)))
	_, err := merged([]*piece{at(1, `{}`)})
	require.ErrorIs(t, err, errNotList)
}

func BenchmarkMerged(b *testing.B) {
	log := `{"address":"0x` + strings.Repeat("ab", 20) + `","data":"0x` + strings.Repeat("00", 200) + `"}`
	list := []byte("[" + strings.Repeat(log+",", 2000) + log + "]")
	var pieces []*piece
	var size int64
	for i := range uint64(20) { // 10 MB
		pieces = append(pieces, &piece{query{from: i, to: i}, &Result{Value: list}})
		size += int64(len(list))
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := merged(pieces); err != nil {
			b.Fatal(err)
		}
	}
}

// TestMerged_HoldsTheListsOnce: putting megabytes together costs a few slices.
func TestMerged_HoldsTheListsOnce(t *testing.T) { //nolint:paralleltest // measures what this process allocates
	result := testing.Benchmark(BenchmarkMerged)
	require.Less(t, result.AllocedBytesPerOp(), int64(16<<10))
}
