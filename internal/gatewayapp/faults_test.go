package gatewayapp_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

const (
	loadRate  = 100 // calls a second, whether the gateway keeps up or not
	loadTime  = 2500 * time.Millisecond
	learnTime = time.Second // after which the broken node must have lost its place
	// learnt bounds the median call after that. It is below the least time a
	// hedge waits, so a gateway that is saved by hedging call for call fails.
	learnt = 40 * time.Millisecond
)

// With the default configuration and two nodes, of which the preferred one
// breaks under load, no client sees an error or a wrong answer, and after a
// second calls are as quick as before. The cases run one after the other: they
// are about time.
func TestFaults_ABrokenPrimaryIsInvisible(t *testing.T) { //nolint:paralleltest // see above
	fault := func(f upstreamtest.Fault) func(*upstreamtest.Node) {
		return func(n *upstreamtest.Node) { n.SetFault("", f) }
	}
	says := func(a upstreamtest.Answer) func(*upstreamtest.Node) {
		return func(n *upstreamtest.Node) {
			for method := range loadMix() {
				n.Answer(method, a)
			}
		}
	}
	cases := map[string]func(*upstreamtest.Node){
		"healthy":            func(*upstreamtest.Node) {},
		"refused":            func(n *upstreamtest.Node) { n.Stop() },
		"hangs":              fault(upstreamtest.Hang),
		"resets":             fault(upstreamtest.Reset),
		"HTTP 429":           fault(upstreamtest.TooMany),
		"HTTP 503":           fault(upstreamtest.ServerDown),
		"HTTP 403":           fault(upstreamtest.Forbidden),
		"HTML":               fault(upstreamtest.HTML),
		"cut body":           fault(upstreamtest.Cut),
		"broken JSON":        fault(upstreamtest.BrokenJSON),
		"a wrong id":         fault(upstreamtest.WrongID),
		"null for all":       says(upstreamtest.Result("null")),
		"-32603":             says(upstreamtest.Error(-32603, "Internal error")),
		"-32005":             says(upstreamtest.Error(-32005, "rate limit exceeded")),
		"two seconds later":  func(n *upstreamtest.Node) { answerSlowly(n, 2*time.Second) },
		"one in three":       failOneInThree,
		"a clock that jumps": (*upstreamtest.Node).LetClockJump,
	}
	names := make([]string, 0, len(cases))
	for name := range cases {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names { //nolint:paralleltest // see above
		t.Run(name, func(t *testing.T) {
			primary, second := upstreamtest.New(t), upstreamtest.New(t)
			for method, answer := range loadMix() {
				primary.Answer(method, upstreamtest.Result(answer.result))
				second.Answer(method, upstreamtest.Result(answer.result))
			}
			app := start(t, config(primary, second))

			cases[name](primary)
			seen := load(t, app)

			require.Empty(t, seen.wrong)
			require.Less(t, median(seen.late), learnt, "median of %d calls after %s", len(seen.late), learnTime)
		})
	}
}

// The same with two of three nodes hanging at once: the hedge hangs as well.
func TestFaults_TwoHangingNodesOfThreeAreInvisible(t *testing.T) { //nolint:paralleltest // see above
	nodes := []*upstreamtest.Node{upstreamtest.New(t), upstreamtest.New(t), upstreamtest.New(t)}
	for _, n := range nodes {
		for method, answer := range loadMix() {
			n.Answer(method, upstreamtest.Result(answer.result))
		}
	}
	app := start(t, config(nodes...))
	healthy := median(load(t, app).late)

	nodes[0].SetFault("", upstreamtest.Hang)
	nodes[1].SetFault("", upstreamtest.Hang)
	seen := load(t, app)

	require.Empty(t, seen.wrong)
	require.Less(t, median(seen.late), healthy+10*time.Millisecond, "median of %d calls after %s; %s when all were well", len(seen.late), learnTime, healthy)
}

type loadCall struct{ params, result string }

// loadMix is what the load asks for; the answers are those of healthy nodes.
func loadMix() map[string]loadCall {
	return map[string]loadCall{
		"eth_getBalance":          {`["0x%040x","latest"]`, `"0x64"`},
		"eth_call":                {`[{"to":"0x%040x"},"latest"]`, `"0x01"`},
		"eth_getTransactionCount": {`["0x%040x","latest"]`, `"0x7"`},
		"eth_getCode":             {`["0x%040x","latest"]`, `"0x6080"`},
	}
}

func answerSlowly(n *upstreamtest.Node, d time.Duration) {
	for method, call := range loadMix() {
		n.AnswerFunc(method, func(string) upstreamtest.Answer {
			<-time.After(d)
			return upstreamtest.Result(call.result)
		})
	}
}

func failOneInThree(n *upstreamtest.Node) {
	var calls atomic.Int64
	for method, call := range loadMix() {
		n.AnswerFunc(method, func(string) upstreamtest.Answer {
			if calls.Add(1)%3 == 0 {
				return upstreamtest.Error(-32603, "Internal error")
			}
			return upstreamtest.Result(call.result)
		})
	}
}

// sights is what the clients saw.
type sights struct {
	mu    sync.Mutex
	wrong []string
	late  []time.Duration // of calls that began after learnTime
}

// load sends calls at a fixed rate, each with parameters of its own.
func load(t *testing.T, app *gatewayapp.App) *sights {
	t.Helper()
	var seen sights
	var wg sync.WaitGroup
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	ticker := time.NewTicker(time.Second / loadRate)
	defer ticker.Stop()
	methods := make([]string, 0, len(loadMix()))
	for method := range loadMix() {
		methods = append(methods, method)
	}
	began := time.Now()
	for i := 0; time.Since(began) < loadTime; i++ {
		<-ticker.C
		method := methods[i%len(methods)]
		wg.Go(func() {
			start := time.Now()
			problem := ask(t, client, app, method, i)
			took := time.Since(start)
			seen.mu.Lock()
			defer seen.mu.Unlock()
			if problem != "" {
				seen.wrong = append(seen.wrong, problem)
			}
			if start.Sub(began) > learnTime {
				seen.late = append(seen.late, took)
			}
		})
	}
	wg.Wait()
	return &seen
}

// ask makes one call and says what was wrong with its answer.
func ask(t *testing.T, client *http.Client, app *gatewayapp.App, method string, i int) string {
	t.Helper()
	call := loadMix()[method]
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}`, i, method, fmt.Sprintf(call.params, i))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+app.Addr(), strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	var answer strings.Builder
	if err := response.Write(&answer); err != nil {
		return err.Error()
	}
	if want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":%s}`, i, call.result); !strings.HasSuffix(answer.String(), want) {
		return method + ": " + answer.String()
	}
	return ""
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}
