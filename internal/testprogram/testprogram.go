// Package testprogram builds programs of others that tests run, each from a module of
// its own below test. The first build on a machine takes minutes, later ones nothing.
package testprogram

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// buildTimeout is for the first build, on a machine with little to spare.
const buildTimeout = 12 * time.Minute

// Build builds a package, "." for the module's own, of the module in folder test/name,
// and returns the path of the program: bin/tools/name. Test binaries that ask at the
// same time wait for each other.
func Build(name, pkg string) (string, error) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("the source of this package is not known")
	}
	root := filepath.Join(filepath.Dir(here), "..", "..")
	binary := filepath.Join(root, "bin", "tools", name)
	unlock, err := lock(binary + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", binary, pkg)
	cmd.Dir = filepath.Join(root, "test", name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build test/%s: %w\n%s", name, err, out)
	}
	return binary, nil
}

// lock waits until no other test binary builds the program.
func lock(name string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return func() { file.Close() }, syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
}
