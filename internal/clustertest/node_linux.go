package clustertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// NodeConfig is a cluster of one machine whose pods really run.
type NodeConfig struct {
	// Programs is the folder that `make cluster-tools` fills.
	Programs string
	// Images are archives of images. One of them has PauseImage. There is no
	// registry, so nothing else can run.
	Images []string
	// Logs is a folder that gets the logs of the programs, also when they fail.
	Logs string
	// Cgroup is where the pods' cgroups are made, below each hierarchy's root.
	// It must be there.
	Cgroup string
}

// podRange are the addresses of pods. The machine has the first of them.
const podRange = "10.244.0.0/24"

// commandWithin bounds the programs that set something up and end.
const commandWithin = time.Minute

// node is the machine: programs beside those of its control plane.
type node struct {
	*controlPlane
	config NodeConfig
}

// RunNode starts the cluster, calls run with the path of an administrator's
// kubeconfig, and stops it. It takes the network as its own and makes mounts: the
// caller has given this process namespaces for both.
func RunNode(ctx context.Context, config NodeConfig, run func(ctx context.Context, kubeconfig string) error) error {
	if err := linkUp(ctx); err != nil {
		return err
	}
	plane, err := startControlPlane(config.Programs, pods()) //nolint:contextcheck // programs live until stop, not as long as ctx
	if err != nil {
		return err
	}
	n := &node{controlPlane: plane, config: config}
	defer n.stop()
	defer n.keepLogs()
	if err := n.start(ctx); err != nil {
		return err
	}
	return run(ctx, n.kubeconfig)
}

// pods reach the API server at the machine's address, which is that of the
// bridge: a kubelet takes none of the loopback device.
func pods() audience {
	return audience{address: nodeAddress, controllers: "*", flags: []string{"--bind-address=0.0.0.0", "--endpoint-reconciler-type=lease"}}
}

// linkUp makes the bridge of the pods. The default route through it gives the
// addresses of Services a way out of the machine; kube-proxy catches them there.
func linkUp(ctx context.Context) error {
	for _, line := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "link", "add", "cni0", "type", "bridge"},
		{"ip", "address", "add", nodeAddress + "/24", "dev", "cni0"},
		{"ip", "link", "set", "cni0", "up", "promisc", "on"},
		{"ip", "route", "add", "default", "dev", "cni0"},
	} {
		if err := command(ctx, line...); err != nil {
			return fmt.Errorf("set up the network: %w", err)
		}
	}
	for _, name := range []string{"net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"} {
		err := os.WriteFile(filepath.Join("/proc/sys", name), []byte("1"), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // without the module, bridges pass the filters as if it were 0
			return fmt.Errorf("set up the network: %w", err)
		}
	}
	return nil
}

func (n *node) start(ctx context.Context) error {
	programs, err := filepath.Abs(n.config.Programs)
	if err != nil {
		return fmt.Errorf("find the programs: %w", err)
	}
	if err := n.writeFiles(); err != nil {
		return err
	}
	if err := n.startContainerd(ctx); err != nil {
		return err
	}
	for _, line := range [][]string{
		{
			"kube-scheduler", "--kubeconfig=" + n.kubeconfig, "--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
			"--authentication-kubeconfig=" + n.kubeconfig, "--authorization-kubeconfig=" + n.kubeconfig,
		},
		{
			"kubelet", "--config=" + n.file(kubeletFile), "--kubeconfig=" + n.kubeconfig, "--root-dir=" + n.file("kubelet"),
			"--cert-dir=" + n.file("kubelet/pki"), "--hostname-override=" + nodeName, "--node-ip=" + nodeAddress,
		},
		{
			"kube-proxy", "--kubeconfig=" + n.kubeconfig, "--hostname-override=" + nodeName, "--proxy-mode=iptables",
			"--cluster-cidr=" + podRange, "--masquerade-all", "--healthz-bind-address=127.0.0.1", "--metrics-bind-address=127.0.0.1",
			// Limits of conntrack are those of the whole machine: they are left alone.
			"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
		},
		{"coredns", "-conf=" + n.file(coreFile)},
	} {
		if err := n.run(filepath.Join(programs, line[0]), line[1:]...); err != nil { //nolint:contextcheck // as above
			return err
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", n.kubeconfig)
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	return furnish(ctx, config, n.file("volumes"))
}

func (n *node) startContainerd(ctx context.Context) error {
	path, err := exec.LookPath("containerd")
	if err != nil {
		return fmt.Errorf("find containerd (make deps-cluster installs it): %w", err)
	}
	if err := n.run(path, "--config="+n.file(containerdFile)); err != nil { //nolint:contextcheck // as above
		return err
	}
	ctr := []string{"ctr", "--address=" + n.file(socketFile), "--namespace=k8s.io"}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := command(ctx, append(ctr, "version")...)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("containerd is not ready: %w\n%s", err, n.lastWords("containerd"))
		case <-time.After(lookEvery):
		}
	}
	for _, image := range n.config.Images {
		if err := command(ctx, append(ctr, "images", "import", image)...); err != nil {
			return fmt.Errorf("load an image: %w", err)
		}
	}
	return nil
}

func (n *node) file(name string) string { return filepath.Join(n.dir, name) }

// keepLogs copies the logs of all programs out of the folder that goes.
func (n *node) keepLogs() {
	logs, _ := filepath.Glob(n.file("*.log")) // the pattern is well-formed
	for _, from := range logs {
		text, err := os.ReadFile(from)
		if err == nil {
			_ = os.WriteFile(filepath.Join(n.config.Logs, filepath.Base(from)), text, 0o600) //nolint:gosec // they are for reading alone
		}
	}
}

// command runs a program to its end.
func command(ctx context.Context, line ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, line[0], line[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %w: %s", line, err, out)
	}
	return nil
}
