package deploy

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const promisesFile = "docs/promises.md"

// promise is a row of a table in docs/promises.md.
type promise struct{ number, what, kept, shown, row string }

// broken says what is wrong with a row: a test, or the words "not kept", must stand
// behind each promise.
func (p promise) broken(there map[string]bool) string {
	tests := testNames().FindAllStringSubmatch(p.shown, -1)
	for _, test := range tests {
		if !there[test[1]] {
			return "there is no test " + test[1]
		}
	}
	notKept := strings.Contains(strings.ToLower(p.kept), "**not kept**")
	switch {
	case p.what == "" || p.kept == "":
		return "a cell is empty"
	case testNames().MatchString(p.kept) || testNames().ReplaceAllString(strings.ReplaceAll(p.shown, ", ", ""), "") != "":
		return "tests, and they alone, stand in the last cell"
	case notKept:
		return ""
	case len(tests) == 0:
		return "no test shows it, and it is not said to be not kept"
	case len(tests) == 1 && tests[0][1] == "TestEveryKey_HasAnEffect":
		return "that something changes does not show that it is the right thing"
	}
	return ""
}

func testNames() *regexp.Regexp { return regexp.MustCompile("`(Test\\w+)`") }

func promises(t *testing.T) []promise {
	t.Helper()
	text, err := os.ReadFile("../../" + promisesFile)
	require.NoError(t, err)
	var out []promise
	for _, row := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(row, "| ") || strings.HasPrefix(row, "| promise") || strings.HasPrefix(row, "| no. ") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(row, "|"), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		p := promise{row: row}
		if len(cells) == 4 {
			p.number, cells = cells[0], cells[1:]
		}
		require.Len(t, cells, 3, row)
		p.what, p.kept, p.shown = cells[0], cells[1], cells[2]
		out = append(out, p)
	}
	return out
}

// testsThatThereAre are the names of all tests of the repository.
func testsThatThereAre(t *testing.T) map[string]bool {
	t.Helper()
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
	return there
}

// TestPromises_AreShownOrSaidNotToBeKept reads docs/promises.md, looks for every test
// and file it names, and for the whole of the kit's numbers.
func TestPromises_AreShownOrSaidNotToBeKept(t *testing.T) {
	t.Parallel()
	there := testsThatThereAre(t)
	rows := promises(t)
	require.Greater(t, len(rows), 115, "a table was not read")
	numbers := make(map[int]bool)
	file := regexp.MustCompile(`(?:charts|docs)/[A-Za-z0-9_/-]+(?:\.md|\.yaml)?|values-[a-z]+\.yaml`)
	for _, p := range rows {
		require.Empty(t, p.broken(there), p.row)
		for _, number := range strings.Split(p.number, ", ") {
			if n, err := strconv.Atoi(number); err == nil {
				require.False(t, numbers[n], "%d stands in two rows", n)
				numbers[n] = true
			}
		}
		for _, path := range file.FindAllString(p.kept, -1) {
			if strings.HasPrefix(path, "values-") {
				path = "charts/slipway/" + path
			}
			_, err := os.Stat("../../" + path)
			require.NoError(t, err, p.row)
		}
	}
	require.Len(t, numbers, 69, "%v", slices.Sorted(maps.Keys(numbers)))
}

// TestPromises_ARowWithoutAProofIsFound is about the rule itself.
func TestPromises_ARowWithoutAProofIsFound(t *testing.T) {
	t.Parallel()
	there := map[string]bool{"TestReal": true, "TestEveryKey_HasAnEffect": true}
	for _, c := range []struct {
		p    promise
		says string
	}{
		{promise{what: "a", kept: "b", shown: "`TestReal`"}, ""},
		{promise{what: "a", kept: "b", shown: "`TestReal`, `TestEveryKey_HasAnEffect`"}, ""},
		{promise{what: "a", kept: "**not kept**"}, ""},
		{promise{what: "a", kept: "b; **Not kept**: c", shown: "`TestEveryKey_HasAnEffect`"}, ""},
		{promise{what: "a", kept: "b"}, "no test shows it"},
		{promise{what: "a", kept: "not kept"}, "no test shows it"},
		{promise{what: "a", kept: "b", shown: "a test"}, "they alone"},
		{promise{what: "a", kept: "`TestReal`"}, "they alone"},
		{promise{what: "a", kept: "b", shown: "`TestEveryKey_HasAnEffect`"}, "the right thing"},
		{promise{what: "a", kept: "b", shown: "`TestGone`"}, "no test TestGone"},
		{promise{what: "a", shown: "`TestReal`"}, "empty"},
	} {
		says := c.p.broken(there)
		if c.says == "" {
			require.Empty(t, says, fmt.Sprint(c.p))
			continue
		}
		require.Contains(t, says, c.says, fmt.Sprint(c.p))
	}
}
