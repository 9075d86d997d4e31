package cluster

import (
	"encoding/json"
	"io"

	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipwayhq/slipway/internal/network"
)

// BootstrapRole is the least that Bootstrap needs. Secrets are read by name
// only, and none is changed. It cannot name what is created: Kubernetes does
// not check names of objects that are not there yet.
// requested are the Secrets that charts ask for.
func BootstrapRole(name string, names network.Names, validators, rpcNodes int, requested ...string) rbac.Role {
	secrets := []string{recordName, network.PrivateKeyObject(names.FaucetPrefix)}
	// One more than asked for: the run looks whether there are later ones.
	for ordinal := range validators + 1 {
		secrets = append(secrets, network.PrivateKeyObject(names.Node(network.Validator, ordinal)))
	}
	for ordinal := range rpcNodes + 1 {
		secrets = append(secrets, network.PrivateKeyObject(names.Node(network.RPC, ordinal)))
	}
	secrets = append(secrets, requested...)
	return rbac.Role{
		TypeMeta:   meta.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"},
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: names.Namespace, Labels: network.Labels(nil)},
		Rules: []rbac.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "create"}},
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{names.StaticNodesConfigMap}, Verbs: []string{"update"}},
			{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}},
			{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: secrets, Verbs: []string{"get"}},
		},
	}
}

// SecretsRole is the least that Secrets needs.
func SecretsRole(name, namespace string, requested ...string) rbac.Role {
	return rbac.Role{
		TypeMeta:   meta.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"},
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: namespace, Labels: network.Labels(nil)},
		Rules: []rbac.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}},
			{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}},
			{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: requested, Verbs: []string{"get"}},
		},
	}
}

// Names of the Roles that WriteRoles writes.
const (
	bootstrapRole = "slipway-bootstrap"
	readerRole    = "slipway-network-reader"
)

// WriteRoles writes both Roles in JSON, which `kubectl apply -f` reads.
func WriteRoles(w io.Writer, names network.Names, validators, rpcNodes int, requested []string) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(map[string]any{"apiVersion": "v1", "kind": "List", "items": []rbac.Role{
		BootstrapRole(bootstrapRole, names, validators, rpcNodes, requested...), ReaderRole(readerRole, names.Namespace),
	}})
}

// ReaderRole is what CompileGenesis and ABIs need: no Secret at all.
func ReaderRole(name, namespace string) rbac.Role {
	return rbac.Role{
		TypeMeta:   meta.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"},
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: namespace, Labels: network.Labels(nil)},
		Rules:      []rbac.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list"}}},
	}
}
