package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// outside runs this program again in namespaces of its own, and puts back what
// no namespace holds: cgroups, and settings of the kernel.
func outside(args []string) (code int, err error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("it must be run by root, because it makes namespaces and mounts")
	}
	name := "slipway-" + strconv.Itoa(os.Getpid())
	defer func() { err = errors.Join(err, removeCgroups(name)) }()
	if err := makeCgroups(name); err != nil {
		return 1, err
	}
	kernel := readKernel()
	defer kernel.restore()

	// Mounts below the cluster's folder are gone only when its namespaces are.
	folder, err := os.MkdirTemp("", "slipway-node-*")
	if err != nil {
		return 1, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()

	inside := exec.Command("/proc/self/exe", append([]string{"-cgroup=" + name}, args...)...) //nolint:gosec,noctx // this program; signals reach it below
	inside.Stdin, inside.Stdout, inside.Stderr = os.Stdin, os.Stdout, os.Stderr
	inside.Env = append(os.Environ(), "TMPDIR="+folder)
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := inside.Start(); err != nil {
		return 1, fmt.Errorf("make namespaces: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- inside.Wait() }() // ends with the program
	for {
		select {
		case received := <-signals:
			_ = inside.Process.Signal(received) // it has ended where this fails
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return max(exit.ExitCode(), 1), nil
			}
			if err != nil {
				return 1, fmt.Errorf("run in namespaces: %w", err)
			}
			return 0, nil
		}
	}
}

// hierarchies are the roots of cgroups: one of version 2, or one for each
// controller of version 1.
func hierarchies() []string {
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return []string{root}
	}
	roots, _ := filepath.Glob(root + "/*/cgroup.procs") // the pattern is well-formed
	for i := range roots {
		roots[i] = filepath.Dir(roots[i])
	}
	return roots
}

func makeCgroups(name string) error {
	for _, root := range hierarchies() {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("make a cgroup: %w", err)
		}
	}
	return nil
}

// removeWithin bounds how long processes that were killed stay in their cgroups.
const removeWithin = 10 * time.Second

func removeCgroups(name string) error {
	var failed error
	for _, root := range hierarchies() {
		deadline := time.Now().Add(removeWithin)
		for {
			err := removeTree(filepath.Join(root, name))
			if err == nil || errors.Is(err, os.ErrNotExist) {
				break
			}
			if time.Now().After(deadline) {
				failed = errors.Join(failed, fmt.Errorf("remove a cgroup: %w", err))
				break
			}
			<-time.After(100 * time.Millisecond)
		}
	}
	return failed
}

// removeTree removes folders from the leaves up; a cgroup's files go with it.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return syscall.Rmdir(dir)
}

// kernel are the settings that a kubelet changes for the whole machine.
type kernel map[string][]byte

func readKernel() kernel {
	out := make(kernel)
	for _, name := range []string{
		"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
		"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
	} {
		path := filepath.Join("/proc/sys", name)
		if text, err := os.ReadFile(path); err == nil {
			out[path] = text
		}
	}
	return out
}

func (k kernel) restore() {
	for path, text := range k {
		if err := os.WriteFile(path, text, 0); err != nil {
			fmt.Fprintf(os.Stderr, "clusternode: put %s back: %v\n", path, err)
		}
	}
}
