package pgtest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	os.Exit(Main(m, Template(func(ctx context.Context, dsn string) error {
		return exec(ctx, dsn, "create table prepared as select 'by the template'::text as word")
	})))
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestDSN_EachTestHasItsOwnCopyOfTheTemplate(t *testing.T) {
	t.Parallel()
	one, two := connect(t, DSN(t)), connect(t, DSN(t))

	_, err := one.Exec(t.Context(), "update prepared set word = 'changed'")
	require.NoError(t, err)

	var word string
	require.NoError(t, two.QueryRow(t.Context(), "select word from prepared").Scan(&word))
	require.Equal(t, "by the template", word)
}

func TestDSN_IsDroppedAtTheEndEvenWithOpenConnections(t *testing.T) { //nolint:tparallel // looks at the end of its inner test
	t.Parallel()
	var dsn string
	t.Run("inner", func(t *testing.T) {
		dsn = DSN(t)
		_, err := pgx.Connect(t.Context(), dsn)
		require.NoError(t, err)
	})

	_, err := pgx.Connect(t.Context(), dsn)

	require.ErrorContains(t, err, "does not exist")
}

// The tests below change the environment, so they do not run in parallel.

func TestRun_PrivateServerIsRemovedAtTheEnd(t *testing.T) {
	t.Setenv(serverVariable, "")
	t.Setenv(templateVariable, "")
	t.Setenv("TMPDIR", t.TempDir())
	require.NoError(t, os.Chmod(filepath.Dir(os.Getenv("TMPDIR")), 0o711))
	var stderr bytes.Buffer

	code := run(func() int {
		t.Run("a test with a database", func(t *testing.T) {
			conn := connect(t, DSN(t))
			var tables int
			require.NoError(t, conn.QueryRow(t.Context(), "select count(*) from pg_tables where schemaname = 'public'").Scan(&tables))
			require.Zero(t, tables, "no template was given")
		})
		return 3
	}, &stderr)

	require.Equal(t, 3, code, stderr.String())
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestRun_FailsLoudly(t *testing.T) {
	var stderr bytes.Buffer
	never := func() int { t.Error("the tests must not run"); return 0 }

	t.Setenv(serverVariable, "postgres://nobody:wrong@127.0.0.1:1/none?connect_timeout=1")
	require.Equal(t, 1, run(never, &stderr, Template(func(context.Context, string) error { return nil })))
	require.Contains(t, stderr.String(), "connect to the test server")
}

func TestRun_AFailedMigrationIsNamed(t *testing.T) {
	t.Setenv(templateVariable, "")
	var stderr bytes.Buffer

	code := run(func() int { return 0 }, &stderr, Template(func(context.Context, string) error { return errors.New("no such column") }))

	require.Equal(t, 1, code)
	require.Contains(t, stderr.String(), "migrate the template: no such column")
}

func TestWithDatabase_BothFormsOfAConnectionString(t *testing.T) {
	t.Parallel()
	require.Equal(t, "postgres://u:p@127.0.0.1:5432/x?sslmode=disable", withDatabase("postgres://u:p@127.0.0.1:5432/y?sslmode=disable", "x"))
	require.Equal(t, "host=127.0.0.1 dbname=y dbname=x", withDatabase("host=127.0.0.1 dbname=y", "x"))
}
