package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/queue"
)

// wish is how long a caller wants to wait, and for what.
type wish struct {
	until   queue.Status // "": not at all
	timeout time.Duration
	applied []string // preferences that were honoured (RFC 7240)
}

// milestone reads the values of ?wait=.
func milestone(name string) (queue.Status, bool) {
	switch name {
	case "accepted":
		return "", true
	case "signed":
		return queue.StatusSigned, true
	case "submitted":
		return queue.StatusSubmitted, true
	case "mined":
		return queue.StatusMined, true
	default:
		return "", false
	}
}

// readWish reads ?wait=, ?timeout= and the header Prefer (RFC 7240):
// respond-async does not wait, wait=N waits up to N seconds, for mined unless
// ?wait= says otherwise. An unknown preference is ignored, as the RFC demands.
func (s *server) readWish(c echo.Context) (wish, error) {
	w := wish{timeout: s.cfg.SendWait}
	query := c.QueryParams()
	for name := range query {
		if name != "wait" && name != "timeout" {
			return w, unknownParameter(name, []string{"wait", "timeout"})
		}
	}
	var ok bool
	if query.Has("wait") {
		if w.until, ok = milestone(query.Get("wait")); !ok {
			return w, invalid("wait: must be accepted, signed, submitted or mined")
		}
	}
	if query.Has("timeout") {
		if w.timeout, ok = readTimeout(query.Get("timeout")); !ok {
			return w, invalid("timeout: must be seconds or a duration such as 1m30s, and above 0")
		}
	}
	w.prefer(preferences(c.Request().Header), query.Has("wait"))
	w.timeout = min(w.timeout, s.cfg.MaxWait)
	if w.timeout == 0 {
		w.until = ""
	}
	return w, nil
}

// prefer takes preferences into account.
func (w *wish) prefer(list []string, saysWhat bool) {
	async := false
	for _, preference := range list {
		name, value, _ := strings.Cut(preference, "=")
		seconds, err := strconv.Atoi(strings.Trim(value, `"`))
		switch {
		case name == "respond-async":
			async = true
		case name == "wait" && err == nil && seconds >= 0 && seconds < maxSeconds:
			w.timeout = time.Duration(seconds) * time.Second
			if !saysWhat {
				w.until = queue.StatusMined
			}
			w.applied = append(w.applied, fmt.Sprintf("wait=%d", seconds))
		}
	}
	if async {
		if len(w.applied) == 0 {
			w.until = ""
		}
		w.applied = append([]string{"respond-async"}, w.applied...)
	}
}

// maxSeconds keeps what is asked for within what a duration holds; Config.MaxWait
// bounds it further.
const maxSeconds = 1 << 20

// preferences splits the header Prefer; parameters of preferences are dropped.
func preferences(h http.Header) []string {
	var out []string
	for _, line := range h.Values("Prefer") {
		for _, p := range strings.Split(line, ",") {
			p, _, _ = strings.Cut(p, ";")
			if p = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(p), " ", "")); p != "" {
				out = append(out, p)
			}
		}
	}
	return out
}

func readTimeout(text string) (time.Duration, bool) {
	if n, err := strconv.Atoi(text); err == nil {
		return time.Duration(n) * time.Second, n > 0 && n < maxSeconds
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}

// tell names the preferences that were honoured.
func (w wish) tell(h http.Header) {
	if len(w.applied) > 0 {
		h.Set("Preference-Applied", strings.Join(w.applied, ", "))
	}
	h.Add("Vary", "Prefer")
}

// errWaitOver ends a wait whose time is up.
var errWaitOver = errors.New("the time to wait is up")

// await waits until every transaction is where the caller wants it, or has
// ended, and puts what it saw into the list. It is false when that did not
// happen in time. Whatever fails here, the transactions are accepted: an error
// would invite a repetition.
func (s *server) await(ctx context.Context, list []queue.Accepted, w wish) bool {
	if w.until == "" {
		return false
	}
	ctx, cancel := context.WithTimeoutCause(ctx, w.timeout, errWaitOver)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() { cancel(); <-done }()
	isOver := true
	for i, a := range list {
		t, err := s.queue.Wait(ctx, a.Request.Tenant, a.ID, w.until)
		if t.ID == a.ID {
			list[i].Transaction = t
		}
		isOver = isOver && err == nil
	}
	return isOver
}
