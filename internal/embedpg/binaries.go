package embedpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// binaries are the two programs of one PostgreSQL installation.
type binaries struct {
	postgres, initdb string
}

// searchPath lists the folders that may hold the binaries, best first: what
// the user put on the PATH, what pg_config names, then the places where Debian
// and Homebrew install, newest version first.
func searchPath() []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	dirs = append(dirs, pgConfigBindir())
	dirs = append(dirs, newestFirst("/usr/lib/postgresql/*/bin")...)
	dirs = append(dirs, newestFirst("/opt/homebrew/opt/postgresql@*/bin")...)
	dirs = append(dirs, newestFirst("/usr/local/opt/postgresql@*/bin")...)
	return slices.DeleteFunc(dirs, func(dir string) bool { return dir == "" })
}

func pgConfigBindir() string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // the constructor has no context; the limit is here
	defer cancel()
	out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output()
	if err != nil {
		return "" // most machines have no pg_config
	}
	return strings.TrimSpace(string(out))
}

var versionInPath = regexp.MustCompile(`\d+`)

func newestFirst(pattern string) []string {
	dirs, _ := filepath.Glob(pattern) // the patterns are ours and well formed
	slices.SortFunc(dirs, func(a, b string) int { return majorIn(b) - majorIn(a) })
	return dirs
}

// majorIn is the first number in a text: "/usr/lib/postgresql/15/bin" and
// "postgres (PostgreSQL) 15.13" both say 15.
func majorIn(text string) int {
	n, _ := strconv.Atoi(versionInPath.FindString(text)) // no number sorts last
	return n
}

// findBinaries takes both programs from the first folder that has them: a
// postgres and an initdb of different versions do not work together.
func findBinaries(dirs []string) (binaries, error) {
	for _, dir := range dirs {
		b := binaries{postgres: filepath.Join(dir, "postgres"), initdb: filepath.Join(dir, "initdb")}
		if isProgram(b.postgres) && isProgram(b.initdb) {
			return b, nil
		}
	}
	return binaries{}, errors.New("PostgreSQL is not installed (no postgres and initdb found): " + installHint(runtime.GOOS))
}

func installHint(goos string) string {
	if goos == "darwin" {
		return "install it with: brew install postgresql@16"
	}
	return "install it with: apt-get install postgresql"
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// major is the major version of the installed server.
func (b binaries) major(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, b.postgres, "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("ask %s for its version: %w", b.postgres, err)
	}
	return majorIn(string(out)), nil
}

// command prepares a program to run as the server's user. The environment is
// ours alone: PG* variables of the user's shell must not redirect the server,
// and messages must come in English to be recognised.
func (b binaries) command(owner user, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...) //nolint:noctx // Run stops the child in its own order, not by killing it
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=/"}
	cmd.SysProcAttr = childAttributes(owner)
	return cmd
}
