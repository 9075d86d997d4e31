package network

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"
)

// WriteScreen prints the network for a person. It has private keys only where
// withKeys says so.
func (m Material) WriteScreen(w io.Writer, withKeys bool) error {
	text, err := m.Genesis.JSON()
	if err != nil {
		return err
	}
	var b strings.Builder
	p := m.Spec.Params
	fmt.Fprintf(&b, "Network %d: %s, %s, %d validators, %d RPC nodes\n", p.ChainID, p.Consensus, p.Profile, len(m.Keys.Validators), len(m.Keys.RPCNodes))
	fmt.Fprintf(&b, "Genesis hash: %s\n\n", m.Hash)
	for _, node := range m.Nodes {
		fmt.Fprintf(&b, "%s\n  address %s\n  enode   %s\n", node.Name, node.Key.Address(), node.Enode)
		if withKeys {
			fmt.Fprintf(&b, "  key     %s\n", node.Key.Private().Reveal())
		}
	}
	fmt.Fprintf(&b, "%s\n  address %s\n", m.Spec.Names.FaucetPrefix, m.Keys.Faucet.Address())
	if withKeys {
		fmt.Fprintf(&b, "  key     %s\n", m.Keys.Faucet.Private().Reveal())
	} else {
		b.WriteString("\nThe private keys are not shown and not kept: --output folder keeps them, --show-keys prints them.\n")
	}
	fmt.Fprintf(&b, "\ngenesis.json:\n%s", text)
	_, err = io.WriteString(w, b.String())
	return err
}

// manifest is an object as kubectl reads it.
type manifest struct {
	APIVersion string            `json:"apiVersion"`
	Kind       Kind              `json:"kind"`
	Metadata   manifestMetadata  `json:"metadata"`
	Type       string            `json:"type,omitempty"`
	Immutable  bool              `json:"immutable,omitempty"`
	Data       map[string]string `json:"data"`
}

type manifestMetadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// WriteManifest writes the Kubernetes objects, private keys among them, as one
// List in JSON, which `kubectl create -f` reads.
func (m Material) WriteManifest(w io.Writer) error {
	objects, err := m.Objects()
	if err != nil {
		return err
	}
	items := make([]manifest, len(objects))
	for i, object := range objects {
		items[i] = manifest{
			APIVersion: "v1", Kind: object.Kind, Data: object.Data, Immutable: object.Immutable,
			Metadata: manifestMetadata{
				Name: object.Name, Namespace: m.Spec.Names.Namespace,
				Labels: Labels(nil), Annotations: object.Annotations,
			},
		}
		if object.Kind == Secret {
			items[i].Type, items[i].Data = "Opaque", encoded(object.Data)
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}

func encoded(data map[string]string) map[string]string {
	out := make(map[string]string, len(data))
	for key, value := range data {
		out[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	return out
}

// Labels are those of every object, with others that the operator wants.
func Labels(others map[string]string) map[string]string {
	out := maps.Clone(others)
	if out == nil {
		out = map[string]string{}
	}
	out[ManagedByLabel], out[ComponentLabel] = ManagedBy, Component
	return out
}
