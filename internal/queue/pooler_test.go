package queue

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/pgtest"
)

// throughPgBouncer puts a real PgBouncer in transaction mode, with fewer sessions
// than clients, in front of a database.
func throughPgBouncer(t *testing.T, dsn string) string {
	t.Helper()
	at, err := url.Parse(dsn)
	require.NoError(t, err)
	password, _ := at.User.Password()
	dir := t.TempDir()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().(*net.TCPAddr) //nolint:forcetypeassert // it is TCP
	require.NoError(t, listener.Close())
	host, port := at.Hostname(), at.Port()
	if socket := at.Query().Get("host"); socket != "" {
		host = socket
	}
	database := strings.TrimPrefix(at.Path, "/")
	config := fmt.Sprintf("[databases]\n%s = host=%s port=%s user=%s password=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 200\nlogfile = %s\npidfile = %s\n",
		database, host, orPort(port), at.User.Username(), password, address.Port, filepath.Join(dir, "log"), filepath.Join(dir, "pid"))
	path := filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))

	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
	}
	args := []string{path}
	if os.Getuid() == 0 { // it refuses to run as root
		require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // another user needs it
		require.NoError(t, os.Chmod(dir, 0o777))               // and writes its log there
		require.NoError(t, os.Chmod(path, 0o644))
		args = append([]string{"-u", "nobody"}, args...)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	process := exec.CommandContext(ctx, program, args...)
	var said strings.Builder
	process.Stdout, process.Stderr = &said, &said
	require.NoError(t, process.Start(), "make deps installs PgBouncer")
	t.Cleanup(func() {
		cancel()
		_ = process.Wait()
	})
	through := url.URL{Scheme: "postgres", User: url.UserPassword(at.User.Username(), "any"), Host: "127.0.0.1:" + strconv.Itoa(address.Port), Path: at.Path, RawQuery: "sslmode=disable"}
	require.Eventually(t, func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", through.Host)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, patience, 10*time.Millisecond, "pgbouncer: %s", &said)
	return through.String()
}

func orPort(port string) string {
	if port == "" {
		return "5432"
	}
	return port
}

func TestQueue_ThroughPgBouncer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dsn := pgtest.DSN(t)
	pool, err := Connect(t.Context(), ConnectConfig{DSN: throughPgBouncer(t, dsn), IsPooled: true, MaxConns: 16})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	b.pool = pool
	replicas := make([]*Queue, 2)
	for i := range replicas {
		replicas[i], _ = b.start(t)
	}
	var ids []uuid.UUID
	for i := range 60 {
		r := b.request(i%3, fmt.Sprint(i))
		r.IdempotencyKey = fmt.Sprint(i)
		accepted, err := replicas[i%2].Enqueue(t.Context(), r)
		require.NoError(t, err)
		ids = append(ids, accepted.ID)
	}
	for _, id := range ids {
		until(t, replicas[0], id, hasStatus(StatusConfirmed))
	}
	_, err = replicas[0].Cancel(t.Context(), "", ids[0])
	require.ErrorIs(t, err, ErrWrongStatus)
	for data, times := range b.chain.executed {
		require.Equal(t, 1, times, data)
	}
}
