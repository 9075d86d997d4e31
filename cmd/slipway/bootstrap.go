package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/slipwayhq/slipway/internal/network"
	"github.com/slipwayhq/slipway/internal/network/cluster"
	"github.com/slipwayhq/slipway/internal/waitfor"
)

// clusterFlags say which cluster.
type clusterFlags struct {
	Kubeconfig string `help:"Default: KUBECONFIG, ~/.kube/config, or a pod's service account." placeholder:"FILE"`
	Context    string `help:"Context of the kubeconfig." placeholder:"NAME"`
	Namespace  string `short:"n" aliases:"static-node-namespace" help:"Default: that of the context or of the pod." placeholder:"NAME"`
}

func (f clusterFlags) connect() (*cluster.Cluster, error) {
	return cluster.Connect(cluster.Config{Kubeconfig: f.Kubeconfig, Context: f.Context, Namespace: f.Namespace})
}

type bootstrapCmd struct {
	clusterFlags
	nodeFlags
	specFlags
	nameFlags
	Labels      map[string]string `help:"Labels of every object that is made: NAME=VALUE;NAME=VALUE." placeholder:"LABELS"`
	SecretsOnly bool              `help:"Make the Secrets that charts ask for, and no network."`
	DryRun      bool              `help:"Ask the API server about everything and change nothing."`
	PrintRole   bool              `help:"Print the Roles that this command and its readers need, and do nothing else."`
	Secret      []string          `help:"With --print-role: a Secret that charts ask for. Repeatable." placeholder:"NAME"`
}

func (c *bootstrapCmd) run(ctx context.Context, stdout io.Writer) error {
	if c.PrintRole {
		namespace := c.Namespace
		if namespace == "" {
			namespace = network.DefaultNames().Namespace
		}
		return cluster.WriteRoles(stdout, c.names(namespace), c.Validators, c.RPCNodes, c.Secret)
	}
	target, err := c.connect()
	if err != nil {
		return err
	}
	if c.SecretsOnly {
		report, err := target.Secrets(ctx, cluster.Request{Labels: c.Labels, DryRun: c.DryRun})
		c.tell(stdout, target.Namespace(), report)
		return err
	}
	names := c.names(target.Namespace())
	spec, err := c.spec(names)
	if err != nil {
		return err
	}
	keys, err := c.given(names)
	if err != nil {
		return err
	}
	report, err := target.Bootstrap(ctx, cluster.Request{
		Spec: spec, Validators: c.Validators, RPCNodes: c.RPCNodes, Keys: keys, Labels: c.Labels, DryRun: c.DryRun,
	})
	c.tell(stdout, target.Namespace(), report)
	if errors.Is(err, cluster.ErrDrift) {
		return exitError{err, exitDiffers}
	}
	return err
}

func (c *bootstrapCmd) tell(w io.Writer, namespace string, report cluster.Report) {
	verb := "Made"
	if c.DryRun {
		verb = "Would make"
	}
	for _, object := range report.Made {
		fmt.Fprintf(w, "%s %s.\n", verb, object)
	}
	for _, note := range report.Notes {
		fmt.Fprintf(w, "Note: %s.\n", note)
	}
	if report.GenesisHash != ([32]byte{}) {
		fmt.Fprintf(w, "Namespace %s: %d objects made, %d kept, %d differ.\nGenesis hash: %s\n",
			namespace, len(report.Made), report.Kept, len(report.Drift), report.GenesisHash)
	}
}

type compileGenesisCmd struct {
	clusterFlags
	GenesisConfigMap string        `name:"genesis-configmap-name" default:"besu-genesis" help:"ConfigMap of the genesis file."`
	OutputPath       string        `required:"" help:"Where to write the genesis file." placeholder:"FILE"`
	StaticNodes      string        `name:"static-nodes-configmap-name" default:"besu-static-nodes" help:"ConfigMap of the static nodes."`
	StaticNodesPath  string        `help:"Where to write the static nodes too, when --node is among them." placeholder:"FILE"`
	Node             string        `help:"Name of the node in the static nodes: besu-node-validator-1." placeholder:"NAME"`
	Timeout          time.Duration `default:"120s" help:"How long to wait for each ConfigMap."`
	Poll             time.Duration `default:"2s" help:"Time between looks."`
}

func (c *compileGenesisCmd) run(ctx context.Context, stdout io.Writer) error {
	target, err := c.connect()
	if err != nil {
		return err
	}
	compiled, err := target.CompileGenesis(ctx, c.GenesisConfigMap, c.Timeout, c.Poll)
	if err != nil {
		return err
	}
	if err := makeFolder(filepath.Dir(c.OutputPath)); err != nil {
		return err
	}
	if err := network.ReplaceFile(c.OutputPath, compiled.Text); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s has the genesis %s.\n", c.OutputPath, compiled.Hash)
	if c.StaticNodesPath == "" {
		return nil
	}
	if c.Node == "" {
		return errors.New("--static-nodes-path needs --node: the list is whole when this node is in it")
	}
	static, err := target.StaticNodes(ctx, c.StaticNodes, c.Node, c.Timeout, c.Poll)
	if err != nil {
		return err
	}
	if err := makeFolder(filepath.Dir(c.StaticNodesPath)); err != nil {
		return err
	}
	return network.ReplaceFile(c.StaticNodesPath, static)
}

// makeFolder makes a folder that everybody may read: who reads it is another
// user than who writes it, and nothing in it is secret.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as above
		return fmt.Errorf("make the folder: %w", err)
	}
	return nil
}

type downloadABICmd struct {
	clusterFlags
	OutputDirectory string `required:"" help:"Where to write the ABI files." placeholder:"DIR"`
}

func (c *downloadABICmd) run(ctx context.Context, stdout io.Writer) error {
	target, err := c.connect()
	if err != nil {
		return err
	}
	abis, err := target.ABIs(ctx)
	if err != nil {
		return err
	}
	if err := makeFolder(c.OutputDirectory); err != nil {
		return err
	}
	for _, abi := range abis {
		if err := network.ReplaceFile(filepath.Join(c.OutputDirectory, abi.File), []byte(abi.Content)); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "%s has %d ABI files.\n", c.OutputDirectory, len(abis))
	return nil
}

type waitCmd struct {
	Target   []string      `arg:"" help:"host:port, tcp://, http(s)://, postgres://, redis(s)://, jsonrpc+http(s)://, or env:NAME and file:PATH where one of these is."`
	Timeout  time.Duration `short:"t" default:"120s" help:"How long to wait for all; then the exit code is 124."`
	Interval time.Duration `default:"1s" help:"Time between looks."`
	ChainID  uint64        `name:"chain-id" help:"Chain id that nodes must have. Default: any." placeholder:"ID"`
}

func (c *waitCmd) run(ctx context.Context, stdout io.Writer) error {
	targets := make([]waitfor.Target, len(c.Target))
	for i, text := range c.Target {
		target, err := waitfor.Parse(text, waitfor.Options{ChainID: c.ChainID})
		if err != nil {
			return err
		}
		targets[i] = target
	}
	return waitfor.Wait(ctx, targets, c.Timeout, c.Interval, lines(stdout))
}
