package cli

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgram_Run(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		args           []string
		err            error
		code           int
		stdout, stderr string
	}{
		"a command":       {args: []string{"serve", "--fast"}},
		"a list of them":  {args: []string{"serve"}, err: errors.New("refused:\none\ntwo"), code: 1, stderr: "boat: refused: one; two\n"},
		"its failure":     {args: []string{"serve"}, err: errors.Join(errors.New("one"), errors.New("two")), code: 1, stderr: "boat: one; two\n"},
		"version":         {args: []string{"version"}, stdout: "boat dev (unknown)\n"},
		"an unknown flag": {args: []string{"serve", "--slow"}, code: 1, stderr: "boat: unknown flag --slow\n"},
		"no command":      {code: 1, stderr: "boat: expected one of \"serve\", \"version\"\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var grammar struct {
				Serve struct{ Fast bool } `cmd:""`
				Ver   Version             `cmd:"" name:"version"`
			}
			var stdout, stderr bytes.Buffer

			code := Program{Name: "boat", Stdout: &stdout, Stderr: &stderr}.Run(&grammar, c.args, func(command string) error {
				require.Equal(t, "serve", command)
				require.Equal(t, len(c.args) == 2, grammar.Serve.Fast)
				return c.err
			})

			require.Equal(t, c.code, code)
			require.Equal(t, c.stdout, stdout.String())
			require.Equal(t, c.stderr, stderr.String())
		})
	}
}

func TestProgram_Help(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	var grammar struct {
		Ver Version `cmd:"" name:"version" help:"Print the version."`
	}

	code := Program{Name: "boat", Description: "Floats.", Stdout: &stdout, Stderr: &stdout}.Run(&grammar, []string{"--help"}, nil)

	require.Zero(t, code)
	require.Contains(t, stdout.String(), "Floats.")
}

// coded is an error with an exit code of its own.
type coded struct{ error }

func (coded) ExitCode() int { return 7 }

func TestProgram_ErrorsMayChooseTheExitCode(t *testing.T) {
	t.Parallel()
	var grammar struct {
		Go struct{} `cmd:""`
	}
	var stdout, stderr bytes.Buffer
	program := Program{Name: "x", Stdout: &stdout, Stderr: &stderr}

	require.Equal(t, 7, program.Run(&grammar, []string{"go"}, func(string) error { return fmt.Errorf("wrapped: %w", coded{errors.New("no")}) }))
	require.Equal(t, "x: wrapped: no\n", stderr.String())
	require.Equal(t, 1, program.Run(&grammar, []string{"stop"}, func(string) error { return nil }))
}
