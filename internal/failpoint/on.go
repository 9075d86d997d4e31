//go:build failpoints

package failpoint

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Enabled says whether the program was built with failpoints.
const Enabled = true

// point is what the environment wants at one place.
type point struct {
	nth    int64
	action string
	sleep  time.Duration
	times  int64 // how often Error fails
	passed atomic.Int64
}

// maxSleep bounds a sleep: a test that waits longer has lost its process.
const maxSleep = time.Minute

// settings are read once, at the first use.
var settings = sync.OnceValue(func() map[string]*point { //nolint:gochecknoglobals // places are marked all over the program
	points, err := parse(os.Getenv("SIGNER_FAILPOINT"))
	if err != nil {
		panic(err) // a test that asks for something else than it gets proves nothing
	}
	return points
})

var clock = sync.OnceValue(func() time.Duration { //nolint:gochecknoglobals // as settings
	text := os.Getenv("SIGNER_CLOCK")
	if text == "" {
		return 0
	}
	offset, err := time.ParseDuration(text)
	if err != nil {
		panic(fmt.Errorf("SIGNER_CLOCK: %w", err))
	}
	return offset
})

func parse(text string) (map[string]*point, error) {
	points := map[string]*point{}
	for _, item := range strings.Split(text, ",") {
		if item == "" {
			continue
		}
		fields := strings.Split(item, ":")
		if len(fields) < 2 || len(fields) > 3 {
			return nil, fmt.Errorf("failpoint %q: must be name:nth[:action]", item)
		}
		p := &point{action: "kill", times: 1 << 40}
		var err error
		if p.nth, err = strconv.ParseInt(fields[1], 10, 64); err != nil || p.nth < 1 {
			return nil, fmt.Errorf("failpoint %q: must count from 1", item)
		}
		if len(fields) == 3 {
			if err := p.parseAction(fields[2]); err != nil {
				return nil, fmt.Errorf("failpoint %q: %w", item, err)
			}
		}
		points[fields[0]] = p
	}
	return points, nil
}

func (p *point) parseAction(text string) error {
	action, value, hasValue := strings.Cut(text, "=")
	p.action = action
	var err error
	switch {
	case (action == "kill" || action == "stop") && !hasValue, action == "error" && !hasValue:
	case action == "error":
		p.times, err = strconv.ParseInt(value, 10, 64)
	case action == "sleep":
		p.sleep, err = time.ParseDuration(value)
		p.sleep = min(p.sleep, maxSleep)
	default:
		err = errors.New("knows kill, stop, sleep=… and error")
	}
	return err
}

// Hit marks a place.
func Hit(name string) {
	p := settings()[name]
	if p == nil || p.passed.Add(1) != p.nth {
		return
	}
	self := os.Getpid()
	switch p.action {
	case "kill":
		_ = syscall.Kill(self, syscall.SIGKILL)
		select {} // the signal is on its way: nothing more may happen here
	case "stop":
		_ = syscall.Kill(self, syscall.SIGSTOP)
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // until the signal has come
	case "sleep":
		time.Sleep(p.sleep) //nolint:forbidigo // what was asked for
	}
}

// Error marks a place that can fail.
func Error(name string) error {
	p := settings()[name]
	if p == nil || p.action != "error" {
		Hit(name)
		return nil
	}
	if n := p.passed.Add(1); n >= p.nth && n < p.nth+p.times {
		return fmt.Errorf("failpoint %s", name)
	}
	return nil
}

// OnWritten marks the moment in which an HTTP request of ctx has left and no
// answer has come.
func OnWritten(ctx context.Context, name string) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { Hit(name) }})
}

// Now is the time by this machine's clock, moved by SIGNER_CLOCK.
func Now() time.Time { return time.Now().Add(clock()) }
