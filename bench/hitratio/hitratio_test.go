package main

import (
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClock_TellsHeadAndAge(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	c := clock{start: start, blockTime: time.Second}
	require.EqualValues(t, firstHead, c.head(start.Add(-time.Minute)))
	require.EqualValues(t, firstHead, c.head(start.Add(999*time.Millisecond)))
	require.EqualValues(t, firstHead+1, c.head(start.Add(time.Second)))
	require.Zero(t, c.age(firstHead+1, start.Add(1900*time.Millisecond)))
	require.Equal(t, 100*time.Millisecond, c.age(firstHead, start.Add(1100*time.Millisecond)))
}

// answer is what the node says to a question while head is the newest block.
func answer(t *testing.T, q question, head uint64) string {
	t.Helper()
	r := request{Method: q.method}
	require.NoError(t, json.Unmarshal([]byte(q.params), &r.Params))
	return resultOf(r, head)
}

func TestJudge_TakesTheNodesWordForRightAndKnowsItsAge(t *testing.T) {
	t.Parallel()
	c := clock{start: time.Unix(1000, 0), blockTime: time.Second}
	at := c.start.Add(10*time.Second + 300*time.Millisecond) // block firstHead+10 is the newest
	for i, q := range questions(3, 1, firstHead+8) {
		age, isRight := q.judge(answer(t, q, firstHead+10), at, at, c)
		require.True(t, isRight, "question %d", i)
		require.Zero(t, age, "question %d", i)
		if q.shows == nil {
			continue
		}
		age, isRight = q.judge(answer(t, q, firstHead+9), at, at, c)
		require.True(t, isRight, "question %d", i)
		require.Equal(t, 300*time.Millisecond, age, "question %d", i)
		_, isRight = q.judge(answer(t, q, firstHead+11), at, at, c)
		require.False(t, isRight, "question %d: a block that is not there yet", i)
	}
}

func TestJudge_RefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := clock{start: time.Unix(1000, 0), blockTime: time.Second}
	at := c.start.Add(10*time.Second + 300*time.Millisecond)
	for i, q := range questions(0, 0, firstHead+8) {
		for _, wrong := range []string{`"x"`, `{}`, `[]`, `"0x"`, ``} {
			_, isRight := q.judge(wrong, at, at, c)
			require.False(t, isRight, "question %d: %s", i, wrong)
		}
	}
	missing := receiptOf(firstHead+9, 0)
	age, isRight := missing.judge("null", at, at, c)
	require.True(t, isRight)
	require.Equal(t, 1300*time.Millisecond, age) // the block before was followed 1.3 s ago
	_, isRight = missing.judge(receipt(transaction(firstHead+9, 1)), at, at, c)
	require.False(t, isRight, "another transaction's")
	incomplete := question{shows: func(result string) (uint64, bool) { return shownLogs(result, firstHead+5) }}
	_, isRight = incomplete.judge(logs(firstHead+6, firstHead+10), at, at, c)
	require.False(t, isRight, "logs of a block are missing")
}

func TestParseSources_AddsUpOutcomes(t *testing.T) {
	t.Parallel()
	got, err := parseSources(`# HELP gateway_requests_total Calls answered.
gateway_requests_total{method="eth_call",network="evm:1",outcome="ok",project="main",source="cache"} 3
gateway_requests_total{method="eth_call",network="evm:1",outcome="ok",project="main",source="upstream"} 2
gateway_requests_total{method="eth_call",network="evm:1",outcome="node_error",project="main",source="upstream"} 1e+06
gateway_joined_total{network="evm:1",project="main"} 7
`)
	require.NoError(t, err)
	require.Equal(t, sources{"eth_call": {"cache": 3, "upstream": 1_000_002}}, got)
	_, err = parseSources("gateway_requests_total{method=\"x\"} none\n")
	require.Error(t, err)
}

func TestTable_ShowsShares(t *testing.T) {
	t.Parallel()
	r := report{
		sources: sources{"eth_call": {"cache": 3, "joined": 1}}, nodeCalls: map[string]int{"eth_call": 5}, popular: 4, blocks: 2, tally: newTally(),
	}
	require.Contains(t, r.table(), "eth_call                           4    0.0   75.0    25.0       0.0           5          0       0\n")
	require.Contains(t, r.table(), "one popular eth_call: 2.0 node calls for each of 2 blocks\n")
	require.True(t, r.isRight())
	r.tally.note("eth_call", time.Second, "an old one")
	require.Contains(t, r.table(), "1000       1\n")
	require.False(t, r.isRight())
}

func TestParse_RefusesWhatMeasuresNothing(t *testing.T) {
	t.Parallel()
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 50, o.clients)
	for _, args := range [][]string{{"-duration", "1s"}, {"-clients", "0"}, {"-poll", "0s"}, {"-block-time", "1ms"}, {"-latency", "-1s"}, {"-x"}} {
		_, err := parse(args, io.Discard)
		require.Error(t, err, args)
	}
}
