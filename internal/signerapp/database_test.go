package signerapp

import (
	"context"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/secret/secrettest"
)

// ownRole makes a role with a password, which owns the database if it is to, and
// the URL without the password.
func ownRole(t *testing.T, dsn, password string, isOwner bool) string {
	t.Helper()
	at, err := url.Parse(dsn)
	require.NoError(t, err)
	admin, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close(context.WithoutCancel(t.Context())) })
	role := strings.ToLower(t.Name()) + strconv.FormatInt(time.Now().UnixNano(), 36) // one server has the roles of all runs
	_, err = admin.Exec(t.Context(), `create role `+role+` login password '`+password+`'`)
	require.NoError(t, err)
	if isOwner {
		_, err = admin.Exec(t.Context(), `alter database `+pgx.Identifier{at.Path[1:]}.Sanitize()+` owner to `+role)
		require.NoError(t, err)
	}
	at.User = url.User(role)
	return at.String()
}

// onLine is a log that calls do once, at the first line of a text.
type onLine struct {
	slog.Handler
	text string
	do   *sync.Once
	call func()
}

func (h onLine) Enabled(context.Context, slog.Level) bool { return true }

func (h onLine) Handle(_ context.Context, r slog.Record) error {
	if r.Message == h.text {
		h.do.Do(h.call)
	}
	return nil
}

func (h onLine) WithAttrs([]slog.Attr) slog.Handler { return h }

func TestApp_ALoginThatIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	cfg := config(t, chain(t).HTTPURL(), ownRole(t, dsn, "hush-1", true))
	files := secrettest.New(t, map[string]string{"password": "hush-0"})
	cfg.DatabasePasswordFile = files.Path("password")
	run := func(cfg Config, log *slog.Logger) error {
		app, err := New(cfg, Deps{Log: log})
		require.NoError(t, err)
		return app.Run(t.Context(), func() {})
	}
	cfg.DatabaseWait = 2 * time.Second
	err := run(cfg, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "the database refuses the login")
	require.NotContains(t, err.Error(), "hush")

	// A password in the URL does not change by itself.
	withURL := cfg
	at, err := url.Parse(cfg.DatabaseURL.Reveal())
	require.NoError(t, err)
	at.User = url.UserPassword(at.User.Username(), "hush-0")
	withURL.DatabasePasswordFile, withURL.DatabaseWait, withURL.DatabaseURL = "", time.Hour, secret.New(at.String())
	err = run(withURL, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "the database refuses the login")
	require.NotContains(t, err.Error(), "hush")

	// One in a file may: the right one comes while the signer waits.
	cfg.DatabaseWait = time.Minute
	log := slog.New(onLine{slog.DiscardHandler, "waiting for the database", &sync.Once{}, func() { files.Swap(t, map[string]string{"password": "hush-1"}) }})
	app, err := New(cfg, Deps{Log: log})
	require.NoError(t, err)
	lifecycletest.Start(t, app.Run)
	status, answer := call(t, "GET", "http://"+app.AdminAddr()+"/readyz", "")
	require.Equal(t, 200, status, answer)

	admin, err := OpenAdmin(t.Context(), cfg)
	require.NoError(t, err)
	admin.Close()

	cfg.DatabaseUsernameFile = files.Path("username")
	_, err = New(cfg, Deps{Log: log})
	require.ErrorContains(t, err, "databaseUsernameFile: open "+files.Path("username"))
	_, err = OpenAdmin(t.Context(), cfg)
	require.ErrorContains(t, err, "databaseUsernameFile: open "+files.Path("username"))
}

// A migrateUrl with a password is a login of its own, beside that of the files.
func TestApp_MigratesWithALoginOfItsOwn(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	cfg := config(t, "http://127.0.0.1:1", ownRole(t, dsn, "hush-1", false))
	cfg.DatabasePasswordFile = secrettest.New(t, map[string]string{"password": "hush-1"}).Path("password")
	_, err := OpenAdmin(t.Context(), cfg)
	require.ErrorContains(t, err, "permission denied")
	cfg.MigrateURL = secret.New(dsn)
	admin, err := OpenAdmin(t.Context(), cfg)
	require.NoError(t, err)
	admin.Close()
}
