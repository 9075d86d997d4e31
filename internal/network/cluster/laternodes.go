package cluster

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/slipwayhq/slipway/internal/genesis"
	"github.com/slipwayhq/slipway/internal/network"
)

// laterNodes are the nodes that are not in the record: those that are there,
// and those that are wanted. The Secret with a node's key is its record.
func (r *run) laterNodes(ctx context.Context, material network.Material) ([]network.Node, error) {
	var out []network.Node
	for _, kind := range []struct {
		role            network.Role
		recorded, asked int
	}{
		{network.Validator, len(material.Keys.Validators), r.request.Validators},
		{network.RPC, len(material.Keys.RPCNodes), r.request.RPCNodes},
	} {
		for ordinal := kind.recorded; ; ordinal++ {
			node, found, err := r.laterNode(ctx, material.Spec.Names, kind.role, ordinal, ordinal < kind.asked)
			if err != nil {
				return nil, err
			}
			if !found {
				break
			}
			out = append(out, node)
		}
		if kind.asked < kind.recorded {
			r.report.Notes = append(r.report.Notes, fmt.Sprintf("the network has the keys of %d %s nodes, more than the %d asked for; none was removed", kind.recorded, kind.role, kind.asked))
		}
	}
	return out, nil
}

func (r *run) laterNode(ctx context.Context, names network.Names, role network.Role, ordinal int, wanted bool) (network.Node, bool, error) {
	name := network.PrivateKeyObject(names.Node(role, ordinal))
	data, found, err := r.data(ctx, network.Secret, name)
	if !wanted && apierrors.IsForbidden(err) {
		return network.Node{}, false, nil // the Role names only what is asked for
	}
	if err != nil || (!found && !wanted) {
		return network.Node{}, false, err
	}
	if !found {
		if data, err = r.drawKey(ctx, names, role, ordinal); err != nil {
			return network.Node{}, false, err
		}
	}
	key, err := genesis.ParseNodeKey(data[network.PrivateKeyKey])
	if err != nil {
		return network.Node{}, false, fmt.Errorf("secret %s: %w", name, err)
	}
	node := network.NewNode(names, role, ordinal, key)
	for _, object := range network.NodeObjects(node)[1:] {
		if err := r.ensure(ctx, object); err != nil {
			return network.Node{}, false, err
		}
	}
	return node, true, nil
}

// drawKey makes the Secret with the key of a later node and returns what is in it, also
// where another run was faster.
func (r *run) drawKey(ctx context.Context, names network.Names, role network.Role, ordinal int) (map[string]string, error) {
	secret := network.PrivateKeyObject(names.Node(role, ordinal))
	if err := r.refuseLost(ctx, names, role, ordinal, secret); err != nil {
		return nil, err
	}
	key, err := r.keyOf(role, ordinal)
	if err != nil {
		return nil, err
	}
	node := network.NewNode(names, role, ordinal, key)
	object := network.NodeObjects(node)[0]
	made, err := r.create(ctx, object, r.request.Labels, r.request.DryRun)
	if err != nil {
		return nil, err
	}
	if !made {
		data, _, err := r.data(ctx, network.Secret, secret)
		return data, err
	}
	r.report.Made = append(r.report.Made, "Secret "+secret)
	if role == network.Validator {
		r.report.Notes = append(r.report.Notes, fmt.Sprintf("%s (%s) is not in the genesis: when it runs, make it a validator by `slipway network validator add %s`", node.Name, node.Key.Address(), node.Name))
	}
	return object.Data, nil
}

// refuseLost refuses a new key for a node that had one: what is public of it is still
// there. Nobody but its Secret knows the key of a later node, and a validator that was
// voted in counts in the quorum by the old one.
func (r *run) refuseLost(ctx context.Context, names network.Names, role network.Role, ordinal int, secret string) error {
	public := network.PublicObjects(names.Node(role, ordinal))
	for _, name := range public {
		_, found, err := r.data(ctx, network.ConfigMap, name)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		// Another run may have made the Secret and this since we looked.
		if _, made, err := r.data(ctx, network.Secret, secret); err != nil || made {
			return err
		}
		return fmt.Errorf("secret %s is lost: the node had a key, since ConfigMap %s is there: put the Secret back from a backup; for a new key vote the old address out if it is a validator, and delete the ConfigMaps %s", secret, name, strings.Join(public, ", "))
	}
	return nil
}

// keyOf is the given key of a later node, or a new one.
func (r *run) keyOf(role network.Role, ordinal int) (genesis.NodeKey, error) {
	if given := r.request.Keys; given != nil {
		keys := given.Validators
		if role == network.RPC {
			keys = given.RPCNodes
		}
		if ordinal < len(keys) {
			return keys[ordinal], nil
		}
	}
	return genesis.NewNodeKey()
}
