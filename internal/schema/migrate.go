// Package schema is the signer's database: numbered migrations that only go
// forward, embedded in the binary.
package schema

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the database up to this binary's schema. Replicas may call it
// at the same time: an advisory lock lets one of them work. It needs a session
// of its own, so the DSN must not lead through a pooler in transaction mode.
func Migrate(ctx context.Context, dsn string) error { return MigrateWith(ctx, dsn, nil) }

// MigrateWith is Migrate with connections that beforeConnect may change, if it is
// not nil.
func MigrateWith(ctx context.Context, dsn string, beforeConnect func(context.Context, *pgx.ConnConfig) error) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return errors.New("the database URL is malformed") // the reason may quote it
	}
	var options []stdlib.OptionOpenDB
	if beforeConnect != nil {
		options = append(options, stdlib.OptionBeforeConnect(beforeConnect))
	}
	db := stdlib.OpenDB(*config, options...)
	defer func() { _ = db.Close() }()

	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("prepare migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker),
		goose.WithAllowOutofOrder(true)) // files that were written side by side are independent of each other
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	return nil
}
