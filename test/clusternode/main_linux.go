// Program clusternode runs a command beside a Kubernetes of one machine whose pods
// really run, and takes everything away when the command ends:
//
//	clusternode -programs bin/cluster -image images.tar -- go test ./...
//
// The command finds the cluster by KUBECONFIG, and addresses of pods and Services
// from where it runs. It needs root. Processes, mounts and network are in
// namespaces of their own, so the kernel ends and removes them with this program,
// however it ends; outside it leaves alone what was there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/slipwayhq/slipway/internal/clustertest"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "clusternode:", err)
	}
	os.Exit(code)
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return fmt.Sprint(*l) }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func run(args []string) (int, error) {
	flags := flag.NewFlagSet("clusternode", flag.ContinueOnError)
	var images list
	programs := flags.String("programs", "bin/cluster", "`folder` that make cluster-tools fills")
	logs := flags.String("logs", os.TempDir(), "`folder` for the logs of the cluster's programs")
	cgroup := flags.String("cgroup", "", "`name` of the cgroup; set by this program for itself, inside its namespaces")
	flags.Var(&images, "image", "`archive` of images; may be given several times")
	if err := flags.Parse(args); err != nil {
		return 2, nil
	}
	if flags.NArg() == 0 {
		return 2, errors.New("no command is given")
	}
	if *cgroup == "" {
		return outside(args)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := mounts(); err != nil {
		return 1, err
	}
	err := clustertest.RunNode(ctx, clustertest.NodeConfig{Programs: *programs, Images: images, Logs: *logs, Cgroup: "/" + *cgroup},
		func(ctx context.Context, kubeconfig string) error {
			command := exec.CommandContext(ctx, flags.Arg(0), flags.Args()[1:]...)
			command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
			command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
			command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
			return command.Run()
		})
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

// mounts hides from the machine what containerd and the kubelet write into
// places that cannot be told to them.
func mounts() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range []string{"/run", "/var/lib", "/var/log"} {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	return nil
}
