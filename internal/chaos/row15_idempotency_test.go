package chaos

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Row 15: the same request a hundred times at once, under one key.
func TestRow15_SameKeyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for range 2 {
		w.replica(t).start(t).ready(t)
	}
	var mu sync.Mutex
	ids, created := map[string]int{}, 0
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			status, answer, err := w.post(t.Context(), w.replicas[i%2].url, w.body(0), "request-0")
			var got struct{ ID string }
			if err != nil || json.Unmarshal(answer, &got) != nil {
				t.Errorf("%v %s", err, answer)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[got.ID]++
			if status == http.StatusAccepted {
				created++
			} else if status != http.StatusOK {
				t.Errorf("HTTP %d %s", status, answer)
			}
		})
	}
	wg.Wait()
	require.Len(t, ids, 1)
	require.Equal(t, 1, created, "one is accepted, the others are replays")

	status, answer, err := w.post(t.Context(), w.replicas[0].url, w.body(2), "request-0")
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, status, "the same key with another body: %s", answer)
	w.judge(t, verdict{accepted: 1})
}

// Row 15: the answer to an accepted request is lost; the client asks again.
func TestRow15_AnswerLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	r := w.replica(t).start(t, "SIGNER_FAILPOINT=after_insert:1").ready(t)
	_, _, err := w.post(t.Context(), r.url, w.body(0), "request-0")
	require.Error(t, err, "it died with the answer")
	r.waitKilled(t)
	require.Equal(t, 1, w.count(t, `select count(*) from transactions`))
	r.start(t).ready(t)

	status, _, err := w.post(t.Context(), r.url, w.body(0), "request-0")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	w.judge(t, verdict{accepted: 1})
}
