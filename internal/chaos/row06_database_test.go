package chaos

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/embedpg"
)

// Row 6: sessions are cut, many of them in the middle of a commit.
func TestRow06_DatabaseSessionsCut(t *testing.T) {
	t.Parallel()
	n := choose(200, 2000)
	w := newWorld(t, options{queue: map[string]any{"batchSize": 5}})
	w.replica(t).start(t).ready(t)
	w.replica(t).start(t).ready(t)
	over, cuts := make(chan struct{}), make(chan int, 1)
	go func() {
		sum := 0
		for {
			select {
			case <-over:
				cuts <- sum
				return
			case <-time.After(10 * time.Millisecond):
				var n int
				// Sessions that write first: those are in a commit, or close to one.
				_ = w.db.QueryRow(t.Context(), `select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity
					where datname = current_database() and pid <> pg_backend_pid() and application_name <> 'chaos'
					order by backend_xid is null, random() limit 2) s`).Scan(&n) // the next one comes soon
				sum += n
			}
		}
	}()
	w.load(t, 0, n)
	close(over)
	sum := <-cuts
	t.Logf("%d sessions cut", sum)
	require.Positive(t, sum)
	w.judge(t, verdict{accepted: n})
}

// Row 6: the commit itself is what fails, at each of its two sides: the process
// waits inside while its session is cut.
func TestRow06_CutWhileCommitting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{accounts: 1, queue: map[string]any{"batchSize": 5}})
	w.replica(t).start(t, "SIGNER_FAILPOINT=before_commit:1:sleep=1s")
	go func() {
		for t.Context().Err() == nil {
			tag, err := w.db.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
				where datname = current_database() and pid <> pg_backend_pid() and state = 'idle in transaction' and state_change < now() - interval '300 ms'`)
			if err == nil && tag.RowsAffected() > 0 {
				return
			}
			pause(t, tick)
		}
	}()
	w.load(t, 0, 10)
	w.judge(t, verdict{accepted: 10})
	require.GreaterOrEqual(t, w.replicas[0].metric("signer_queue_commits_total", `outcome="failed"`), 1.0)
}

// Row 6: every SQL transaction is of a kind that PostgreSQL refuses when it
// meets another one (SQLSTATE 40001).
func TestRow06_SerializationErrors(t *testing.T) {
	t.Parallel()
	n := choose(60, 1000)
	w := newWorld(t, options{queue: map[string]any{"batchSize": 5}})
	at, err := url.Parse(w.dsn)
	require.NoError(t, err)
	_, err = w.db.Exec(t.Context(), `alter database `+pgx.Identifier{at.Path[1:]}.Sanitize()+` set default_transaction_isolation = 'serializable'`)
	require.NoError(t, err)
	w.replica(t).start(t)
	w.replica(t).start(t).ready(t)
	w.load(t, 0, n)
	w.judge(t, verdict{accepted: n})
}

// server is a PostgreSQL of its own that can be stopped and started, with
// fsync as in production.
type server struct {
	dir  string
	stop func() error
	dsn  string
}

func (s *server) start(t *testing.T) error {
	t.Helper()
	pg, err := embedpg.New(embedpg.Config{Dir: s.dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- pg.Run(ctx, func() { close(ready) }) }()
	s.stop = func() error { cancel(); return <-done }
	select {
	case <-ready:
		s.dsn = pg.DSN().Reveal()
		t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(pg.DataDir())) }) // it may lie outside of dir
		return nil
	case err := <-done:
		cancel()
		return err
	}
}

func startServer(t *testing.T, dir string) *server {
	t.Helper()
	s := &server{dir: dir}
	require.NoError(t, s.start(t))
	t.Cleanup(func() { _ = s.stop() }) // the test may have stopped it
	require.NoError(t, prepare(t.Context(), s.dsn))
	return s
}

// Row 6: PostgreSQL is restarted, and its disk is slow.
func TestRow06_DatabaseRestarts(t *testing.T) {
	t.Parallel()
	n := choose(60, 2000)
	pg := startServer(t, t.TempDir())
	w := newWorld(t, options{dsn: pg.dsn, queue: map[string]any{"batchSize": 5}})
	// No disk is as slow as one likes, but PostgreSQL can wait before it writes.
	for _, setting := range []string{"commit_siblings = 0", "commit_delay = 50000"} {
		_, err := w.db.Exec(t.Context(), `alter system set `+setting)
		require.NoError(t, err)
	}
	w.replica(t).start(t)
	w.replica(t).start(t).ready(t)
	done := make(chan error, 1)
	go func() { done <- w.submit(t.Context(), 0, n) }()
	for range choose(2, 10) {
		pause(t, 700*time.Millisecond)
		require.NoError(t, pg.stop())
		require.NoError(t, pg.start(t))
	}
	require.NoError(t, <-done)
	w.judge(t, verdict{accepted: n})
}

// Row 6: the disk is full for a while. It needs a file system of its own, which
// only root can mount; elsewhere the test says so and proves nothing.
func TestRow06_DiskFull(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	mount := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=220m,mode=755", "tmpfs", disk)
	if out, err := mount.CombinedOutput(); err != nil {
		t.Logf("NOT RUN: no file system can be mounted here: %s", out)
		return
	}
	t.Cleanup(func() {
		_ = exec.CommandContext(context.WithoutCancel(t.Context()), "umount", "-l", disk).Run() // gone with the machine at the latest
	})
	require.NoError(t, os.Chmod(filepath.Dir(disk), 0o755))
	n := choose(80, 1000)
	pg := startServer(t, filepath.Join(disk, "pg"))
	w := newWorld(t, options{dsn: pg.dsn, queue: map[string]any{"batchSize": 5}})
	w.replica(t).start(t).ready(t)
	w.load(t, 0, n/2)

	ballast := filepath.Join(disk, "ballast")
	fill := exec.CommandContext(t.Context(), "dd", "if=/dev/zero", "of="+ballast, "bs=1M")
	out, err := fill.CombinedOutput()
	require.Error(t, err, "the disk is not full")
	t.Logf("%s", lastLines(string(out), 2))
	done := make(chan error, 1)
	go func() { done <- w.submit(t.Context(), n/2, n/2) }()
	// A big table forces new segments of the log, which there is no room for.
	_, err = w.db.Exec(t.Context(), `create table ballast as select repeat(md5(i::text), 40) as x from generate_series(1, 100000) i`)
	t.Logf("PostgreSQL says: %v", err)
	require.Error(t, err)
	pause(t, time.Second)
	require.NoError(t, os.Remove(ballast))
	w.eventually(t, "PostgreSQL is back", func() bool {
		if w.db.Ping(t.Context()) == nil {
			return true
		}
		_ = pg.stop() // it may have given up
		_ = pg.start(t)
		return false
	})
	require.NoError(t, <-done)
	w.judge(t, verdict{accepted: n})
}
