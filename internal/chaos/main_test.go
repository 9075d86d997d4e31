package chaos

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/schema"
)

const (
	modeVariable   = "SLIPWAY_CHAOS"        // short (or nothing), long, mutants
	signerVariable = "SLIPWAY_CHAOS_SIGNER" // the program under test; built if empty
	sqlVariable    = "SLIPWAY_CHAOS_SQL"    // what else is done to a new database
	anvilVariable  = "SLIPWAY_CHAOS_ANVIL"  // Foundry's anvil, for the rows that it knows more faults for

	buildTimeout = 10 * time.Minute
)

func isLong() bool { return os.Getenv(modeVariable) == "long" }

// choose is the size of something in the short and in the long form.
func choose[T any](short, long T) T {
	if isLong() {
		return long
	}
	return short
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

// atOnce is how many tests run side by side: they wait most of the time, for
// blocks and leases.
const atOnce = "6"

func testMain(m *testing.M) int {
	flag.Parse()
	if err := flag.Set("test.parallel", atOnce); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	if os.Getenv(signerVariable) == "" {
		dir, err := os.MkdirTemp("", "slipway-chaos-")
		if err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		program := filepath.Join(dir, "signer")
		if err := buildSigner(program); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			return 1
		}
		if err := os.Setenv(signerVariable, program); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			return 1
		}
	}
	return pgtest.Main(m, pgtest.Template(prepare))
}

// buildSigner builds the real program with its failpoints.
func buildSigner(path string, flags ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	args := append([]string{"build", "-buildvcs=false", "-tags", "failpoints", "-o", path}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "../../cmd/signer")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the signer: %w\n%s", err, out)
	}
	return nil
}

// prepare makes the tables, and what a mutation wants changed.
func prepare(ctx context.Context, dsn string) error {
	if err := schema.Migrate(ctx, dsn); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, os.Getenv(sqlVariable))
	return err
}
