package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGeneratedFiles_AreFresh(t *testing.T) {
	t.Parallel()
	const root = "../../charts"
	files, err := generate(root)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		isFresh := bytes.Equal(want, got) // the texts are too long to be shown
		require.True(t, isFresh, "%s is out of date: go generate ./charts", name)
	}
}

func TestComments_AreTextsAndInstructions(t *testing.T) {
	t.Parallel()
	text, include, extra, err := parseComment("# How many.\n# Not few.\n# @include pod, expose\n# @schema {\"minimum\": 1}")
	require.NoError(t, err)
	require.Equal(t, "How many. Not few.", text)
	require.Equal(t, []string{"pod", "expose"}, include)
	require.Equal(t, map[string]any{"minimum": 1.0}, extra)
	_, _, _, err = parseComment("# @schema {minimum: 1}")
	require.ErrorContains(t, err, "@schema")
}
