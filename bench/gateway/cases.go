package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Targets, in the order in which they are measured.
const (
	targetUpstream   = "upstream"    // no proxy at all: what the generator can do
	targetNginx      = "nginx"       // a yardstick written in C
	targetFloorProxy = "floor-proxy" // a yardstick written in Go
	targetFloorHit   = "floor-hit"
	targetGateway    = "gateway"
	// targetRedisGateway keeps answers in Redis only. Redis' own CPU is not counted.
	targetRedisGateway = "gateway+redis"
)

// testCase is one kind of request.
type testCase struct {
	name    string
	bodies  []string // sent in turn
	targets []string
}

func cases() []testCase {
	forwarded := []string{targetUpstream, targetNginx, targetFloorProxy, targetGateway}
	answered := []string{targetFloorHit, targetGateway}
	return []testCase{
		{"forward balance, distinct", numbered(4096, balance), forwarded},
		{"forward gas price, same", []string{call(1, "eth_gasPrice", "")}, forwarded},
		{"forward batch of 100", numbered(64, func(i int) string {
			return batch(func(j int) string { return balance(100_000 + i*100 + j) })
		}), forwarded},
		{"hit receipt 1 KB", numbered(1024, receipt), answered},
		{"hit receipt 1 KB in Redis", numbered(1024, receipt), []string{targetRedisGateway}},
		{"hit block 100 KB", []string{call(1, "eth_getBlockByNumber", fmt.Sprintf(`"0x%x",true`, firstHead-5000))}, answered},
		{"hit batch of 100", []string{batch(receipt)}, answered},
		{"chain id", []string{call(1, "eth_chainId", "")}, answered},
	}
}

func numbered(n int, body func(i int) string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = body(i)
	}
	return out
}

func batch(element func(i int) string) string {
	return "[" + strings.Join(numbered(100, element), ",") + "]"
}

func balance(i int) string {
	return call(i, "eth_getBalance", fmt.Sprintf(`"0x%040x","latest"`, i+1))
}

func receipt(i int) string {
	return call(i, "eth_getTransactionReceipt", fmt.Sprintf("%q", hash('x', uint64(i))))
}

func call(id int, method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"%s","params":[%s]}`, id, method, params)
}

// post is a whole HTTP request, ready to be written to a connection.
func post(addr, body string) []byte {
	return fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body)
}

// checkAnswer says whether the answer is one: each id once, results and no
// errors. What the results are is for tests, not for a benchmark.
func checkAnswer(body, answer []byte) error {
	type message struct {
		ID     json.RawMessage `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	read := func(text []byte) (list []message, err error) {
		if len(text) > 0 && text[0] != '[' {
			text = append(append([]byte{'['}, text...), ']')
		}
		return list, json.Unmarshal(text, &list)
	}
	asked, err := read(body)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	got, err := read(answer)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	open := map[string]bool{}
	for _, m := range asked {
		open[string(m.ID)] = true
	}
	for _, m := range got {
		if m.Error != nil || len(m.Result) == 0 || string(m.Result) == "null" {
			return fmt.Errorf("wrong answer: %.200s", answer)
		}
		delete(open, string(m.ID))
	}
	if len(open) > 0 || len(got) != len(asked) {
		return errors.New("not every request was answered once")
	}
	return nil
}
