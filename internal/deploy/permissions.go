package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorization "k8s.io/api/authorization/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// permission is what must be allowed in the namespace.
type permission struct{ group, resource string }

// verbsNeeded are those of everything that a release has; Helm looks, makes,
// changes and takes away.
func verbsNeeded() []string { return []string{"get", "create", "patch", "delete"} }

// permissionsOf are the permissions that objects need, and those that Helm's
// own notes and the waiting need.
func permissionsOf(objects []Object, resourceOf func(apiVersion, kind string) (group, resource string)) []permission {
	out := []permission{{"", "secrets"}, {"", "pods"}}
	for _, o := range objects {
		group, resource := resourceOf(o.APIVersion, o.Kind)
		if resource == "" {
			continue // an API that the cluster does not have: Helm says so
		}
		if one := (permission{group, resource}); !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	return out
}

// forbidden asks the API server what of the permissions we do not have, as
// "create deployments.apps".
func (c *Cluster) forbidden(ctx context.Context, needed []permission) ([]string, error) {
	var out []string
	for _, one := range needed {
		for _, verb := range verbsNeeded() {
			answer, err := c.api.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorization.SelfSubjectAccessReview{
				Spec: authorization.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorization.ResourceAttributes{
					Namespace: c.namespace, Verb: verb, Group: one.group, Resource: one.resource,
				}},
			}, meta.CreateOptions{})
			if err != nil {
				return nil, c.explain("ask what is allowed", err)
			}
			if !answer.Status.Allowed {
				out = append(out, verb+" "+strings.TrimSuffix(one.resource+"."+one.group, "."))
			}
		}
	}
	return out, nil
}

// checkPermissions refuses where the credentials do not reach.
func (c *Cluster) checkPermissions(ctx context.Context, objects []Object) error {
	lists, err := c.api.Discovery().ServerPreferredNamespacedResources()
	if lists == nil && err != nil {
		return c.explain("ask for the cluster's APIs", err)
	}
	resources := make(map[runtimeschema.GroupKind]string)
	for _, list := range lists {
		version, err := runtimeschema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, one := range list.APIResources {
			resources[version.WithKind(one.Kind).GroupKind()] = one.Name
		}
	}
	needed := permissionsOf(objects, func(apiVersion, kind string) (string, string) {
		version, err := runtimeschema.ParseGroupVersion(apiVersion)
		if err != nil {
			return "", ""
		}
		return version.Group, resources[version.WithKind(kind).GroupKind()]
	})
	missing, err := c.forbidden(ctx, needed)
	if err != nil || len(missing) == 0 {
		return err
	}
	return fmt.Errorf("%w: in namespace %s these credentials may not %s: ask an administrator for them, or use other credentials with --context; nothing was changed",
		ErrForbidden, c.namespace, strings.Join(missing, ", "))
}
