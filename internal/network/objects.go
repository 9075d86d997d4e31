package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/genesis"
)

// Kind is a kind of Kubernetes object.
type Kind string

// The kinds.
const (
	ConfigMap Kind = "ConfigMap"
	Secret    Kind = "Secret"
)

// Annotations and labels of the objects. The artifact's annotation is the one
// that readers of ABIs of other tools look for too.
const (
	ArtifactAnnotation = "settlemint.com/artifact"
	ArtifactABI        = "abi"
	ArtifactAlloc      = "alloc"
	HashAnnotation     = "slipway.io/genesis-hash"
	ManagedByLabel     = "app.kubernetes.io/managed-by"
	ManagedBy          = "slipway"
	ComponentLabel     = "app.kubernetes.io/component"
	Component          = "network"
)

// Keys of the objects' data.
const (
	GenesisKey     = "genesis.json"
	StaticNodesKey = "static-nodes.json"
	AllocKey       = "alloc.json"
	PrivateKeyKey  = "privateKey"
	SubgraphKey    = "SUBGRAPH"
)

// Object is a Kubernetes object without a library's types. Data of a Secret is
// in the clear.
type Object struct {
	Kind        Kind
	Name        string
	Data        map[string]string
	Annotations map[string]string
	Immutable   bool
}

// AllocObject is the name of the ConfigMap with an account of the genesis file.
func AllocObject(address common.Address) string {
	return "alloc-" + strings.ToLower(address.Hex()[2:])
}

// PrivateKeyObject is the name of the Secret with a node's or the faucet's key.
func PrivateKeyObject(owner string) string { return owner + "-private-key" }

func abiObject(abi ABI) string { return "abi-" + strings.ToLower(abi.File) }

// Objects are the Kubernetes objects in the order in which they are to be made.
// The genesis ConfigMap is the last: who sees it can rely on all others.
func (m Material) Objects() ([]Object, error) {
	var out []Object
	for _, node := range m.Nodes {
		out = append(out, NodeObjects(node)...)
	}
	out = append(out, faucetObjects(m.Spec.Names.FaucetPrefix, m.Keys.Faucet)...)
	allocs, err := m.allocObjects()
	if err != nil {
		return nil, err
	}
	out = append(out, allocs...)
	for _, abi := range m.Spec.ABIs {
		out = append(out, Object{
			Kind: ConfigMap, Name: abiObject(abi), Data: map[string]string{abi.File: abi.Content},
			Annotations: map[string]string{ArtifactAnnotation: ArtifactABI}, Immutable: true,
		})
	}
	if m.Spec.Subgraph != "" {
		id := subgraphPrefix + strings.TrimPrefix(m.Spec.Subgraph, subgraphPrefix)
		out = append(out, Object{Kind: ConfigMap, Name: m.Spec.Names.SubgraphConfigMap, Data: map[string]string{SubgraphKey: id}, Immutable: true})
	}
	static, err := StaticNodesObject(m.Spec.Names, m.Enodes())
	if err != nil {
		return nil, err
	}
	last, err := m.genesisObject()
	if err != nil {
		return nil, err
	}
	return append(out, static, last), nil
}

// PublicObjects are the names of the ConfigMaps of a node.
func PublicObjects(node string) []string {
	return []string{node + "-node-address", node + "-enode", node + "-pubkey"}
}

// NodeObjects are the objects of one node. The Secret with its key is first:
// the others can be derived from it.
func NodeObjects(node Node) []Object {
	public := PublicObjects(node.Name)
	return []Object{
		{Kind: Secret, Name: PrivateKeyObject(node.Name), Data: map[string]string{PrivateKeyKey: node.Key.Private().Reveal()}, Immutable: true},
		{Kind: ConfigMap, Name: public[0], Data: map[string]string{"nodeAddress": node.Key.Address().Hex()}, Immutable: true},
		{Kind: ConfigMap, Name: public[1], Data: map[string]string{"enode": node.Key.ID()}, Immutable: true},
		{Kind: ConfigMap, Name: public[2], Data: map[string]string{"publicKey": node.Key.PublicKey()}, Immutable: true},
	}
}

func faucetObjects(prefix string, key genesis.NodeKey) []Object {
	return []Object{
		{Kind: Secret, Name: PrivateKeyObject(prefix), Data: map[string]string{PrivateKeyKey: key.Private().Reveal()}, Immutable: true},
		{Kind: ConfigMap, Name: prefix + "-address", Data: map[string]string{"address": key.Address().Hex()}, Immutable: true},
		{Kind: ConfigMap, Name: prefix + "-pubkey", Data: map[string]string{"publicKey": key.PublicKey()}, Immutable: true},
	}
}

// allocObjects have one account each: a ConfigMap holds at most 1 MiB, and
// contracts that are on the chain from the start need more in all.
func (m Material) allocObjects() ([]Object, error) {
	faucet := m.Keys.Faucet.Address()
	var out []Object
	for _, address := range slices.SortedFunc(maps.Keys(m.Genesis.Alloc), func(a, b common.Address) int { return bytes.Compare(a[:], b[:]) }) {
		if address == faucet {
			continue
		}
		text, err := json.Marshal(m.Genesis.Alloc[address])
		if err != nil {
			return nil, fmt.Errorf("write the account %s: %w", address, err)
		}
		out = append(out, Object{
			Kind: ConfigMap, Name: AllocObject(address), Data: map[string]string{AllocKey: string(text)},
			Annotations: map[string]string{ArtifactAnnotation: ArtifactAlloc}, Immutable: true,
		})
	}
	return out, nil
}

// StaticNodesObject is the only object that may change: nodes are added later.
func StaticNodesObject(names Names, enodes []string) (Object, error) {
	text, err := genesis.StaticNodes(enodes)
	if err != nil {
		return Object{}, err
	}
	return Object{Kind: ConfigMap, Name: names.StaticNodesConfigMap, Data: map[string]string{StaticNodesKey: string(text)}}, nil
}

func (m Material) genesisObject() (Object, error) {
	text, err := m.Genesis.Sparse(m.Keys.Faucet.Address()).JSON()
	if err != nil {
		return Object{}, err
	}
	return Object{
		Kind: ConfigMap, Name: m.Spec.Names.GenesisConfigMap, Data: map[string]string{GenesisKey: string(text)},
		Annotations: map[string]string{HashAnnotation: m.Hash.Hex()}, Immutable: true,
	}, nil
}
