package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
)

// tally counts what clients saw.
type tally struct {
	mu     sync.Mutex
	right  int
	errors map[string]int // by kind
	wrong  []string       // the first few
	wrongs int
	head   uint64 // the newest that an answer which was complete told
	events int    // that subscribers were told
	breaks int    // of subscribers' connections
}

// keptWrong is how many wrong answers are shown.
const keptWrong = 10

func (t *tally) note(kind, wrong string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case wrong != "":
		if t.wrongs++; len(t.wrong) < keptWrong {
			t.wrong = append(t.wrong, wrong)
		}
	case kind != "":
		if t.errors == nil {
			t.errors = map[string]int{}
		}
		t.errors[kind]++
	default:
		t.right++
	}
}

func (t *tally) counts() (right, wrong, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.errors {
		failed += n
	}
	return t.right, t.wrongs, failed
}

// call is a question with its right answer; an empty one is told by isHead.
type call struct{ method, params, want string }

// mix is the n-th request: mostly single calls, some for the first time and some
// again, each tenth a batch.
func mix(n int) []call {
	if n%10 == 9 {
		return []call{one(n), one(n + 1), one(7), one(n + 3), one(n + 4)}
	}
	return []call{one(n)}
}

func one(n int) call {
	address := fmt.Sprintf("0x%040x", n)
	switch n % 8 {
	case 0:
		return call{"eth_blockNumber", "[]", ""}
	case 1: // the answer is kept: of 500 kinds
		hash := fmt.Sprintf("0x%064x", n%4000)
		return call{"eth_getTransactionReceipt", `["` + hash + `"]`, receipt(hash)}
	case 2:
		from := fmt.Sprintf("0x%x", firstHead-1-n%4000)
		return call{"eth_getLogs", `[{"fromBlock":"` + from + `","toBlock":"` + from + `"}]`, logs(from)}
	case 3:
		raw := fmt.Sprintf("0x%040x", n)
		return call{"eth_sendRawTransaction", `["` + raw + `"]`, sent(raw)}
	case 4:
		if n%32 == 4 {
			return call{"eth_getCode", `["` + address + `","latest"]`, code(address)}
		}
		number := fmt.Sprintf("0x%x", firstHead-n%4000)
		return call{"eth_getBlockByNumber", `["` + number + `",false]`, block(number, firstHead)}
	case 5:
		return call{"eth_chainId", "[]", fmt.Sprintf(`"0x%x"`, chainID)}
	default:
		return call{"eth_getBalance", `["` + address + `","latest"]`, balance(address)}
	}
}

const (
	callTimeout = 30 * time.Second
	// maxInFlight bounds the clients that wait; more than that are not sent.
	maxInFlight = 512
	// idleFor is how long clients keep a connection that they do not use. Without
	// an end a moment in which many waited would show in the gateway's open files
	// for the rest of the run.
	idleFor = 5 * time.Second
)

// load sends requests at a fixed rate until ctx ends, and waits for the last.
func load(ctx context.Context, url string, rate int, seen *tally) {
	client := &http.Client{Timeout: callTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: maxInFlight, IdleConnTimeout: idleFor}}
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	slots := make(chan struct{}, maxInFlight)
	var flying sync.WaitGroup
	defer flying.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		select {
		case slots <- struct{}{}:
		default:
			seen.note("the load found no place", "")
			continue
		}
		flying.Go(func() {
			defer func() { <-slots }()
			ask(context.WithoutCancel(ctx), client, url, n, seen)
		})
	}
}

type reply struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func ask(ctx context.Context, client *http.Client, url string, n int, seen *tally) {
	calls := mix(n)
	texts := make([]string, len(calls))
	for i, c := range calls {
		texts[i] = fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, n*100+i, c.method, c.params)
	}
	body := texts[0]
	if len(calls) > 1 {
		body = "[" + strings.Join(texts, ",") + "]"
	}
	seen.mu.Lock()
	floor := seen.head // a head below what was told before is an old one
	seen.mu.Unlock()
	text, err := post(ctx, client, url, body)
	if err != nil {
		seen.note("HTTP: "+kindOf(err), "")
		return
	}
	var replies []reply
	if len(calls) == 1 {
		text = append(append([]byte("["), text...), ']')
	}
	if err := json.Unmarshal(text, &replies); err != nil || len(replies) != len(calls) {
		seen.note("", fmt.Sprintf("%s: answered with %.200s", body, text))
		return
	}
	for i, r := range replies {
		seen.judge(calls[i], fmt.Sprint(n*100+i), r, floor)
	}
}

// judge notes one answer.
func (t *tally) judge(c call, id string, r reply, floor uint64) {
	switch {
	case string(r.ID) != id:
		t.note("", fmt.Sprintf("%s: id %s instead of %s", c.method, r.ID, id))
	case r.Error != nil:
		t.note(fmt.Sprintf("%d %s", r.Error.Code, r.Error.Message), "")
	case c.want != "" && string(r.Result) == c.want:
		t.note("", "")
	case c.want == "":
		head, err := hexutil.DecodeUint64(strings.Trim(string(r.Result), `"`))
		if err != nil || head < floor {
			t.note("", fmt.Sprintf("%s: %s after %d", c.method, r.Result, floor))
			return
		}
		t.mu.Lock()
		t.head = max(t.head, head)
		t.mu.Unlock()
		t.note("", "")
	default:
		t.note("", fmt.Sprintf("%s %s: %.200s", c.method, c.params, r.Result))
	}
}

func post(ctx context.Context, client *http.Client, url, body string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("send a request: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return bytes.TrimSpace(text), err
}

// kindOf shortens an error to what many have in common.
func kindOf(err error) string {
	text := err.Error()
	return text[strings.LastIndex(text, ": ")+1:]
}
