package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/storage/driver"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Uninstall takes a release away. What holds the chain, its keys and its data
// stays, and is in the notes of the result. A release that is not there is no
// error: the wish is fulfilled.
func (c *Cluster) Uninstall(ctx context.Context, r Request) (Result, error) {
	o, err := c.begin(ctx, r)
	if err != nil {
		return Result{}, err
	}
	if len(o.history) == 0 {
		o.note("there is no such release")
		return o.result, nil
	}
	if err := o.unstick(); err != nil {
		return o.result, err
	}
	o.result.Revision = o.history.last().Version
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	left, err := o.uninstall(ctx)
	if err != nil {
		return o.result, err
	}
	o.result.Changed = true
	o.note(left)
	return o.result, nil
}

func (o *operation) uninstall(ctx context.Context) (left string, err error) {
	uninstall := action.NewUninstall(o.helm)
	uninstall.Wait, uninstall.Timeout = true, remaining(ctx, o.Timeout)
	uninstall.DeletionPropagation = "foreground"
	o.Tell(Event{"delete", o.Release, "taking the objects away"})
	if err := o.deleteMixed(); err != nil {
		return "", o.explain("uninstall what earlier revisions made; the rest is as it was", err)
	}
	if _, err := uninstall.Run(o.Release); err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
		return "", o.explain("uninstall; what is left of it is in `slipway status`", err)
	}
	return o.leftovers(ctx)
}

// leftovers says what of a release is still in the namespace, on purpose.
func (o *operation) leftovers(ctx context.Context) (string, error) {
	claims, err := o.api.CoreV1().PersistentVolumeClaims(o.namespace).List(ctx, meta.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + o.Release})
	if err != nil {
		return "", o.explain("list the volume claims", err)
	}
	made := meta.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=slipway"}
	secrets, err := o.api.CoreV1().Secrets(o.namespace).List(ctx, made)
	if err != nil {
		return "", o.explain("list the Secrets", err)
	}
	configMaps, err := o.api.CoreV1().ConfigMaps(o.namespace).List(ctx, made)
	if err != nil {
		return "", o.explain("list the ConfigMaps", err)
	}
	return leftText(o.namespace, len(claims.Items), len(secrets.Items), len(configMaps.Items)), nil
}

func leftText(namespace string, claims, secrets, configMaps int) string {
	var parts []string
	for _, one := range []struct {
		count int
		what  string
	}{
		{claims, "volume claims (the chain's and the stores' data)"},
		{secrets, "Secrets of the bootstrap (node keys, mnemonic, passwords)"},
		{configMaps, "ConfigMaps of the bootstrap (genesis, static nodes)"},
	} {
		if one.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.count, one.what))
		}
	}
	if len(parts) == 0 {
		return "nothing of it is left in namespace " + namespace
	}
	return fmt.Sprintf("left in namespace %s: %s; an installation of the same name takes them up again; to lose them for ever: kubectl delete namespace %s",
		namespace, strings.Join(parts, ", "), namespace)
}
