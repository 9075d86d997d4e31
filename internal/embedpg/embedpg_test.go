package embedpg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// helperDir is the variable that makes this test binary run a server on the
// named folder until it is killed.
const helperDir = "EMBEDPG_TEST_HELPER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		os.Exit(runHelper(dir))
	}
	os.Exit(m.Run())
}

func runHelper(dir string) int {
	s, err := New(Config{Dir: dir})
	if err == nil {
		err = s.Run(context.Background(), func() { fmt.Println("ready") })
	}
	fmt.Println(err)
	return 1
}

// running is a server that a test has started.
type running struct {
	*Server

	stop func() error // stops it and returns what Run returned
}

func start(t *testing.T, cfg Config) (*running, error) {
	t.Helper()
	s, err := New(cfg)
	require.NoError(t, err)
	return startServer(t, s)
}

func startServer(t *testing.T, s *Server) (*running, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		return nil, err
	}
	var stopped bool
	var result error
	stop := func() error {
		if !stopped {
			stopped = true
			cancel()
			result = <-done
		}
		return result
	}
	t.Cleanup(func() { _ = stop() })
	return &running{Server: s, stop: stop}, nil
}

func mustStart(t *testing.T, dir string) *running {
	t.Helper()
	s, err := start(t, Config{Dir: dir})
	require.NoError(t, err)
	return s
}

// tempDir is a folder that the server's user can reach when we are root:
// t.TempDir keeps its own parent private.
func tempDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o711))
	return dir
}

func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var got string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&got))
	return got
}

func TestServer_KeepsDataPortAndPasswordAcrossRestarts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempDir(t), "state", "postgres")

	first := mustStart(t, dir)
	dsn := first.DSN().Reveal()
	require.Equal(t, "1", query(t, dsn, "with x as (select 1) select count(*)::text from x"))
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "create table kept (word text); insert into kept values ('still here')")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, first.stop())
	require.NoFileExists(t, filepath.Join(first.DataDir(), "postmaster.pid"))

	second := mustStart(t, dir)
	require.Equal(t, dsn, second.DSN().Reveal())
	require.Equal(t, "still here", query(t, dsn, "select word from kept"))
}

func TestServer_IsClosedToOthersAndDurable(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)

	s := mustStart(t, dir)

	dsn := s.DSN().Reveal()
	for setting, want := range map[string]string{
		"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "on",
		"synchronous_commit": "on", "full_page_writes": "on", "password_encryption": "scram-sha-256",
	} {
		require.Equal(t, want, query(t, dsn, "select current_setting('"+setting+"')"), setting)
	}
	info, err := os.Stat(filepath.Join(dir, "password"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoFileExists(t, filepath.Join(dir, "initdb-password"))
	require.NotContains(t, fmt.Sprint(s.DSN()), s.password.Reveal())

	wrong := strings.Replace(dsn, s.password.Reveal(), "postgres", 1)
	_, err = pgx.Connect(t.Context(), wrong)
	require.ErrorContains(t, err, "password authentication failed")
}

func TestServer_ReportsItsOwnDeath(t *testing.T) {
	t.Parallel()
	s := mustStart(t, tempDir(t))
	pid, err := readPID(filepath.Join(s.DataDir(), "postmaster.pid"))
	require.NoError(t, err)

	require.NoError(t, syscall.Kill(pid, syscall.SIGQUIT))
	require.Eventually(t, func() bool { return !isAlive(pid) }, 10*time.Second, 10*time.Millisecond)

	require.ErrorContains(t, s.stop(), "PostgreSQL stopped by itself")
}

func TestServer_RecoversAfterItsParentWasKilled(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	first := mustStart(t, dir)
	dsn := first.DSN().Reveal()
	require.NoError(t, first.stop())

	for round := range 3 {
		helper := exec.CommandContext(t.Context(), os.Args[0])
		helper.Env = append(os.Environ(), helperDir+"="+dir)
		out, err := helper.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, helper.Start())
		said := make([]byte, 6)
		_, err = out.Read(said)
		require.NoError(t, err)
		require.Equal(t, "ready\n", string(said))
		conn, err := pgx.Connect(t.Context(), dsn)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "create table round"+strconv.Itoa(round)+" as select 1")
		require.NoError(t, err)

		require.NoError(t, helper.Process.Kill())
		_ = helper.Wait() // it was killed

		// At once: the orphan may still be stopping.
		next := mustStart(t, dir)
		require.Equal(t, strconv.Itoa(round+1), query(t, next.DSN().Reveal(), "select count(*)::text from pg_tables where tablename like 'round%'"))
		require.NoError(t, next.stop())
	}
}

func TestServer_LeavesNoOrphan(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	helper := exec.CommandContext(t.Context(), os.Args[0])
	helper.Env = append(os.Environ(), helperDir+"="+dir)
	out, err := helper.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, helper.Start())
	_, err = out.Read(make([]byte, 6))
	require.NoError(t, err)
	pid, err := readPID(filepath.Join(dir, "data", "postmaster.pid"))
	require.NoError(t, err)
	require.NotZero(t, pid)

	require.NoError(t, helper.Process.Kill())
	_ = helper.Wait() // it was killed

	require.Eventually(t, func() bool { return !isAlive(pid) }, 10*time.Second, 10*time.Millisecond)
}

func TestServer_IgnoresTheLockOfAnotherProgramsProcess(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	first := mustStart(t, dir)
	require.NoError(t, first.stop())
	lock := filepath.Join(first.DataDir(), "postmaster.pid")
	require.NoError(t, os.WriteFile(lock, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644))

	mustStart(t, dir)
}

func TestServer_BrokenStateIsOneClearLine(t *testing.T) {
	t.Parallel()
	initialised := func(t *testing.T) string {
		t.Helper()
		dir := tempDir(t)
		s := mustStart(t, dir)
		require.NoError(t, s.stop())
		return dir
	}
	cases := map[string]struct {
		dir  func(t *testing.T) string
		want string
	}{
		"no write permission": {func(t *testing.T) string {
			t.Helper()
			file := filepath.Join(tempDir(t), "file")
			require.NoError(t, os.WriteFile(file, nil, 0o600))
			return filepath.Join(file, "postgres")
		}, "state folder of PostgreSQL: mkdir"},
		"other major version": {func(t *testing.T) string {
			t.Helper()
			dir := initialised(t)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o600))
			return dir
		}, "is of PostgreSQL 9, but PostgreSQL"},
		"not a data folder": {func(t *testing.T) string {
			t.Helper()
			dir := initialised(t)
			require.NoError(t, os.Remove(filepath.Join(dir, "data", "PG_VERSION")))
			return dir
		}, "is not a PostgreSQL data folder"},
		"damaged data": {func(t *testing.T) string {
			t.Helper()
			dir := initialised(t)
			require.NoError(t, os.Truncate(filepath.Join(dir, "data", "global", "pg_control"), 10))
			return dir
		}, "could not read file"},
		"password deleted": {func(t *testing.T) string {
			t.Helper()
			dir := initialised(t)
			require.NoError(t, os.Remove(filepath.Join(dir, "password")))
			return dir
		}, "the password file is missing"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := start(t, Config{Dir: c.dir(t)})
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestServer_RefusesDataInUse(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	mustStart(t, dir)

	second, err := New(Config{Dir: dir})
	require.NoError(t, err)
	second.predecessorTimeout = 100 * time.Millisecond
	_, err = startServer(t, second)

	require.ErrorContains(t, err, "is already running on")
}

func TestServer_RefusesABusyPort(t *testing.T) {
	t.Parallel()
	first := mustStart(t, tempDir(t))

	_, err := start(t, Config{Dir: tempDir(t), Port: first.port})

	require.ErrorContains(t, err, "in use by another program")
}

func TestServer_DataOfAFolderTheServersUserCannotReach(t *testing.T) {
	t.Parallel()
	private := filepath.Join(tempDir(t), "private")
	require.NoError(t, os.Mkdir(private, 0o700))
	dir := filepath.Join(private, "postgres")
	if os.Geteuid() != 0 { // we are the server's user and reach everything
		require.Equal(t, filepath.Join(dir, "data"), mustStart(t, dir).DataDir())
		return
	}
	first := mustStart(t, dir)
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(first.DataDir())) })
	require.True(t, strings.HasPrefix(first.DataDir(), "/var/lib/slipway/dev-"), first.DataDir())
	require.NoError(t, first.stop())

	// The state folder is deleted to begin afresh: the data elsewhere must go too.
	require.NoError(t, os.RemoveAll(dir))
	second := mustStart(t, dir)
	require.Equal(t, first.DataDir(), second.DataDir())
	require.NotEqual(t, first.password, second.password)
}

func TestFindBinaries_SaysWhatToInstall(t *testing.T) {
	t.Parallel()
	_, err := findBinaries([]string{tempDir(t)})
	require.ErrorContains(t, err, "PostgreSQL is not installed")
	require.Contains(t, installHint("linux"), "apt-get install postgresql")
	require.Contains(t, installHint("darwin"), "brew install postgresql@16")
}

func TestChoosePort_RememberedPortIsTakenAgainWhenFree(t *testing.T) {
	t.Parallel()
	file := filepath.Join(tempDir(t), "port")

	first, err := choosePort(t.Context(), 0, file)
	require.NoError(t, err)
	again, err := choosePort(t.Context(), 0, file)
	require.NoError(t, err)
	require.Equal(t, first, again)

	require.NoError(t, os.WriteFile(file, []byte("nonsense"), 0o600))
	_, err = choosePort(t.Context(), 0, file)
	require.NoError(t, err)
}
