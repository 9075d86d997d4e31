package network

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/slipwayhq/slipway/internal/genesis"
)

// Names are the names under which charts and programs look for the material.
type Names struct {
	Namespace            string `json:"namespace"`
	Domain               string `json:"domain"`
	GenesisConfigMap     string `json:"genesisConfigMap"`
	StaticNodesConfigMap string `json:"staticNodesConfigMap"`
	SubgraphConfigMap    string `json:"subgraphConfigMap"`
	FaucetPrefix         string `json:"faucetPrefix"`
	ValidatorPrefix      string `json:"validatorPrefix"`
	ValidatorService     string `json:"validatorService"`
	RPCPrefix            string `json:"rpcPrefix"`
	RPCService           string `json:"rpcService"`
	P2PPort              uint16 `json:"p2pPort"`
	DiscoveryPort        uint16 `json:"discoveryPort"`
}

// DefaultNames are those that the charts use.
func DefaultNames() Names {
	return Names{
		Namespace: "default", Domain: "svc.cluster.local",
		GenesisConfigMap: "besu-genesis", StaticNodesConfigMap: "besu-static-nodes", SubgraphConfigMap: "besu-subgraph",
		FaucetPrefix: "besu-faucet", ValidatorPrefix: "besu-node-validator", ValidatorService: "besu-node",
		RPCPrefix: "besu-node-rpc", RPCService: "besu-node-rpc", P2PPort: 30303, DiscoveryPort: 30303,
	}
}

// label is a DNS label, which a Service's and a pod's name must be.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// subdomain is what other names of Kubernetes objects must be.
var subdomain = regexp.MustCompile(`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`)

// maxPrefix leaves room for a number and "-private-key" in a label of 63.
const maxPrefix = 63 - len("-000-private-key")

func (n Names) check() error {
	for name, value := range map[string]string{
		"namespace": n.Namespace, "faucet prefix": n.FaucetPrefix, "validators' prefix": n.ValidatorPrefix,
		"validators' service": n.ValidatorService, "RPC nodes' prefix": n.RPCPrefix, "RPC nodes' service": n.RPCService,
	} {
		if value == "" && strings.HasSuffix(name, "service") {
			continue // each node has a Service of its own
		}
		if len(value) > maxPrefix || !label.MatchString(value) {
			return fmt.Errorf("%s %q is not a name of Kubernetes: up to %d of a-z, 0-9 and -, not - at an end", name, value, maxPrefix)
		}
	}
	for name, value := range map[string]string{
		"genesis ConfigMap": n.GenesisConfigMap, "static nodes ConfigMap": n.StaticNodesConfigMap,
		"subgraph ConfigMap": n.SubgraphConfigMap, "domain": n.Domain,
	} {
		if !subdomain.MatchString(value) {
			return fmt.Errorf("%s %q is not a name of Kubernetes", name, value)
		}
	}
	switch {
	case n.ValidatorPrefix == n.RPCPrefix:
		return errors.New("validators and RPC nodes have the same prefix")
	case n.P2PPort == 0:
		return errors.New("the P2P port must not be 0")
	case n.DiscoveryPort == 0:
		return errors.New("the discovery port must not be 0: for Besu that means that the node does no discovery")
	}
	return nil
}

// Role is what a node is for.
type Role string

// The roles.
const (
	Validator Role = "validator"
	RPC       Role = "rpc"
)

// Node is the name of a node: that of its pod, and the beginning of the names
// of its objects.
func (n Names) Node(role Role, ordinal int) string {
	if role == RPC {
		return fmt.Sprintf("%s-%d", n.RPCPrefix, ordinal)
	}
	return fmt.Sprintf("%s-%d", n.ValidatorPrefix, ordinal)
}

// Enode is the URL under which the node's peers find it: a name of the cluster
// that stays when the pod's address does not. Without a Service for all nodes
// of a role it is that of the node's own.
func (n Names) Enode(role Role, ordinal int, key genesis.NodeKey) string {
	service := n.ValidatorService
	if role == RPC {
		service = n.RPCService
	}
	parts := []string{n.Node(role, ordinal), service, n.Namespace, n.Domain}
	if service == "" {
		parts = []string{n.Node(role, ordinal), n.Namespace, n.Domain}
	}
	return genesis.Enode(key.ID(), strings.Join(parts, "."), n.P2PPort, n.DiscoveryPort)
}
