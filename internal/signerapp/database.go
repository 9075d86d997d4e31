package signerapp

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/slipwayhq/slipway/internal/pglogin"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/schema"
)

// login reads the files of the database's login; nil without any.
func (c Config) login(log *slog.Logger) (*pglogin.Login, error) {
	files := pglogin.Config{UsernameFile: c.DatabaseUsernameFile, PasswordFile: c.DatabasePasswordFile}
	if !files.IsSet() {
		return nil, nil //nolint:nilnil // that of the URL is a login as well
	}
	return pglogin.New(files, log)
}

// openDatabase waits for the database and migrates it. A login that is refused is
// waited for only where it may change.
func (a *App) openDatabase(ctx context.Context) (*pgxpool.Pool, error) {
	deadline, cancel := context.WithTimeout(ctx, a.cfg.DatabaseWait)
	defer cancel()
	connect := queue.ConnectConfig{DSN: a.cfg.DatabaseURL.Reveal(), MaxConns: a.cfg.DatabaseConns, IsPooled: a.cfg.DatabasePooler}
	if a.login != nil {
		connect.BeforeConnect = a.login.BeforeConnect
	}
	var reason error // of the last try that was not cut short
	for {
		pool, err := queue.Connect(deadline, connect)
		if err == nil {
			return a.migrated(ctx, pool)
		}
		if !errors.Is(err, queue.ErrUnavailable) || errors.Is(err, queue.ErrLoginRefused) && a.login == nil {
			return nil, err
		}
		if reason == nil || deadline.Err() == nil {
			reason = err
		}
		a.log.InfoContext(ctx, "waiting for the database", slog.Any("err", err))
		select {
		case <-deadline.Done():
			return nil, reason
		case <-time.After(time.Second):
		}
	}
}

// migrateTimeout bounds the migrations of one start.
const migrateTimeout = 10 * time.Minute

func (a *App) migrated(ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Pool, error) {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	if err := a.migrate(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// migrate changes the tables. A migrateUrl with a password of its own is another
// login than that of the files.
func (a *App) migrate(ctx context.Context) error {
	dsn := cmp.Or(a.cfg.MigrateURL.Reveal(), a.cfg.DatabaseURL.Reveal())
	if a.login == nil {
		return schema.Migrate(ctx, dsn)
	}
	if own, err := pgx.ParseConfig(a.cfg.MigrateURL.Reveal()); !a.cfg.MigrateURL.IsEmpty() && err == nil && own.Password != "" {
		return schema.Migrate(ctx, dsn)
	}
	login, err := a.cfg.login(a.log)
	if err != nil {
		return err
	}
	return schema.MigrateWith(ctx, dsn, login.BeforeConnect)
}
