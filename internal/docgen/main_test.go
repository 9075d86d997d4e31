package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDocuments_AreFresh(t *testing.T) {
	t.Parallel()

	files, err := documents(root)
	require.NoError(t, err)

	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%s is out of date: make generate", name)
	}
}
