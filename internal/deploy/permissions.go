package deploy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authorization "k8s.io/api/authorization/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// permission is something that must be allowed. No namespace is the whole
// cluster.
type permission struct{ namespace, verb, group, resource string }

// String is as in "create deployments.apps".
func (p permission) String() string {
	return p.verb + " " + strings.TrimSuffix(p.resource+"."+p.group, ".")
}

// ownPermissions are what an operation needs whatever the objects are: Helm's
// notes about the release, the chain's genesis, and to see and take pods.
func ownPermissions(namespace string) []permission {
	var out []permission
	for _, one := range []struct{ group, resource, verbs string }{
		{"", "secrets", "get list create update delete"},
		{"", "configmaps", "get list"},
		{"", "pods", "get list delete"},
		{"", "persistentvolumeclaims", "list"},
		{"apps", "deployments", "list"},
		{"apps", "statefulsets", "list"},
		{"apps", "daemonsets", "list"},
		{"batch", "jobs", "list"},
	} {
		for _, verb := range strings.Fields(one.verbs) {
			out = append(out, permission{namespace, verb, one.group, one.resource})
		}
	}
	return out
}

// permissionsOf are all that an operation with these objects needs, each once:
// Helm looks, makes, changes and takes away.
func permissionsOf(namespace string, objects []Object, served kinds) []permission {
	needed := make(map[permission]bool)
	for _, one := range ownPermissions(namespace) {
		needed[one] = true
	}
	for _, o := range objects {
		kind, has := served.kindOf(o)
		if !has {
			continue // Helm says so
		}
		where := ""
		if kind.namespaced {
			where = cmp.Or(o.Namespace, namespace)
		}
		for _, verb := range []string{"get", "create", "patch", "delete"} {
			needed[permission{where, verb, kind.resource.Group, kind.resource.Resource}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(needed), func(a, b permission) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.group, b.group), cmp.Compare(a.resource, b.resource), cmp.Compare(a.verb, b.verb))
	})
}

// atOnce bounds the requests that run at the same time.
const atOnce = 8

// forbidden asks the API server what of the permissions we do not have.
func (c *Cluster) forbidden(ctx context.Context, needed []permission) ([]permission, error) {
	denied := make([]bool, len(needed))
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(atOnce)
	for i, one := range needed {
		asking.Go(func() error {
			answer, err := c.api.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorization.SelfSubjectAccessReview{
				Spec: authorization.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorization.ResourceAttributes{
					Namespace: one.namespace, Verb: one.verb, Group: one.group, Resource: one.resource,
				}},
			}, meta.CreateOptions{})
			if err != nil {
				return c.explain("ask what is allowed", err)
			}
			denied[i] = !answer.Status.Allowed
			return nil
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	var out []permission
	for i, one := range needed {
		if denied[i] {
			out = append(out, one)
		}
	}
	return out, nil
}

// checkPermissions refuses where the credentials do not reach.
func (c *Cluster) checkPermissions(ctx context.Context, objects []Object, served kinds) error {
	missing, err := c.forbidden(ctx, permissionsOf(c.namespace, objects, served))
	if err != nil || len(missing) == 0 {
		return err
	}
	return fmt.Errorf("%w: these credentials may not %s: ask an administrator for it, or use other credentials with --context; nothing was changed",
		ErrForbidden, listed(missing))
}

// listed names permissions by where they are missing.
func listed(missing []permission) string {
	var places []string
	verbs := make(map[string][]string)
	for _, one := range missing {
		place := "in namespace " + one.namespace
		if one.namespace == "" {
			place = "in the whole cluster"
		}
		if len(verbs[place]) == 0 {
			places = append(places, place)
		}
		verbs[place] = append(verbs[place], one.String())
	}
	for i, place := range places {
		places[i] = place + " " + strings.Join(verbs[place], ", ")
	}
	return strings.Join(places, "; and ")
}
