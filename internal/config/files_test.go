package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every file below testdata stands for a rule. Beside it stands what is said of
// it: all problems of the bad ones, all warnings of the good ones.
func TestLoadGateway_Files(t *testing.T) {
	t.Parallel()
	for _, path := range files(t) {
		t.Run(strings.TrimPrefix(path, "testdata/"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(strings.TrimSuffix(path, ".yaml") + ".txt")
			require.NoError(t, err)

			got, err := LoadGateway(path, environment("NODE_PASSWORD", "hidden"))

			said := strings.Join(got.Warnings, "\n")
			if strings.HasPrefix(path, "testdata/bad/") {
				require.Error(t, err)
				said = err.Error()
			} else {
				require.NoError(t, err)
				require.NoError(t, got.App.Validate())
			}
			require.NotContains(t, said, "hidden")
			require.Equal(t, strings.TrimSpace(string(want)), strings.ReplaceAll(said, path, filepath.Base(path)))
		})
	}
}

func files(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	return paths
}

// Whatever stands in a file, the loader answers.
func FuzzParseGateway(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/*.yaml")
	require.NoError(f, err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseGateway("file", text, environment())
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		_, err = got.YAML()
		require.NoError(t, err)
	})
}
