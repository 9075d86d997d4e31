package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/slipwayhq/slipway/internal/deploy/hasuraactions"
	"github.com/slipwayhq/slipway/internal/secret"
)

// adminSecretVariable is Hasura's own name for it.
const adminSecretVariable = "HASURA_GRAPHQL_ADMIN_SECRET" //nolint:gosec // the name, not the secret

type hasuraActionsCmd struct {
	URL string `required:"" help:"Address of Hasura, whose administrator's secret is in HASURA_GRAPHQL_ADMIN_SECRET." placeholder:"URL"`
}

func (c *hasuraActionsCmd) run(ctx context.Context, stdout io.Writer) error {
	adminSecret := os.Getenv(adminSecretVariable)
	if adminSecret == "" {
		return errors.New(adminSecretVariable + " is not set")
	}
	written, err := hasuraactions.Apply(ctx, hasuraactions.Config{URL: c.URL, AdminSecret: secret.New(adminSecret)})
	if err != nil {
		return err
	}
	if written {
		fmt.Fprintln(stdout, "Hasura has the signer's actions now.")
	} else {
		fmt.Fprintln(stdout, "Hasura has the signer's actions already.")
	}
	return nil
}
