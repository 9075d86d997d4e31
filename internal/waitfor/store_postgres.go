package waitfor

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func postgres(text string) (Target, error) {
	config, err := pgx.ParseConfig(text)
	if err != nil {
		return Target{}, errors.New("the PostgreSQL URL is malformed: postgres://user:password@host:port/database") // the reason may quote it
	}
	name := fmt.Sprintf("postgres://%s:%d/%s", config.Host, config.Port, config.Database)
	return Target{name: name, look: func(ctx context.Context) error {
		conn, err := pgx.ConnectConfig(ctx, config.Copy())
		if err != nil {
			return databaseError(err)
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it was only looked at
		if _, err := conn.Exec(ctx, "select 1"); err != nil {
			return databaseError(err)
		}
		return nil
	}}, nil
}

// databaseError is what the server said, or why nobody could be asked. The
// library's own text repeats the address, and each way that was tried.
func databaseError(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return fmt.Errorf("it says: %s (SQLSTATE %s)", refused.Message, refused.Code)
	}
	var failed *pgconn.ConnectError
	if errors.As(err, &failed) {
		return failed.Unwrap()
	}
	return err
}
