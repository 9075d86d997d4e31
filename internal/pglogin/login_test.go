package pglogin_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/pglogin"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret/secrettest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// world is a database with roles that are changed, and a pool that logs in by files.
type world struct {
	admin *pgx.Conn
	files *secrettest.Mount
	pool  *pgxpool.Pool
	log   *buffer
	role  string
}

// buffer is a log that is read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dsn := pgtest.DSN(t)
	w := &world{log: &buffer{}, role: "role_" + strings.ToLower(t.Name())}
	var err error
	w.admin, err = pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.admin.Close(context.WithoutCancel(t.Context())) })
	w.exec(t, `create role `+w.role+` login password 'hush-1'`)
	t.Cleanup(func() { w.execIn(context.WithoutCancel(t.Context()), t, `drop role `+w.role) })

	w.files = secrettest.New(t, map[string]string{"username": w.role, "password": "hush-1\n"})
	login, err := pglogin.New(pglogin.Config{UsernameFile: w.files.Path("username"), PasswordFile: w.files.Path("password")}, slog.New(slog.NewTextHandler(w.log, nil)))
	require.NoError(t, err)
	at, err := url.Parse(dsn)
	require.NoError(t, err)
	at.User = nil
	config, err := pgxpool.ParseConfig(at.String())
	require.NoError(t, err)
	config.BeforeConnect = login.BeforeConnect
	w.pool, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(w.pool.Close)
	require.NoError(t, w.newConnection(t))
	return w
}

func (w *world) exec(t *testing.T, sql string) {
	t.Helper()
	w.execIn(t.Context(), t, sql)
}

func (w *world) execIn(ctx context.Context, t *testing.T, sql string) {
	t.Helper()
	_, err := w.admin.Exec(ctx, sql)
	require.NoError(t, err)
}

// newConnection asks on a connection that is new.
func (w *world) newConnection(t *testing.T) error {
	t.Helper()
	w.pool.Reset()
	return w.pool.Ping(t.Context())
}

func (w *world) holds(t *testing.T, password string) {
	t.Helper()
	w.files.Swap(t, map[string]string{"username": w.role, "password": password})
}

// The file comes first: the password before is used until the database has the new one.
func TestLogin_TheFileChangesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.holds(t, "hush-2")
	for range 3 {
		require.NoError(t, w.newConnection(t))
	}
	require.Equal(t, 1, strings.Count(w.log.String(), "refuses the changed login"), w.log.String())
	w.exec(t, `alter role `+w.role+` password 'hush-2'`)
	require.NoError(t, w.newConnection(t))
	require.Contains(t, w.log.String(), "a changed login of the database is in use")
	w.holds(t, "hush-3")
	require.NoError(t, w.newConnection(t))
	require.Equal(t, 2, strings.Count(w.log.String(), "refuses the changed login"), "each is said once")
	requireNoPassword(t, w.log.String())
}

// The database comes first: open connections go on, new ones need the file.
func TestLogin_TheDatabaseChangesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(t, `alter role `+w.role+` password 'hush-2'`)
	require.NoError(t, w.pool.Ping(t.Context()), "an open connection goes on")
	require.True(t, pglogin.IsRefused(w.newConnection(t)))
	w.holds(t, "hush-4")
	require.True(t, pglogin.IsRefused(w.newConnection(t)))
	w.holds(t, "hush-2")
	require.NoError(t, w.newConnection(t))
	requireNoPassword(t, w.log.String())
}

func requireNoPassword(t *testing.T, log string) {
	t.Helper()
	require.NotContains(t, log, "hush")
}

// A rotation between two roles changes both files at once.
func TestLogin_AnotherRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.role + "_b"
	w.files.Swap(t, map[string]string{"username": other, "password": "other"})
	require.NoError(t, w.newConnection(t), "the role does not exist yet")
	w.exec(t, `create role `+other+` login password 'other' in role `+w.role)
	w.exec(t, `alter role `+other+` set role = `+w.role)
	t.Cleanup(func() { w.execIn(context.WithoutCancel(t.Context()), t, `drop role `+other) })
	w.pool.Reset()
	var login, user string
	require.NoError(t, w.pool.QueryRow(t.Context(), `select session_user, current_user`).Scan(&login, &user))
	require.Equal(t, other, login)
	require.Equal(t, w.role, user, "what it makes belongs to the first role, as the runbook has it")
	w.exec(t, `alter role `+w.role+` nologin`)
	require.NoError(t, w.newConnection(t))
}

// What the file held is used as long as it is damaged.
func TestLogin_AFileThatIsDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.holds(t, "")
	for range 3 {
		require.NoError(t, w.newConnection(t))
	}
	require.Equal(t, 1, strings.Count(w.log.String(), "level=WARN"), w.log.String())
	w.exec(t, `alter role `+w.role+` password 'hush-2'`)
	w.holds(t, "hush-2")
	require.NoError(t, w.newConnection(t))
}

func TestNew_NamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	files := secrettest.New(t, map[string]string{"empty": ""})
	_, err := pglogin.New(pglogin.Config{UsernameFile: "nowhere/user", PasswordFile: files.Path("empty")}, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "databaseUsernameFile: open nowhere/user: no such file or directory")
	require.ErrorContains(t, err, "databasePasswordFile: "+files.Path("empty")+": is empty")
	require.False(t, pglogin.Config{}.IsSet())
}

// The URL of a server that is away is an error like any other.
func TestLogin_AServerThatIsAway(t *testing.T) {
	t.Parallel()
	files := secrettest.New(t, map[string]string{"password": "x"})
	login, err := pglogin.New(pglogin.Config{PasswordFile: files.Path("password")}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	config, err := pgx.ParseConfig("postgres://someone@127.0.0.1:1/none?sslmode=disable")
	require.NoError(t, err)
	err = login.BeforeConnect(t.Context(), config)
	require.Error(t, err)
	require.False(t, pglogin.IsRefused(err))
	require.Equal(t, "x", config.Password)
	require.Equal(t, "someone", config.User)
}
