package chaos

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Row 4: the node gets the transactions, and the answer is lost.
func TestRow04_AmbiguousReply(t *testing.T) {
	t.Parallel()
	faults := map[string]func(w http.ResponseWriter){
		"reset":            cut,
		"gateway timeout":  func(w http.ResponseWriter) { http.Error(w, "timeout", http.StatusGatewayTimeout) },
		"too many (429)":   func(w http.ResponseWriter) { http.Error(w, "slow down", http.StatusTooManyRequests) },
		"empty answer":     func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) },
		"unauthorised 401": func(w http.ResponseWriter) { http.Error(w, "who are you", http.StatusUnauthorized) },
	}
	for name, answer := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyOther(t, choose(20, 300), func(w http.ResponseWriter, forward func() []byte) {
				forward()
				answer(w)
			})
		})
	}
}

// everyOther runs a load while every other offer to the node goes wrong, once
// between the signer and the gateway and once between the gateway and the node.
func everyOther(t *testing.T, n int, wrong func(w http.ResponseWriter, forward func() []byte)) {
	t.Helper()
	broken := func() (fault, *atomic.Int64) {
		var seen, spoilt atomic.Int64
		return func(w http.ResponseWriter, request []byte, forward func() []byte) bool {
			if !sends(request) || seen.Add(1)%2 == 0 {
				return false
			}
			spoilt.Add(1)
			wrong(w, forward)
			return true
		}, &spoilt
	}
	front, atFront := broken()
	back, atBack := broken()
	w := newWorld(t, options{front: front, back: back, queue: map[string]any{"batchSize": 3}})
	w.replica(t).start(t)
	w.load(t, 0, n)
	w.judge(t, verdict{accepted: n})
	require.Positive(t, atFront.Load())
	require.Positive(t, atBack.Load())
}

// Row 5: the answer comes and is wrong.
func TestRow05_BadReply(t *testing.T) {
	t.Parallel()
	stall := choose(500*time.Millisecond, 30*time.Second)
	faults := map[string]func(w http.ResponseWriter, forward func() []byte){
		"swapped hashes": func(w http.ResponseWriter, forward func() []byte) { reply(w, swapResults(forward())) },
		"html": func(w http.ResponseWriter, forward func() []byte) {
			forward()
			reply(w, []byte("<html><body>It works!</body></html>"))
		},
		"truncated json": func(w http.ResponseWriter, forward func() []byte) {
			answer := forward()
			reply(w, answer[:len(answer)/2])
		},
		"duplicate answers": func(w http.ResponseWriter, forward func() []byte) { reply(w, repeatFirst(forward())) },
		"stall": func(w http.ResponseWriter, forward func() []byte) {
			answer := forward()
			<-time.After(stall)
			reply(w, answer)
		},
	}
	for name, wrong := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := choose(20, 300)
			if name == "stall" {
				n = 20 // each costs half a minute
			}
			everyOther(t, n, wrong)
		})
	}
}

// swapResults gives each answer of a batch the result of the next one, and a
// single one a hash of nothing.
func swapResults(answer []byte) []byte {
	var batch []map[string]json.RawMessage
	if json.Unmarshal(answer, &batch) != nil || len(batch) < 2 {
		return bytes.ReplaceAll(answer, []byte(`"result":"0x`), []byte(`"result":"0x00`))
	}
	first := batch[0]["result"]
	for i := range batch[1:] {
		batch[i]["result"] = batch[i+1]["result"]
	}
	batch[len(batch)-1]["result"] = first
	out, _ := json.Marshal(batch) // it was JSON
	return out
}

// repeatFirst answers every call of a batch as the first one.
func repeatFirst(answer []byte) []byte {
	var batch []json.RawMessage
	if json.Unmarshal(answer, &batch) != nil {
		return append(answer, answer...)
	}
	for i := range batch {
		batch[i] = batch[0]
	}
	out, _ := json.Marshal(batch) // it was JSON
	return out
}
