// Package pgtest gives every test a database of its own on a real PostgreSQL:
// the one that TEST_DATABASE_URL names, else a private one that lives as long
// as the test binary. A missing PostgreSQL fails the tests, it never skips them.
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, pgtest.Template(migrate))) }
//
//	func TestX(t *testing.T) { dsn := pgtest.DSN(t) … }
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipwayhq/slipway/internal/embedpg"
)

// Main and DSN speak through the environment of the test binary, so that this
// package needs no variable of its own.
const (
	serverVariable   = "TEST_DATABASE_URL"
	templateVariable = "SLIPWAY_PGTEST_TEMPLATE"
)

// setupTimeout bounds the start of a server and the preparation of the template.
const setupTimeout = 2 * time.Minute

// Option changes what Main prepares.
type Option func(*options)

type options struct {
	migrate func(ctx context.Context, dsn string) error
}

// Template prepares one database with migrate; DSN then clones it for each
// test instead of giving an empty database. Cloning is faster than migrating.
func Template(migrate func(ctx context.Context, dsn string) error) Option {
	return func(o *options) { o.migrate = migrate }
}

// Main prepares the server, runs the tests and returns their exit code. It is
// called from TestMain.
func Main(m *testing.M, opts ...Option) int {
	return run(m.Run, os.Stderr, opts...)
}

func run(tests func() int, stderr io.Writer, opts ...Option) int {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout) // as good as main: there is no caller with a context
	defer cancel()

	stopServer, err := provideServer(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "pgtest:", err)
		return 1
	}
	dropTemplate, err := provideTemplate(ctx, o.migrate)
	if err != nil {
		fmt.Fprintln(stderr, "pgtest:", errors.Join(err, stopServer()))
		return 1
	}

	code := tests()

	if err := errors.Join(dropTemplate(), stopServer()); err != nil {
		fmt.Fprintln(stderr, "pgtest:", err)
		return max(code, 1)
	}
	return code
}

// DSN makes a database for one test, which is dropped at its end: a clone of
// the template if Main was given one, otherwise an empty database.
func DSN(tb testing.TB) string {
	tb.Helper()
	server := os.Getenv(serverVariable)
	if server == "" {
		tb.Fatal("pgtest.DSN: TestMain of this package must call pgtest.Main")
	}
	template := os.Getenv(templateVariable)
	if template == "" {
		template = "template0"
	}
	name := "test_" + strings.ToLower(rand.Text())
	if err := createDatabase(tb.Context(), server, name, template); err != nil {
		tb.Fatalf("pgtest.DSN: %v", err)
	}
	tb.Cleanup(func() {
		if err := dropDatabase(tb.Context(), server, name); err != nil {
			tb.Errorf("pgtest.DSN: %v", err)
		}
	})
	return withDatabase(server, name)
}

// provideServer starts a private server unless one was named. It returns how
// to stop it.
func provideServer(ctx context.Context) (stop func() error, err error) {
	if os.Getenv(serverVariable) != "" {
		return func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "slipway-pgtest-")
	if err != nil {
		return nil, fmt.Errorf("folder for the server: %w", err)
	}
	server, stopServer, err := startServer(ctx, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := os.Setenv(serverVariable, server.DSN().Reveal()); err != nil {
		return nil, errors.Join(err, stopServer())
	}
	return func() error {
		// The data may lie elsewhere: see embedpg.Server.DataDir.
		return errors.Join(os.Unsetenv(serverVariable), stopServer(),
			os.RemoveAll(filepath.Dir(server.DataDir())), os.RemoveAll(dir))
	}, nil
}

func startServer(ctx context.Context, dir string) (*embedpg.Server, func() error, error) {
	server, err := embedpg.New(embedpg.Config{Dir: dir, NoSync: true})
	if err != nil {
		return nil, nil, err
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- server.Run(runCtx, func() { close(ready) }) }()
	stop := func() error {
		cancel()
		return <-done
	}
	select {
	case <-ready:
		return server, stop, nil
	case err := <-done:
		cancel()
		return nil, nil, err
	case <-ctx.Done():
		return nil, nil, errors.Join(ctx.Err(), stop())
	}
}

// provideTemplate makes and migrates the template. It returns how to drop it.
func provideTemplate(ctx context.Context, migrate func(context.Context, string) error) (drop func() error, err error) {
	if migrate == nil {
		return func() error { return nil }, nil
	}
	server, name := os.Getenv(serverVariable), "template_"+strings.ToLower(rand.Text())
	if err := createDatabase(ctx, server, name, "template0"); err != nil {
		return nil, err
	}
	drop = func() error { return errors.Join(os.Unsetenv(templateVariable), dropDatabase(ctx, server, name)) }
	if err := migrate(ctx, withDatabase(server, name)); err != nil {
		return nil, errors.Join(fmt.Errorf("migrate the template: %w", err), drop())
	}
	if err := os.Setenv(templateVariable, name); err != nil {
		return nil, errors.Join(err, drop())
	}
	return drop, nil
}

func createDatabase(ctx context.Context, server, name, template string) error {
	return exec(ctx, server, fmt.Sprintf("create database %s template %s", quote(name), quote(template)))
}

// dropDatabase cuts connections that a test has left open. It has a time limit
// of its own because a test's context has ended when its clean-up runs.
func dropDatabase(ctx context.Context, server, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return exec(ctx, server, fmt.Sprintf("drop database if exists %s with (force)", quote(name)))
}

func exec(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// withDatabase is the same server's URL with another database.
func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil || u.Scheme == "" {
		return server + " dbname=" + name // the key=value form, in which the last word wins
	}
	u.Path = "/" + name
	return u.String()
}
