package embedpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// waitForPredecessor waits for a server that still runs on the data: after a
// kill -9 the kernel stops the old one while the new one starts. It removes a
// lock file whose process number belongs to another program by now, which
// PostgreSQL itself cannot tell from a running server.
func (p placement) waitForPredecessor(ctx context.Context, limit time.Duration) error {
	lock := filepath.Join(p.data(), "postmaster.pid")
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		pid, err := readPID(lock)
		if err != nil {
			return err
		}
		if pid == 0 || !isAlive(pid) {
			return nil // PostgreSQL removes a lock file of a dead process itself
		}
		if !servesData(pid, p.data()) {
			return removeStale(lock)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return fmt.Errorf("a PostgreSQL server (process %d) is already running on %s; stop it first", pid, p.data())
		}
	}
}

// readPID returns the process number in a lock file, 0 when there is none.
func readPID(lock string) (int, error) {
	text, err := os.ReadFile(lock)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read PostgreSQL's lock file: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0, nil //nolint:nilerr // a lock file without a number: PostgreSQL's own start judges it
	}
	return pid, nil
}

func isAlive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// servesData says whether the process works in the data folder, as a
// PostgreSQL server does. Where the system does not tell, it is taken for one.
func servesData(pid int, data string) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if errors.Is(err, fs.ErrNotExist) {
		_, noProc := os.Stat("/proc/self")
		return noProc != nil // gone in this moment, unless there is no /proc at all
	}
	if err != nil {
		return true
	}
	real, err := filepath.EvalSymlinks(data)
	return err != nil || cwd == real
}

func removeStale(lock string) error {
	if err := os.Remove(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove PostgreSQL's stale lock file: %w", err)
	}
	return nil
}
