package cluster

import (
	"context"
	"fmt"
	"maps"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipwayhq/slipway/internal/network"
)

// data reads an object's data; found is false where there is none.
func (c *Cluster) data(ctx context.Context, kind network.Kind, name string) (data map[string]string, found bool, err error) {
	if kind == network.Secret {
		var secret *core.Secret
		secret, err = c.api.Secrets(c.namespace).Get(ctx, name, meta.GetOptions{})
		if err == nil {
			data = make(map[string]string, len(secret.Data))
			for key, value := range secret.Data {
				data[key] = string(value)
			}
		}
	} else {
		var configMap *core.ConfigMap
		configMap, err = c.api.ConfigMaps(c.namespace).Get(ctx, name, meta.GetOptions{})
		if err == nil {
			data = configMap.Data
		}
	}
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	return data, err == nil, c.explain(fmt.Sprintf("read %s %s", kind, name), err)
}

// create makes an object; made is false where one of this name is there.
func (c *Cluster) create(ctx context.Context, object network.Object, labels map[string]string, dryRun bool) (made bool, err error) {
	options := meta.CreateOptions{FieldManager: network.ManagedBy}
	if dryRun {
		options.DryRun = []string{meta.DryRunAll}
	}
	about := meta.ObjectMeta{
		Name: object.Name, Namespace: c.namespace, Labels: network.Labels(labels), Annotations: maps.Clone(object.Annotations),
	}
	var immutable *bool
	if object.Immutable {
		immutable = new(bool)
		*immutable = true
	}
	if object.Kind == network.Secret {
		_, err = c.api.Secrets(c.namespace).Create(ctx, &core.Secret{
			ObjectMeta: about, Type: core.SecretTypeOpaque, StringData: object.Data, Immutable: immutable,
		}, options)
	} else {
		_, err = c.api.ConfigMaps(c.namespace).Create(ctx, &core.ConfigMap{ObjectMeta: about, Data: object.Data, Immutable: immutable}, options)
	}
	if apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	return err == nil, c.explain(fmt.Sprintf("create %s %s", object.Kind, object.Name), err)
}
