package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// errNoNamespace says that objects could not be judged where they will be.
var errNoNamespace = errors.New("there is no such namespace")

// checkObjects has the API server judge every object that is new or another
// one than installed, without making any: unknown fields, values out of range,
// names that are too long, Roles with more rights than the credentials have.
func (c *Cluster) checkObjects(ctx context.Context, wanted, installed []Object, served kinds) (Refusals, error) {
	client, err := dynamic.NewForConfig(c.rest)
	if err != nil {
		return nil, fmt.Errorf("configure the connection to the cluster: %w", err)
	}
	was := make(map[string]string)
	for _, o := range installed {
		was[o.key()] = o.Text
	}
	found := make([]*Refusal, len(wanted))
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(atOnce)
	for i, o := range wanted {
		before, there := was[o.key()]
		kind, has := served.kindOf(o)
		if !has || (there && before == o.Text) {
			continue
		}
		asking.Go(func() error {
			err := c.tryToMake(ctx, client, kind, o)
			switch {
			case isWithoutNamespace(err, c.namespace):
				return errNoNamespace
			case err == nil || isOtherwiseFine(err, o, there):
				return nil
			case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) || apierrors.IsNotFound(err):
				found[i] = &Refusal{
					"object", fmt.Sprintf("the API server refuses %s %s (%s): %v", o.Kind, o.Name, o.Source, err),
					"change the value it comes from; `slipway render` shows the object",
				}
				return nil
			default:
				return c.explain("have "+o.Kind+" "+o.Name+" checked", err)
			}
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	var out Refusals
	for _, one := range slices.DeleteFunc(found, func(r *Refusal) bool { return r == nil }) {
		out = append(out, *one)
	}
	return out, nil
}

// key tells objects of a release apart.
func (o Object) key() string { return o.APIVersion + " " + o.Kind + " " + o.Namespace + " " + o.Name }

// tryToMake asks for an object, in earnest in all but the end.
func (c *Cluster) tryToMake(ctx context.Context, client dynamic.Interface, kind servedKind, o Object) error {
	var object unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(o.Text), &object.Object); err != nil {
		return fmt.Errorf("%s: %w", o.Source, err)
	}
	trial := meta.CreateOptions{DryRun: []string{meta.DryRunAll}, FieldManager: fieldManager, FieldValidation: meta.FieldValidationStrict}
	var err error
	if kind.namespaced {
		_, err = client.Resource(kind.resource).Namespace(cmp.Or(o.Namespace, c.namespace)).Create(ctx, &object, trial)
	} else {
		_, err = client.Resource(kind.resource).Create(ctx, &object, trial)
	}
	return err
}

// isOtherwiseFine says whether only the trial itself was refused. An object that
// is there is found to be there after all else, and counts twice towards a
// quota; a binding's Role, whose rights were looked at, is not there yet; and who
// was not made for trials does not judge one.
func isOtherwiseFine(err error, o Object, there bool) bool {
	return apierrors.IsAlreadyExists(err) ||
		there && strings.Contains(err.Error(), "exceeded quota") ||
		strings.HasSuffix(o.Kind, "RoleBinding") && apierrors.IsNotFound(err) ||
		strings.Contains(err.Error(), "does not support dry run")
}

func isWithoutNamespace(err error, namespace string) bool {
	var failed apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &failed) {
		return false
	}
	about := failed.Status().Details
	return about != nil && about.Kind == "namespaces" && about.Name == namespace
}
