package embedpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const initTimeout = time.Minute

// initialise makes the cluster at the first start. It works in a folder aside
// and renames it when it is whole, so that a start that was killed half-way
// leaves nothing that looks like a cluster.
func (s *Server) initialise(ctx context.Context) error {
	if _, err := os.Stat(s.place.data()); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	fresh := s.place.unfinished()
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove an unfinished cluster: %w", err)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := s.place.owner.own(fresh); err != nil {
		return err
	}
	if err := s.initdb(ctx, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, s.place.data()); err != nil {
		return fmt.Errorf("put the new cluster into place: %w", err)
	}
	return nil
}

func (s *Server) initdb(ctx context.Context, data string) error {
	// initdb runs as another user and takes the password from a file only: it
	// gets a copy of its own for the time being.
	passwordFile := filepath.Join(s.place.base, "initdb-password")
	if err := os.WriteFile(passwordFile, []byte(s.password.Reveal()), 0o600); err != nil {
		return fmt.Errorf("pass the password to initdb: %w", err)
	}
	defer func() { _ = os.Remove(passwordFile) }()
	if err := s.place.owner.own(passwordFile); err != nil {
		return err
	}

	args := []string{"-D", data, "-U", role, "-A", "scram-sha-256", "--pwfile=" + passwordFile, "-E", "UTF8", "--no-locale"}
	if s.cfg.NoSync {
		args = append(args, "--no-sync")
	}
	var output bytes.Buffer
	cmd := s.binaries.command(s.place.owner, s.binaries.initdb, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := runWithin(ctx, cmd, initTimeout); err != nil {
		return fmt.Errorf("make the cluster with initdb: %w: %s", err, complaintIn(output.String()))
	}
	return nil
}

// runWithin runs a command to its end, and kills it when ctx or the time ends.
func runWithin(ctx context.Context, cmd *exec.Cmd, limit time.Duration) error {
	child, err := startLocked(cmd)
	if err != nil {
		return err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-child.done:
		return child.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = fmt.Errorf("still running after %s", limit)
	}
	_ = cmd.Process.Kill() // it may have ended in this moment
	<-child.done
	return err
}

// complaintIn finds the one line in the output of PostgreSQL's programs that
// says what is wrong.
func complaintIn(output string) string {
	last := "no reason given"
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		for _, mark := range []string{"PANIC:", "FATAL:", "error:"} {
			if i := strings.Index(line, mark); i >= 0 {
				last = strings.TrimSpace(line[i+len(mark):])
			}
		}
	}
	return last
}
