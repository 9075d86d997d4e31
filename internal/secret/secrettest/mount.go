// Package secrettest mounts Secrets for tests as Kubernetes does.
package secrettest

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Mount is a folder in which each file leads through the link ..data to the
// version of now. A new version comes in by one rename, as the kubelet does it.
type Mount struct {
	dir     string
	version int
}

// New mounts files.
func New(tb testing.TB, files map[string]string) *Mount {
	tb.Helper()
	m := &Mount{dir: tb.TempDir()}
	m.Swap(tb, files)
	for name := range files {
		require.NoError(tb, os.Symlink(filepath.Join("..data", name), m.Path(name)))
	}
	return m
}

// Path is where a file is.
func (m *Mount) Path(name string) string { return filepath.Join(m.dir, name) }

// Swap puts a new version in the place of the one before, which is deleted.
func (m *Mount) Swap(tb testing.TB, files map[string]string) {
	tb.Helper()
	before, after := "..version"+strconv.Itoa(m.version), "..version"+strconv.Itoa(m.version+1)
	m.version++
	require.NoError(tb, os.Mkdir(m.Path(after), 0o700))
	for name, text := range files {
		require.NoError(tb, os.WriteFile(filepath.Join(m.Path(after), name), []byte(text), 0o400))
	}
	require.NoError(tb, os.Symlink(after, m.Path("..data_tmp")))
	require.NoError(tb, os.Rename(m.Path("..data_tmp"), m.Path("..data")))
	require.NoError(tb, os.RemoveAll(m.Path(before)))
}
