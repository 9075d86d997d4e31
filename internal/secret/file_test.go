package secret_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/secret"
)

func TestOpenFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "password")
	_, err := secret.OpenFile(path, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, path)
	for text, want := range map[string]string{
		"hush": "hush", "hush\n": "hush", "hush\r\n\n": "hush", "  spaces  ": "  spaces  ", "two\nlines": "two\nlines",
		"": "is empty", "\n": "is empty", strings.Repeat("hush", 1<<15): "larger than",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		file, err := secret.OpenFile(path, slog.New(slog.DiscardHandler))
		if err != nil {
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, path)
			require.NotContains(t, err.Error(), "hush")
			continue
		}
		require.Equal(t, want, file.Read(t.Context()).Reveal())
	}
}

func TestFile_IsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "password")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	var log bytes.Buffer
	write("first")
	file, err := secret.OpenFile(path, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	reads := func(want string, warnings int) {
		t.Helper()
		require.Equal(t, want, file.Read(t.Context()).Reveal())
		require.Equal(t, warnings, strings.Count(log.String(), "WARN"), log.String())
	}
	reads("first", 0)
	write("second")
	reads("second", 0)
	write("")
	reads("second", 1)
	reads("second", 1)
	require.NoError(t, os.Remove(path))
	reads("second", 2) // another reason
	reads("second", 2)
	write("third")
	reads("third", 2)
	require.NoError(t, os.Remove(path))
	reads("third", 3)
	require.NotContains(t, log.String(), "third")
}
