package cluster

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipwayhq/slipway/internal/genesis"
	"github.com/slipwayhq/slipway/internal/network"
)

// maxConflicts bounds how often somebody else may change the static nodes
// between our look and our write.
const maxConflicts = 10

// ensureStaticNodes makes the list of static nodes, or adds what is missing.
// It takes nothing away: what else is in it was put there on purpose.
func (r *run) ensureStaticNodes(ctx context.Context, material network.Material, later []network.Node) error {
	enodes := material.Enodes()
	for _, node := range later {
		enodes = append(enodes, node.Enode)
	}
	object, err := network.StaticNodesObject(material.Spec.Names, enodes)
	if err != nil {
		return err
	}
	_, found, err := r.data(ctx, object.Kind, object.Name)
	if err != nil {
		return err
	}
	if !found {
		made, err := r.create(ctx, object, r.request.Labels, r.request.DryRun)
		if err != nil {
			return err
		}
		if made {
			r.report.Made = append(r.report.Made, fmt.Sprintf("%s %s", object.Kind, object.Name))
			return nil
		}
	}
	return r.addStaticNodes(ctx, object.Name, enodes)
}

func (r *run) addStaticNodes(ctx context.Context, name string, enodes []string) error {
	for range maxConflicts {
		done, err := r.addStaticNodesOnce(ctx, name, enodes)
		if done || err != nil {
			return err
		}
	}
	return fmt.Errorf("ConfigMap %s changes all the time: is somebody else writing it? run this again", name)
}

func (r *run) addStaticNodesOnce(ctx context.Context, name string, enodes []string) (done bool, err error) {
	api := r.api.ConfigMaps(r.namespace)
	configMap, err := api.Get(ctx, name, meta.GetOptions{})
	if err != nil {
		return false, r.explain("read ConfigMap "+name, err)
	}
	is, err := genesis.ParseStaticNodes([]byte(configMap.Data[network.StaticNodesKey]))
	if err != nil {
		return false, fmt.Errorf("ConfigMap %s: %w", name, err)
	}
	all := slices.Clone(is)
	for _, enode := range enodes {
		if !slices.Contains(all, enode) {
			all = append(all, enode)
		}
	}
	if len(all) == len(is) {
		r.report.Kept++
		return true, nil
	}
	text, err := genesis.StaticNodes(all)
	if err != nil {
		return false, err
	}
	configMap.Data[network.StaticNodesKey] = string(text)
	options := meta.UpdateOptions{FieldManager: network.ManagedBy}
	if r.request.DryRun {
		options.DryRun = []string{meta.DryRunAll}
	}
	_, err = api.Update(ctx, configMap, options)
	if apierrors.IsConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, r.explain("add to ConfigMap "+name, err)
	}
	r.report.Notes = append(r.report.Notes, fmt.Sprintf("ConfigMap %s: %d static nodes were added", name, len(all)-len(is)))
	return true, nil
}
