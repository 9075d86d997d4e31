// Package child starts the programs that are measured, each in a process of its
// own so that its CPU can be told apart, and ends them.
package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// stopTimeout is how long a child may take to stop before it is killed.
const stopTimeout = 20 * time.Second

// readyWord begins the line by which a child of ours says that it is ready.
const readyWord = "ready"

// Process is a running child. Start makes it; Stop must be called once.
type Process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	log   *os.File
	done  chan struct{} // closed when the child has ended
	err   error         // how it ended; valid after done
}

// Command says what to start.
type Command struct {
	Name string // in error messages
	Path string // the program; empty is this one
	Args []string
	Env  []string // besides our own
	Log  string   // the file that takes its error output
}

// Start starts a child that does not speak our language: whether it is ready
// has to be found out otherwise.
func Start(c Command) (*Process, error) {
	p, _, err := start(c, false)
	return p, err
}

// StartReady starts a child that calls Main and waits until it is ready. What
// it told is returned.
func StartReady(ctx context.Context, c Command) (*Process, string, error) {
	p, stdout, err := start(c, true)
	if err != nil {
		return nil, "", err
	}
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(stdout).ReadString('\n') // no line at all: the child has ended
		line <- text
	}()
	select {
	case text := <-line:
		if word, told, _ := strings.Cut(strings.TrimSpace(text), " "); word == readyWord {
			return p, told, nil
		}
		err = fmt.Errorf("%s ended before it was ready: see %s", c.Name, c.Log)
	case <-ctx.Done():
		err = fmt.Errorf("%s was not ready in time: see %s", c.Name, c.Log)
	}
	p.Stop()
	return nil, "", err
}

func start(c Command, wantOutput bool) (*Process, io.Reader, error) {
	path := c.Path
	if path == "" {
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, nil, fmt.Errorf("find our own program: %w", err)
		}
	}
	log, err := os.Create(c.Log)
	if err != nil {
		return nil, nil, fmt.Errorf("log of %s: %w", c.Name, err)
	}
	p := &Process{name: c.Name, cmd: exec.Command(path, c.Args...), log: log, done: make(chan struct{})} //nolint:noctx // Stop ends it in order
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Stderr = log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("input of %s: %w", c.Name, err), log.Close())
	}
	var out *os.File
	if wantOutput {
		// Not StdoutPipe: Wait closes that one, perhaps before all was read.
		read, write, err := os.Pipe()
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("output of %s: %w", c.Name, err), log.Close())
		}
		defer write.Close()
		out, p.cmd.Stdout = read, write
	}
	if err := p.cmd.Start(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start %s: %w", c.Name, err), log.Close())
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	return p, out, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended says whether the child has ended although nobody stopped it.
func (p *Process) Ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended by itself (%w): see %s", p.name, p.err, p.log.Name())
	default:
		return nil
	}
}

// Stop ends the child in order, or kills it when that takes too long.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	_ = p.stdin.Close()
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	_ = p.log.Close()
}

// Main is the life of a child of ours: run works until its context ends and
// calls ready with what the parent must know. The context ends with a signal,
// or when the parent is gone however it ended: then standard input ends.
func Main(run func(ctx context.Context, ready func(told string)) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := run(ctx, func(told string) { fmt.Fprintln(os.Stdout, readyWord, told) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
