// Package pglogin logs in to PostgreSQL with a user and a password that stand in
// files, and takes changed ones over without a restart: for connections that
// begin from then on, while open ones go on, which PostgreSQL does not cut.
package pglogin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/slipwayhq/slipway/internal/secret"
)

// Config names the files.
type Config struct {
	// UsernameFile holds the user; empty leaves that of the URL.
	UsernameFile string
	// PasswordFile holds the password; empty leaves that of the URL.
	PasswordFile string
}

// IsSet says whether there is a file.
func (c Config) IsSet() bool { return c != Config{} }

// Login is what the files hold. Its methods may be called from anywhere.
type Login struct {
	username, password *secret.File // nil without one
	log                *slog.Logger

	mu      sync.Mutex // guards the fields below
	good    pair       // the last one that the database let in
	refused pair       // the last one of which was said that it did not
}

// pair is a user and a password.
type pair struct{ username, password string }

// New reads the files.
func New(cfg Config, log *slog.Logger) (*Login, error) {
	l := &Login{log: log}
	var errs []error
	for _, f := range []struct {
		path, key string
		to        **secret.File
	}{{cfg.UsernameFile, "databaseUsernameFile", &l.username}, {cfg.PasswordFile, "databasePasswordFile", &l.password}} {
		if f.path == "" {
			continue
		}
		file, err := secret.OpenFile(f.path, log)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.key, err))
		}
		*f.to = file
	}
	return l, errors.Join(errs...)
}

// BeforeConnect gives a new connection its login. One that has changed is tried
// first on a connection of its own: as long as the database refuses it, the one
// before is used, so that files and database need not change at the same moment.
func (l *Login) BeforeConnect(ctx context.Context, cfg *pgx.ConnConfig) error {
	now := l.read(ctx, pair{cfg.User, cfg.Password})
	now.set(cfg)
	l.mu.Lock()
	good := l.good
	l.mu.Unlock()
	if now == good {
		return nil
	}
	conn, err := pgx.ConnectConfig(ctx, cfg.Copy())
	switch {
	case err == nil:
		_ = conn.Close(ctx) // it was only looked at
		l.accept(ctx, now)
		return nil
	case IsRefused(err) && good != pair{}:
		l.refuse(ctx, now)
		good.set(cfg)
		return nil
	default:
		return err //nolint:wrapcheck // stands for the error of the connection itself
	}
}

// read takes from the files what stands there, and the rest from the URL. The two
// files may be swapped between the one look and the other.
func (l *Login) read(ctx context.Context, url pair) pair {
	look := func() pair {
		out := url
		if l.username != nil {
			out.username = l.username.Read(ctx).Reveal()
		}
		if l.password != nil {
			out.password = l.password.Read(ctx).Reveal()
		}
		return out
	}
	if now := look(); l.username == nil || l.password == nil || now == look() {
		return now
	}
	return look()
}

func (p pair) set(cfg *pgx.ConnConfig) { cfg.User, cfg.Password = p.username, p.password }

func (l *Login) accept(ctx context.Context, p pair) {
	l.mu.Lock()
	isChange := l.good != pair{} && l.good != p
	l.good, l.refused = p, pair{}
	l.mu.Unlock()
	if isChange {
		l.log.InfoContext(ctx, "a changed login of the database is in use", slog.String("user", p.username))
	}
}

// refuse logs a login that is refused once.
func (l *Login) refuse(ctx context.Context, p pair) {
	l.mu.Lock()
	isNew := l.refused != p
	l.refused = p
	l.mu.Unlock()
	if isNew {
		l.log.WarnContext(ctx, "the database refuses the changed login, the one before stays in use", slog.String("user", p.username))
	}
}

// IsRefused says whether PostgreSQL did not take a login (class 28 of SQLSTATE).
func IsRefused(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && strings.HasPrefix(refused.Code, "28")
}
