package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipwayhq/slipway/internal/network/validators"
	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/secret"
)

// A vote is taken by one validator at its own JSON-RPC, to which no Service leads and
// no NetworkPolicy lets anybody. So they are asked through the API server.

// AtValidators lets use ask all validators of a release that can be reached. say
// hears of the others.
func (c *Cluster) AtValidators(ctx context.Context, release string, say func(line string), use func(nodes []validators.Node) error) error {
	pods, err := c.pods(ctx, release)
	if err != nil {
		return err
	}
	var names []string
	for _, pod := range pods {
		if pod.Labels[nodeLabel] != "" && pod.Status.Phase == core.PodRunning && pod.DeletionTimestamp == nil {
			names = append(names, pod.Name)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("release %s in namespace %s has no validator that runs: name another with --release and --namespace", release, c.namespace)
	}
	slices.Sort(names)
	return c.forwardAll(ctx, names, nil, say, use)
}

// forwardAll forwards a port of one pod after the other, and calls use when all are.
func (c *Cluster) forwardAll(ctx context.Context, pods []string, reached []validators.Node, say func(string), use func([]validators.Node) error) error {
	if len(pods) == 0 {
		return use(reached)
	}
	isReached := false
	err := c.forward(ctx, pods[0], besuPort, func(url string) error {
		isReached = true
		client, err := nodeclient.New(nodeclient.Config{URL: secret.New(url), Timeout: askWithin})
		if err != nil {
			return err
		}
		defer client.Close()
		return c.forwardAll(ctx, pods[1:], append(slices.Clone(reached), validators.Node{URL: pods[0], Client: client}), say, use)
	})
	if err != nil && !isReached && ctx.Err() == nil {
		say(fmt.Sprintf("%s cannot be reached: %s", pods[0], err))
		return c.forwardAll(ctx, pods[1:], reached, say, use)
	}
	return err
}

// errNoAddress says that the cluster was asked, and has none.
var errNoAddress = errors.New("the address of the node is not known")

// NodeAddress is the address of a node of the release, such as besu-node-validator-1.
func (c *Cluster) NodeAddress(ctx context.Context, node string) (common.Address, error) {
	name := node + "-node-address"
	configMap, err := c.api.CoreV1().ConfigMaps(c.namespace).Get(ctx, name, meta.GetOptions{})
	if apierrors.IsNotFound(err) {
		return common.Address{}, fmt.Errorf("%w: there is no node %s in namespace %s (no ConfigMap %s): give its name, such as %s-1, or its address", errNoAddress, node, c.namespace, name, validatorName)
	}
	if err != nil {
		return common.Address{}, c.explain("read ConfigMap "+name, err)
	}
	address := strings.TrimSpace(configMap.Data["nodeAddress"])
	if !common.IsHexAddress(address) {
		return common.Address{}, fmt.Errorf("%w: ConfigMap %s has no address", errNoAddress, name)
	}
	return common.HexToAddress(address), nil
}

// addValidator is the command that makes a node of a release a validator.
func addValidator(release, namespace, node string) string {
	return fmt.Sprintf("slipway network validator add %s --release %s --namespace %s", node, release, namespace)
}

// votesNote tells of validators that are new to the release. They are none before
// they are voted in.
func (s situation) votesNote(release, namespace string) string {
	if s.installed == nil || s.installed.Validators == 0 || s.wanted.Validators <= s.installed.Validators {
		return ""
	}
	first := fmt.Sprintf("%s-%d", validatorName, s.installed.Validators)
	return fmt.Sprintf("the chain has the validators that it has, and validators that are new only follow it until they are voted in, one after the other: %s",
		addValidator(release, namespace, first))
}
