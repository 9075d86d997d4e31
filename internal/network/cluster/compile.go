package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipwayhq/slipway/internal/genesis"
	"github.com/slipwayhq/slipway/internal/network"
)

// Genesis is a whole genesis file, as every node gets it.
type Genesis struct {
	Text []byte
	Hash common.Hash
}

// account reads one account of the genesis.
func (c *Cluster) account(ctx context.Context, address common.Address) (genesis.Account, bool, error) {
	name := network.AllocObject(address)
	data, found, err := c.data(ctx, network.ConfigMap, name)
	if err != nil || !found {
		return genesis.Account{}, false, err
	}
	var account genesis.Account
	if err := json.Unmarshal([]byte(data[network.AllocKey]), &account); err != nil {
		return genesis.Account{}, false, fmt.Errorf("ConfigMap %s: %w", name, err)
	}
	return account, true, nil
}

// CompileGenesis waits for the sparse genesis in the ConfigMap of this name and
// puts its accounts in. An account that is missing is an error, and so is a
// hash other than the one the ConfigMap's annotation tells: nodes that start
// with different genesis blocks never become one network.
func (c *Cluster) CompileGenesis(ctx context.Context, configMap string, wait, poll time.Duration) (Genesis, error) {
	file, want, err := c.waitForGenesis(ctx, configMap, wait, poll)
	if err != nil {
		return Genesis{}, err
	}
	for _, address := range file.Missing() {
		account, found, err := c.account(ctx, address)
		switch {
		case err != nil:
			return Genesis{}, err
		case !found:
			return Genesis{}, fmt.Errorf("the genesis has the account %s, but there is no ConfigMap %s: run slipway bootstrap again with the same --allocations", address, network.AllocObject(address))
		}
		file.Alloc[address] = account
	}
	if left := file.Missing(); len(left) > 0 {
		return Genesis{}, fmt.Errorf("ConfigMap %s has an account without anything in it", network.AllocObject(left[0]))
	}
	hash, err := file.Hash()
	if err != nil {
		return Genesis{}, err
	}
	if want != "" && common.HexToHash(want) != hash {
		return Genesis{}, fmt.Errorf("the genesis hash is %s, but the network's is %s: an account or the ConfigMap %s was changed", hash, want, configMap)
	}
	text, err := file.JSON()
	return Genesis{Text: text, Hash: hash}, err
}

func (c *Cluster) waitForGenesis(ctx context.Context, name string, wait, poll time.Duration) (file genesis.File, hash string, err error) {
	err = c.waitForConfigMap(ctx, name, wait, poll, func(configMap *core.ConfigMap) (string, error) {
		hash = configMap.Annotations[network.HashAnnotation]
		file, err = genesis.Parse([]byte(configMap.Data[network.GenesisKey]))
		return "", err
	})
	return file, hash, err
}

// StaticNodes waits for the list of static nodes in the ConfigMap of this name, and
// until node is in it. The bootstrap lists a later node only when it has its key, from
// which moment its pod may run: a list without it has none of the other later nodes
// either. A list that the bootstrap did not make is taken as it is.
func (c *Cluster) StaticNodes(ctx context.Context, configMap, node string, wait, poll time.Duration) (text []byte, err error) {
	err = c.waitForConfigMap(ctx, configMap, wait, poll, func(found *core.ConfigMap) (string, error) {
		text = []byte(found.Data[network.StaticNodesKey])
		enodes, err := genesis.ParseStaticNodes(text)
		if err != nil {
			return "", err
		}
		isOurs := found.Labels[network.ManagedByLabel] == network.ManagedBy
		isIn := slices.ContainsFunc(enodes, func(enode string) bool { return strings.Contains(enode, "@"+node+".") })
		if isOurs && !isIn {
			return fmt.Sprintf("ConfigMap %s does not list %s", configMap, node), nil
		}
		return "", nil
	})
	return text, err
}

// waitForConfigMap looks until the ConfigMap is there and use gives no reason to wait on.
func (c *Cluster) waitForConfigMap(ctx context.Context, name string, wait, poll time.Duration, use func(*core.ConfigMap) (why string, err error)) error {
	deadline := time.Now().Add(wait)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	hint := fmt.Sprintf("has the bootstrap Job run? kubectl --namespace %s get jobs", c.namespace)
	var reason error // of the last look that was not cut short
	for {
		configMap, err := c.api.ConfigMaps(c.namespace).Get(ctx, name, meta.GetOptions{})
		switch {
		case err == nil:
			why, err := use(configMap)
			if err != nil {
				return fmt.Errorf("ConfigMap %s: %w", name, err)
			}
			if why == "" {
				return nil
			}
			reason = fmt.Errorf("%s: %s", why, hint)
		case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
			return c.explain("read ConfigMap "+name, err)
		case apierrors.IsNotFound(err):
			reason = fmt.Errorf("there is no ConfigMap %s in namespace %s: %s", name, c.namespace, hint)
		case reason == nil || time.Now().Before(deadline): // the context may end a moment later
			reason = c.explain("read ConfigMap "+name, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s: %w", wait, reason)
		case <-time.After(poll):
		}
	}
}
