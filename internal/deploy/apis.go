package deploy

import (
	"context"
	"errors"

	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// servedKind is a kind of object as a cluster serves it.
type servedKind struct {
	resource   runtimeschema.GroupVersionResource
	namespaced bool
}

// kinds are those that a cluster serves.
type kinds map[runtimeschema.GroupVersionKind]servedKind

// kindOf is that of an object; false means that the cluster does not have it.
func (k kinds) kindOf(o Object) (servedKind, bool) {
	version, err := runtimeschema.ParseGroupVersion(o.APIVersion)
	if err != nil {
		return servedKind{}, false
	}
	found, has := k[version.WithKind(o.Kind)]
	return found, has
}

// kinds asks the cluster. APIs that are somebody else's and do not answer now
// are left out: what needs them fails where it is applied.
func (c *Cluster) kinds(ctx context.Context) (kinds, error) {
	_, lists, err := c.api.Discovery().ServerGroupsAndResources()
	var partly *discovery.ErrGroupDiscoveryFailed
	if err != nil && !errors.As(err, &partly) {
		return nil, c.explain("ask for the cluster's APIs", err)
	}
	out := make(kinds)
	for _, list := range lists {
		version, err := runtimeschema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, one := range list.APIResources {
			if _, known := out[version.WithKind(one.Kind)]; !known { // what follows are parts such as pods/log
				out[version.WithKind(one.Kind)] = servedKind{version.WithResource(one.Name), one.Namespaced}
			}
		}
	}
	return out, ctx.Err()
}
