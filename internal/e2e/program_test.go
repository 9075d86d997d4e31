package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/lifecycle"
)

// programsVariable names the folder in which the real programs are built.
const programsVariable = "SLIPWAY_E2E_PROGRAMS"

// builtPrograms builds the programs once, where a test asks for them.
var builtPrograms = sync.OnceValue(buildPrograms) //nolint:gochecknoglobals // built once for all tests

const buildTimeout = 10 * time.Minute

func buildPrograms() error {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-tags", "failpoints", "-o", os.Getenv(programsVariable)+"/", "../../cmd/signer", "../../cmd/gateway")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

// withPrograms gives the tests a folder for the programs.
func withPrograms(tests func() int) int {
	dir, err := os.MkdirTemp("", "slipway-e2e-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = os.Setenv(programsVariable, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return tests()
}

// program is one of the real programs, in a process of its own.
type program struct {
	name, url, admin string
	file             string   // its configuration
	env              []string // besides our own
	stdout, stderr   *os.File // of all its lives

	cmd  *exec.Cmd
	done chan struct{}
}

// newProgram writes the configuration of a program, which is not started. Where
// it listens stays the same.
func newProgram(t *testing.T, name string, config map[string]any) *program {
	t.Helper()
	p := &program{name: name, url: "http://" + freeAddress(t), admin: "http://" + freeAddress(t)}
	dir := t.TempDir()
	p.file = filepath.Join(dir, name+".yaml")
	p.configure(t, config)
	var err error
	p.stdout, err = os.Create(filepath.Join(dir, "stdout"))
	require.NoError(t, err)
	p.stderr, err = os.Create(filepath.Join(dir, "stderr"))
	require.NoError(t, err)
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, lastLines(p.written(t), 60))
		}
		p.stdout.Close()
		p.stderr.Close()
	})
	return p
}

func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// configure writes the configuration anew.
func (p *program) configure(t *testing.T, config map[string]any) {
	t.Helper()
	text, err := json.Marshal(config) // JSON is YAML
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.file, text, 0o600))
}

// command makes a process of the program.
func (p *program) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	require.NoError(t, builtPrograms())
	// Its life is not bound to a context: the test ends it.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(os.Getenv(programsVariable), p.name), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), p.env...), p.stdout, p.stderr
	return cmd
}

// launch starts the program, which may end by itself.
func (p *program) launch(t *testing.T, args ...string) {
	t.Helper()
	p.cmd, p.done = p.command(t, args...), make(chan struct{})
	require.NoError(t, p.cmd.Start())
	cmd, done := p.cmd, p.done
	go func() {
		_ = cmd.Wait() // how it ended is read from its state
		close(done)
	}()
}

// serve starts the program and waits until it answers.
func (p *program) serve(t *testing.T) {
	t.Helper()
	p.launch(t, "serve", "--config", p.file, "--listen", strings.TrimPrefix(p.url, "http://"), "--admin-listen", strings.TrimPrefix(p.admin, "http://"))
	client := newClient()
	defer client.CloseIdleConnections()
	require.Eventually(t, func() bool {
		select {
		case <-p.done:
			return true
		default:
		}
		resp, err := client.Get(p.admin + "/livez") //nolint:noctx // the client has a timeout
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		// The port of operators comes first, and that for callers last.
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			return false
		}
		return conn.Close() == nil && resp.StatusCode == http.StatusOK
	}, patience, 20*time.Millisecond)
	require.False(t, p.hasEnded(), "%s ended: %s", p.name, lastLines(p.written(t), 20))
}

// hasEnded says whether the process has ended.
func (p *program) hasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal sends a signal and, where it ends the process, waits for the end.
func (p *program) signal(sig syscall.Signal) {
	if p.cmd == nil || p.hasEnded() {
		return
	}
	_ = p.cmd.Process.Signal(sig) // it may have ended by itself
	<-p.done
}

// written is all that the program wrote.
func (p *program) written(t *testing.T) string {
	t.Helper()
	out, err := os.ReadFile(p.stdout.Name())
	require.NoError(t, err)
	more, err := os.ReadFile(p.stderr.Name())
	require.NoError(t, err)
	return string(out) + string(more)
}

// memory reads a line of the process's status, such as VmHWM, in MiB.
func (p *program) memory(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.Fields(value)[0])
			require.NoError(t, err)
			return n >> 10
		}
	}
	require.FailNow(t, "no such line: "+name)
	return 0
}

// freeAddress is a port that stays the same over restarts, as behind a Service.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := lifecycle.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask makes a request; header goes in pairs of name and value.
func ask(t *testing.T, client *http.Client, method, url, body string, header ...string) (reply, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text)}, err
}
