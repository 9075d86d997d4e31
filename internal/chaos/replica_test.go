package chaos

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// replica is a signer, in a process that can be killed and started again.
type replica struct {
	w          *world
	url, admin string
	log        *os.File // of all its lives

	mu   sync.Mutex // guards the life
	cmd  *exec.Cmd
	done chan struct{}
}

// replica adds a signer to the world; it is not started.
func (w *world) replica(t *testing.T) *replica {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "signer-*.log")
	require.NoError(t, err)
	r := &replica{w: w, url: "http://" + freeAddress(t), admin: "http://" + freeAddress(t), log: log}
	w.replicas = append(w.replicas, r)
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name()) // what there is
			t.Logf("log of %s:\n%s", r.url, lastLines(string(text), 60))
		}
		log.Close()
	})
	return r
}

func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// start starts the process; env is besides our own. It does not wait until the
// signer answers.
func (r *replica) start(t *testing.T, env ...string) *replica {
	t.Helper()
	require.NoError(t, r.launch(env...))
	return r
}

func (r *replica) launch(env ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Its life is not bound to a context: the test kills it.
	cmd := exec.CommandContext(context.Background(), os.Getenv(signerVariable), "serve", "--config", r.w.file, "--log-format", "text",
		"--listen", strings.TrimPrefix(r.url, "http://"), "--admin-listen", strings.TrimPrefix(r.admin, "http://"))
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), r.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	r.cmd, r.done = cmd, done
	go func() {
		_ = cmd.Wait() // how it ended is read from its state
		close(done)
	}()
	return nil
}

// ready waits until the signer answers.
func (r *replica) ready(t *testing.T) *replica {
	t.Helper()
	r.w.eventually(t, "the signer answers", func() bool {
		resp, err := r.w.client.Get(r.url + "/health") //nolint:noctx // the client has a timeout
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return r
}

// kill ends the signer as a power cut would.
func (r *replica) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		_ = r.cmd.Process.Kill() // it may have ended by itself
		<-r.done
		r.cmd = nil
	}
}

// hasEnded says whether the process has ended by itself.
func (r *replica) hasEnded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// waitKilled waits until the process has killed itself at its failpoint.
func (r *replica) waitKilled(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.done:
	case <-time.After(patience):
		require.FailNow(t, "the failpoint was not reached")
	}
	status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok && status.Signaled() && status.Signal() == syscall.SIGKILL, "ended otherwise than at its failpoint: %s", r.cmd.ProcessState)
	r.cmd = nil
}

// waitStopped waits until the process has frozen itself at its failpoint.
func (r *replica) waitStopped(t *testing.T) {
	t.Helper()
	r.w.eventually(t, "the process is stopped", func() bool {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(r.cmd.Process.Pid) + "/stat")
		if err != nil {
			return false
		}
		_, state, _ := strings.Cut(string(text), ") ")
		return strings.HasPrefix(state, "T")
	})
}

// goOn wakes a stopped process.
func (r *replica) goOn(t *testing.T) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGCONT))
}

// metric reads the sum of a metric's series whose labels contain a text.
func (r *replica) metric(name, labels string) float64 {
	resp, err := r.w.client.Get(r.admin + "/metrics") //nolint:noctx // the client has a timeout
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0
	}
	var sum float64
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, name) && strings.Contains(line, labels) {
			fields := strings.Fields(line)
			v, _ := strconv.ParseFloat(fields[len(fields)-1], 64) // Prometheus writes numbers
			sum += v
		}
	}
	return sum
}

var errNobody = errors.New("no replica accepted it")
