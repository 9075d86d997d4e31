package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCopySelf_RunsElsewhere(t *testing.T) {
	t.Parallel()
	to := filepath.Join(t.TempDir(), "slipway")
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"copy-self", to}, &out, &errs), errs.String())
	info, err := os.Stat(to)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&0o111, "it can be executed")
	require.NoError(t, exec.CommandContext(t.Context(), to, "-test.list=^$").Run(), "it is this program, the test's own")
	require.NotZero(t, run(t.Context(), []string{"copy-self", t.TempDir()}, &out, &errs))
}

func TestIdle_EndsWhenToldTo(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end()
	require.Zero(t, run(ended, []string{"idle"}, new(bytes.Buffer), new(bytes.Buffer)))
}
