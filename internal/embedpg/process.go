package embedpg

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// maxLogSize is how large PostgreSQL's log may have grown before a start
// begins it anew.
const maxLogSize = 16 << 20

// process is a running child.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has ended
	err  error         // how it ended; valid after done

	log      *os.File
	logStart int64 // where this run's part of the log begins
}

// startLocked starts a child on an OS thread that lives as long as the child.
// Linux sends the parent-death signal when the thread that forked ends, not
// the process, and Go ends idle threads as it likes.
func startLocked(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// startProcess starts a child whose output is appended to a log file.
func startProcess(cmd *exec.Cmd, logFile string) (*process, error) {
	log, start, err := openLog(logFile)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	p, err := startLocked(cmd)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	p.log, p.logStart = log, start
	return p, nil
}

func openLog(path string) (*os.File, int64, error) {
	log, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open the log: %w", err)
	}
	size, err := log.Seek(0, io.SeekEnd)
	if err == nil && size > maxLogSize {
		size, err = 0, log.Truncate(0)
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open the log: %w", err), log.Close())
	}
	return log, size, nil
}

// stop ends the server: fast (sessions are cut, data is written), and when
// that takes too long immediately (the next start recovers). It says whether
// the fast stop was enough.
func (p *process) stop(fast time.Duration) bool {
	const immediate = 5 * time.Second
	if p.signal(syscall.SIGINT, fast) {
		return true
	}
	if !p.signal(syscall.SIGQUIT, immediate) {
		_ = p.cmd.Process.Kill() // it may have ended in this moment
		<-p.done
	}
	return false
}

// signal sends a signal and says whether the child ended in time.
func (p *process) signal(sig syscall.Signal, limit time.Duration) bool {
	_ = p.cmd.Process.Signal(sig) // a child that has ended closes done
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// lastComplaint is what the server said last in this run.
func (p *process) lastComplaint() string {
	const enough = 64 << 10
	info, err := p.log.Stat()
	if err != nil {
		return "see " + p.log.Name()
	}
	from := max(p.logStart, info.Size()-enough)
	text, err := io.ReadAll(io.NewSectionReader(p.log, from, enough))
	if err != nil {
		return "see " + p.log.Name()
	}
	return complaintIn(string(text)) + " (see " + p.log.Name() + ")"
}

func (p *process) close() { _ = p.log.Close() } // appended by the child, nothing of ours to lose
