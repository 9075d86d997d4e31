package deploy

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPromises_NameTestsThatThereAre reads docs/promises.md and looks for every test it names.
func TestPromises_NameTestsThatThereAre(t *testing.T) {
	t.Parallel()
	there := make(map[string]bool)
	repository := os.DirFS("../..")
	defined := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, root := range []string{"internal", "cmd", "test"} {
		err := fs.WalkDir(repository, root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := fs.ReadFile(repository, path)
			for _, match := range defined.FindAllSubmatch(text, -1) {
				there[string(match[1])] = true
			}
			return err
		})
		require.NoError(t, err)
	}
	text, err := fs.ReadFile(repository, "docs/promises.md")
	require.NoError(t, err)
	named := regexp.MustCompile("`(Test\\w+)`")
	rows := 0
	for _, row := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(row, "| ") || strings.HasPrefix(row, "| promise") || strings.HasPrefix(row, "| no. ") {
			continue
		}
		rows++
		tests := named.FindAllStringSubmatch(row, -1)
		require.True(t, len(tests) > 0 || strings.Contains(row, "**not kept**"), "no test shows it, and it is not said to be not kept:\n%s", row)
		for _, test := range tests {
			require.True(t, there[test[1]], "there is no test %s", test[1])
		}
	}
	require.Greater(t, rows, 100, "a table was not read")
}
