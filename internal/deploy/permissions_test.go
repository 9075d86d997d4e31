package deploy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// someKinds are what a small cluster serves.
func someKinds() kinds {
	rbacGroup := runtimeschema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}
	return kinds{
		{Version: "v1", Kind: "Service"}:  {runtimeschema.GroupVersionResource{Version: "v1", Resource: "services"}, true},
		rbacGroup.WithKind("RoleBinding"): {rbacGroup.WithResource("rolebindings"), true},
		rbacGroup.WithKind("ClusterRole"): {rbacGroup.WithResource("clusterroles"), false},
	}
}

func TestPermissions_AreThoseOfEveryObjectWhereItIs(t *testing.T) {
	t.Parallel()
	objects := []Object{
		{APIVersion: "v1", Kind: "Service", Namespace: "atk"},
		{APIVersion: "v1", Kind: "Service"}, // the same
		{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding", Namespace: "kube-system"},
		{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"},
		{APIVersion: "cert-manager.io/v1", Kind: "Certificate", Namespace: "atk"}, // not served
	}
	needed := permissionsOf("atk", objects, someKinds())
	require.Len(t, needed, len(ownPermissions("atk"))+3*4)
	for _, one := range []permission{
		{"", "create", "rbac.authorization.k8s.io", "clusterroles"},
		{"kube-system", "delete", "rbac.authorization.k8s.io", "rolebindings"},
		{"atk", "patch", "", "services"},
		{"atk", "list", "apps", "statefulsets"},
		{"atk", "update", "", "secrets"},
	} {
		require.Contains(t, needed, one)
	}
}

func TestPermissions_AreNamedByPlace(t *testing.T) {
	t.Parallel()
	require.Equal(t, "in the whole cluster create clusterroles.rbac.authorization.k8s.io; and in namespace atk get services, list jobs.batch", listed([]permission{
		{"", "create", "rbac.authorization.k8s.io", "clusterroles"}, {"atk", "get", "", "services"}, {"atk", "list", "batch", "jobs"},
	}))
}

func TestTrial_OnlyTheTrialItselfIsForgiven(t *testing.T) {
	t.Parallel()
	of := runtimeschema.GroupResource{Resource: "things"}
	quota := apierrors.NewForbidden(of, "a", errors.New("exceeded quota: tenant"))
	for name, c := range map[string]struct {
		err   error
		kind  string
		there bool
		fine  bool
	}{
		"is there already":        {apierrors.NewAlreadyExists(of, "a"), "Service", true, true},
		"a Role that comes too":   {apierrors.NewNotFound(of, "a"), "RoleBinding", false, true},
		"something else missing":  {apierrors.NewNotFound(of, "a"), "Service", false, false},
		"counted twice":           {quota, "Service", true, true},
		"more than the quota":     {quota, "Service", false, false},
		"a webhook for no trials": {apierrors.NewBadRequest(`admission webhook "x" does not support dry run`), "Certificate", false, true},
		"an unknown field":        {apierrors.NewBadRequest(`strict decoding error: unknown field "x"`), "Service", true, false},
	} {
		require.Equal(t, c.fine, isOtherwiseFine(c.err, Object{Kind: c.kind}, c.there), name)
	}
	require.True(t, isWithoutNamespace(apierrors.NewNotFound(runtimeschema.GroupResource{Resource: "namespaces"}, "atk"), "atk"))
	require.False(t, isWithoutNamespace(apierrors.NewNotFound(runtimeschema.GroupResource{Resource: "namespaces"}, "kube-system"), "atk"))
	require.False(t, isWithoutNamespace(apierrors.NewNotFound(of, "atk"), "atk"))
}

func TestWarnings_AreToldOnceAnOperation(t *testing.T) {
	t.Parallel()
	w := new(warnings)
	w.HandleWarningHeader(299, "", "before any operation")
	var told []Event
	tell := func(e Event) { told = append(told, e) }
	for range 2 {
		w.begin(tell)
		for range 3 {
			w.HandleWarningHeader(299, "", "would violate PodSecurity")
		}
	}
	require.Equal(t, []Event{{"warning", "", "would violate PodSecurity"}, {"warning", "", "would violate PodSecurity"}}, told)
	for i := range 2 * maxWarnings {
		w.HandleWarningHeader(299, "", fmt.Sprint(i))
	}
	require.Len(t, told, 1+maxWarnings)
}

func TestConnect_TrustsNotWhoeverAnswers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"c",
"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1","insecure-skip-tls-verify":true}}],"contexts":[{"name":"c","context":{"cluster":"c"}}]}`), 0o600))
	_, err := Connect(t.Context(), Connection{Kubeconfig: path, Namespace: "atk"})
	require.ErrorIs(t, err, ErrInsecure)
	require.ErrorContains(t, err, "certificate-authority")
}
