package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree parses every Go file of the repository.
func tree(t *testing.T) []file {
	t.Helper()
	const root = "../.."
	var files []file
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipFolder(path, entry.Name())
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		parsed, err := parse(name, source)
		files = append(files, parsed)
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func skipFolder(path, name string) error {
	if name == "testdata" || name == "node_modules" || name == "bin" || (strings.HasPrefix(name, ".") && name != "." && name != "..") {
		return filepath.SkipDir
	}
	// A module of its own has its own rules.
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != "../.." {
		return filepath.SkipDir
	}
	return nil
}

func TestTree_KeepsToTheRules(t *testing.T) {
	t.Parallel()
	for _, f := range tree(t) {
		for _, problem := range f.problems() {
			t.Error(problem)
		}
	}
}

func TestTree_EveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	onlyTests := map[string]bool{}
	for _, f := range tree(t) {
		if _, seen := onlyTests[f.pkg]; !seen {
			onlyTests[f.pkg] = true
		}
		onlyTests[f.pkg] = onlyTests[f.pkg] && f.isTest
		documented[f.pkg] = documented[f.pkg] || f.isDocumented()
	}
	for pkg, has := range documented {
		if !has && !onlyTests[pkg] {
			t.Errorf("package %s has no comment", pkg)
		}
	}
}

// Sizes are for talking about, not for failing.
func TestTree_Sizes(t *testing.T) {
	t.Parallel()
	for _, f := range tree(t) {
		for _, line := range f.large() {
			t.Log(line)
		}
	}
}

func TestProblems_EachRuleFires(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ path, source, want string }{
		"library outside its cage":   {"internal/queue/queue.go", `import "github.com/labstack/echo/v4"`, "lives only in: api"},
		"library by its home":        {"internal/api/server.go", `import "github.com/labstack/echo/v4"`, ""},
		"library by its file":        {"internal/queue/store.go", `import "github.com/jackc/pgx/v5/pgxpool"`, ""},
		"library by its file's kind": {"internal/queue/store_slots.go", `import "github.com/jackc/pgx/v5"`, ""},
		"library in the wrong file":  {"internal/queue/submit.go", `import "github.com/jackc/pgx/v5"`, "lives only in: store*.go"},
		"library in a test":          {"internal/queue/x_test.go", `import "github.com/jackc/pgx/v5"`, ""},
		"library with another name":  {"internal/queue/queue.go", `import "github.com/labstack/echologger"`, ""},
		"versioned yaml":             {"internal/gateway/x.go", `import "gopkg.in/yaml.v3"`, "lives only in: config"},
		"kubernetes below its home":  {"internal/deploy/kube/x.go", `import "k8s.io/client-go/rest"`, ""},
		"kubernetes elsewhere":       {"internal/gateway/x.go", `import "k8s.io/client-go/rest"`, "lives only in: deploy/... network/cluster"},
		"assert":                     {"internal/queue/x_test.go", `import "github.com/stretchr/testify/assert"`, "lives only in: nowhere"},
		"arrow up":                   {"internal/cache/x.go", `import "github.com/slipwayhq/slipway/internal/gateway"`, "cache may not import gateway"},
		"sibling":                    {"internal/cache/x.go", `import "github.com/slipwayhq/slipway/internal/upstreams"`, "cache may not import upstreams"},
		"arrow down":                 {"internal/gateway/x.go", `import "github.com/slipwayhq/slipway/internal/cache"`, ""},
		"leaf":                       {"internal/cache/x.go", `import "github.com/slipwayhq/slipway/internal/secret"`, ""},
		"leaf to leaf":               {"internal/secret/x.go", `import "github.com/slipwayhq/slipway/internal/telemetry"`, "secret may not import telemetry"},
		"package in no table":        {"internal/helpers/x.go", `import "github.com/slipwayhq/slipway/internal/secret"`, "is in no arrow"},
		"test of anything":           {"internal/cache/x_test.go", `import "github.com/slipwayhq/slipway/internal/gateway"`, ""},
		"init":                       {"internal/cache/x.go", `func init() {}`, "internal/cache/x.go:3: init() runs"},
		"method called init":         {"internal/cache/x.go", `type t int; func (t) init() {}`, ""},
		"sleep in a test":            {"internal/cache/x_test.go", `func f() { time.Sleep(1) }`, "time.Sleep: wait for"},
		"sleep in the program":       {"internal/cache/x.go", `func f() { time.Sleep(1) }`, ""},
		"skip":                       {"internal/cache/x_test.go", `func f() { t.Skip() }`, "t.Skip: a test that is not run"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := parse(c.path, []byte("package x\n\n"+c.source+"\n"))
			require.NoError(t, err)
			got := strings.Join(f.problems(), "\n")
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			require.Contains(t, got, c.want)
		})
	}
}

func TestLarge_PrintsLongFilesAndFunctions(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("\tprintln()\n", 500)
	f, err := parse("internal/x/x.go", []byte("package x\n\nfunc long() {\n"+body+"}\n"))
	require.NoError(t, err)
	require.Len(t, f.large(), 2)

	generated, err := parse("internal/x/x.go", []byte("// Code generated by hand. DO NOT EDIT.\n\npackage x\n\nfunc long() {\n"+body+"}\n"))
	require.NoError(t, err)
	require.Empty(t, generated.large())
}

// A name in a table that stands for nothing would be a rule that never fires.
func TestArrows_NameOnlyKnownPackages(t *testing.T) {
	t.Parallel()
	table := arrows()
	for from, to := range table {
		for _, word := range to {
			base := strings.TrimSuffix(word, "/...")
			if _, isKnown := table[base]; !isKnown && word != "..." {
				t.Errorf("%s may import %s, which is no package of the table", from, word)
			}
		}
	}
}
