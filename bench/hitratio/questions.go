package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
)

// question is a call and what its answer has to show.
type question struct {
	method, params string
	// want is the answer, where it cannot change.
	want string
	// shows reads the block whose state an answer shows, where want is empty.
	shows func(result string) (uint64, bool)
	// since is from which block on there is an answer other than null.
	since uint64
}

const (
	popularContract = 1 // one that all clients call, such as a price feed
	contracts       = 3
	recent          = 5 // blocks whose transactions and logs are looked at
)

func contract(i int) string { return fmt.Sprintf("0x%040x", 0xc0ffee00+i) }

// questions are what a client asks in one round; known is the newest block that
// it was told of. All but the balance are those of all other clients too.
func questions(client, round int, known uint64) []question {
	all := []question{
		{method: "eth_chainId", params: "[]", want: quantity(chainID)},
		{method: "eth_blockNumber", params: "[]", shows: shownNumber},
		{method: "eth_gasPrice", params: "[]", shows: shownNumber},
		{method: "eth_getBalance", params: fmt.Sprintf(`["0x%040x","latest"]`, 0xacc0000+client), shows: shownNumber},
		{method: "eth_getBlockByNumber", params: `["latest",false]`, shows: shownBlock},
		{method: "eth_getBlockByNumber", params: fmt.Sprintf(`["0x%x",false]`, known), want: block(known)},
		{method: "eth_getLogs", params: fmt.Sprintf(`[{"fromBlock":"0x%x","toBlock":"0x%x"}]`, known-recent, known), want: logs(known-recent, known)},
		{method: "eth_getLogs", params: fmt.Sprintf(`[{"fromBlock":"0x%x","toBlock":"latest"}]`, known-recent), shows: func(result string) (uint64, bool) {
			return shownLogs(result, known-recent)
		}},
		receiptOf(known-uint64(round%recent), uint64(round%2)),
		receiptOf(known+1, uint64(client%10)), // of a transaction that was just sent
	}
	for i := range contracts {
		all = append(all, question{
			method: "eth_call", params: fmt.Sprintf(`[{"to":%q,"data":"0x18160ddd"},"latest"]`, contract(popularContract+i)), shows: shownNumber,
		})
	}
	return all
}

func receiptOf(block, index uint64) question {
	hash := transaction(block, index)
	return question{method: "eth_getTransactionReceipt", params: fmt.Sprintf("[%q]", hash), want: receipt(hash), since: block}
}

func shownNumber(result string) (uint64, bool) {
	digits := strings.TrimLeft(strings.TrimPrefix(strings.Trim(result, `"`), "0x"), "0")
	n, err := hexutil.DecodeUint64("0x" + digits)
	return n, err == nil
}

func shownBlock(result string) (uint64, bool) {
	var b struct{ Number hexutil.Uint64 }
	err := json.Unmarshal([]byte(result), &b)
	return uint64(b.Number), err == nil && result == block(uint64(b.Number))
}

// shownLogs is the last block of an answer that has all logs up to it.
func shownLogs(result string, from uint64) (uint64, bool) {
	var list []struct{ BlockNumber hexutil.Uint64 }
	if json.Unmarshal([]byte(result), &list) != nil || len(list) == 0 {
		return 0, false
	}
	last := uint64(list[len(list)-1].BlockNumber)
	return last, result == logs(from, last)
}

// judge says how old an answer was when it was asked for, and whether it is
// right up to its age.
func (q question) judge(result string, asked, answered time.Time, c clock) (age time.Duration, isRight bool) {
	switch {
	case result == "null" && q.since > 0:
		if q.since <= firstHead {
			return 0, false
		}
		return c.age(q.since-1, asked), true // it shows that the block before was the newest
	case q.want != "":
		return 0, result == q.want && q.since <= c.head(answered)
	}
	n, ok := q.shows(result)
	if !ok || n < firstHead || n > c.head(answered) {
		return 0, false
	}
	return c.age(n, asked), true
}
