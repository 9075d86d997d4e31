//go:build cluster

package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorization "k8s.io/api/authorization/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// rules are what a service account may do in a namespace, by what the API
// server itself says; what everybody may is left out.
func (w world) rules(t *testing.T, account, namespace string) []string {
	t.Helper()
	config := rest.CopyConfig(w.server.Config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + w.namespace + ":" + account,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + w.namespace, "system:authenticated"},
	}
	as, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	answer, err := as.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorization.SelfSubjectRulesReview{
		Spec: authorization.SelfSubjectRulesReviewSpec{Namespace: namespace},
	}, meta.CreateOptions{})
	require.NoError(t, err)
	require.False(t, answer.Status.Incomplete)
	var out []string
	for _, rule := range answer.Status.ResourceRules {
		if !slices.Contains(rule.APIGroups, "authorization.k8s.io") && !slices.Contains(rule.APIGroups, "authentication.k8s.io") {
			out = append(out, each(rule.Verbs, rule.APIGroups, rule.Resources, rule.ResourceNames)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// each spells out a rule, one line for every verb, resource and name.
func each(verbs, groups, resources, names []string) []string {
	if len(names) == 0 {
		names = []string{"*"}
	}
	var out []string
	for _, verb := range verbs {
		for _, group := range groups {
			for _, resource := range resources {
				for _, name := range names {
					out = append(out, fmt.Sprintf("%s %s.%s %s", verb, resource, group, name))
				}
			}
		}
	}
	return out
}

// requireRights compares what the API server allows each service account with
// the Roles that the chart binds to it: that and nothing else, nowhere else.
func (w world) requireRights(t *testing.T) {
	t.Helper()
	r := w.stored(t)
	wanted := make(map[string][]string) // by account
	roles := all[rbac.Role](t, r, "Role")
	for name, binding := range all[rbac.RoleBinding](t, r, "RoleBinding") {
		require.Contains(t, roles, binding.RoleRef.Name, name)
		for _, subject := range binding.Subjects {
			for _, rule := range roles[binding.RoleRef.Name].Rules {
				wanted[subject.Name] = append(wanted[subject.Name], each(rule.Verbs, rule.APIGroups, rule.Resources, rule.ResourceNames)...)
			}
		}
	}
	clusterWide := make(map[string][]string)
	wide := all[rbac.ClusterRole](t, r, "ClusterRole")
	for _, binding := range all[rbac.ClusterRoleBinding](t, r, "ClusterRoleBinding") {
		for _, subject := range binding.Subjects {
			for _, rule := range wide[binding.RoleRef.Name].Rules {
				clusterWide[subject.Name] = append(clusterWide[subject.Name], each(rule.Verbs, rule.APIGroups, rule.Resources, rule.ResourceNames)...)
			}
		}
	}
	accounts := all[core.ServiceAccount](t, r, "ServiceAccount")
	require.NotEmpty(t, accounts)
	for _, account := range []map[string][]string{wanted, clusterWide} {
		for name := range account {
			require.Contains(t, accounts, name, "a binding for an account that is not there")
		}
	}
	for name := range accounts {
		elsewhere := slices.Sorted(slices.Values(clusterWide[name]))
		require.Equal(t, elsewhere, w.rules(t, name, "kube-system"), "%s in another namespace", name)
		here := slices.Sorted(slices.Values(append(elsewhere, wanted[name]...)))
		require.Equal(t, slices.Compact(here), w.rules(t, name, w.namespace), name)
		for _, right := range here {
			if (name == "traefik" || name == "reloader") && strings.HasSuffix(right, " secrets. *") {
				continue // they watch all or none; docs/adr/0039
			}
			require.NotRegexp(t, `^(list|watch|update|patch|delete|deletecollection|\*) secrets\.|^get secrets\. \*$|^\S+ (\*|pods/exec|serviceaccounts/token|roles|rolebindings)\.`, right, name)
		}
	}
}

// stored are the objects of the newest revision.
func (w world) stored(t *testing.T) rendered {
	t.Helper()
	r, _ := w.request(t, "")
	o, err := w.begin(t.Context(), r)
	require.NoError(t, err)
	objects, err := objectsOf(o.history.last())
	require.NoError(t, err)
	return parseAll(t, objects)
}

// may asks the API server about one thing an account does.
func (w world) may(t *testing.T, account string, what authorization.ResourceAttributes) bool {
	t.Helper()
	what.Namespace = cmp.Or(what.Namespace, w.namespace)
	answer, err := w.admin.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorization.SubjectAccessReview{
		Spec: authorization.SubjectAccessReviewSpec{User: "system:serviceaccount:" + w.namespace + ":" + account, ResourceAttributes: &what},
	}, meta.CreateOptions{})
	require.NoError(t, err)
	return answer.Status.Allowed
}

func TestCluster_AccountsMayDoWhatTheirProgramsDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := new(heard)
	_, err := w.Install(t.Context(), Request{Release: "slipway", Values: valuesOfVariant(t, "tenant"), Timeout: 3 * time.Minute, Tell: h.tell})
	require.NoError(t, err, h.text())
	r := w.stored(t)

	// kube-state-metrics lists and watches what its argument names.
	watched := 0
	for _, p := range r.pods(t) {
		for _, c := range p.containers() {
			for _, arg := range c.Args {
				if list, is := strings.CutPrefix(arg, "--resources="); is {
					for _, resource := range strings.Split(list, ",") {
						watched++
						for _, verb := range []string{"list", "watch"} {
							require.True(t, w.may(t, p.spec.ServiceAccountName, authorization.ResourceAttributes{Verb: verb, Group: groupOf(t, w, resource), Resource: resource}), "%s %s", verb, resource)
						}
					}
				}
			}
		}
	}
	require.Positive(t, watched)

	// Alloy finds pods and reads their logs.
	for _, what := range []authorization.ResourceAttributes{{Verb: "list", Resource: "pods"}, {Verb: "watch", Resource: "pods"}, {Verb: "get", Resource: "pods", Subresource: "log"}} {
		require.True(t, w.may(t, "alloy", what), "%+v", what)
	}
	require.True(t, r.says(`role = "pod"`))
	require.NotRegexp(t, `role\s*=\s*"(node|service|endpoints|ingress)"`, r.text(), "it would need more")

	// Who has no token and no Role may nothing, and nobody reads what is another's.
	for _, account := range []string{"gateway", "signer", "portal", "besu-node-validator", "alloy", "kube-state-metrics"} {
		require.False(t, w.may(t, account, authorization.ResourceAttributes{Verb: "get", Resource: "secrets", Name: "signer-mnemonic"}), account)
		require.False(t, w.may(t, account, authorization.ResourceAttributes{Verb: "list", Resource: "secrets"}), account)
	}
	require.True(t, w.may(t, "bootstrap", authorization.ResourceAttributes{Verb: "get", Resource: "secrets", Name: "signer-mnemonic"}))
	require.False(t, w.may(t, "bootstrap", authorization.ResourceAttributes{Verb: "get", Resource: "secrets", Name: "sh.helm.release.v1.slipway.v1"}))
	require.False(t, w.may(t, "bootstrap", authorization.ResourceAttributes{Verb: "get", Resource: "secrets", Name: "signer-mnemonic", Namespace: "default"}))
}

func groupOf(t *testing.T, w world, resource string) string {
	t.Helper()
	served, err := w.kinds(t.Context())
	require.NoError(t, err)
	for _, kind := range served {
		if kind.resource.Resource == resource && kind.resource.Group != "events.k8s.io" {
			return kind.resource.Group
		}
	}
	require.Fail(t, "no such resource", resource)
	return ""
}

// as is a Cluster for a user who has these Roles and nothing else.
func (w world) as(t *testing.T, user string, roles ...rbac.Role) *Cluster {
	t.Helper()
	cluster, err := Connect(t.Context(), Connection{Kubeconfig: w.kubeconfig(t, w.server.As(t, user, roles...), user), Namespace: w.namespace})
	require.NoError(t, err)
	cluster.poll = w.poll
	return cluster
}

// kubeconfig says what a connection does: that it is somebody's.
func (w world) kubeconfig(t *testing.T, as *rest.Config, user string) string {
	t.Helper()
	path := t.TempDir() + "/kubeconfig"
	require.NoError(t, clientcmd.WriteToFile(api.Config{
		CurrentContext: "c",
		Clusters:       map[string]*api.Cluster{"c": {Server: as.Host, CertificateAuthority: as.CAFile}},
		AuthInfos:      map[string]*api.AuthInfo{"c": {ClientCertificate: as.CertFile, ClientKey: as.KeyFile, Impersonate: user}},
		Contexts:       map[string]*api.Context{"c": {Cluster: "c", AuthInfo: "c"}},
	}, path))
	return path
}

// enough is a Role with what preflight asks for and, since nobody can give
// rights away without having them, what the Roles of the chart contain.
func (w world) enough(t *testing.T, without permission) rbac.Role {
	t.Helper()
	objects, err := Render(t.Context(), Target{Release: "slipway", Namespace: w.namespace}, Values{})
	require.NoError(t, err)
	served, err := w.kinds(t.Context())
	require.NoError(t, err)
	out := rbac.Role{ObjectMeta: meta.ObjectMeta{Name: "enough"}}
	for _, one := range permissionsOf(w.namespace, objects, served) {
		require.Equal(t, w.namespace, one.namespace, "the default chart has nothing of the whole cluster")
		if one != without {
			out.Rules = append(out.Rules, rbac.PolicyRule{APIGroups: []string{one.group}, Resources: []string{one.resource}, Verbs: []string{one.verb}})
		}
	}
	for _, role := range all[rbac.Role](t, parseAll(t, objects), "Role") {
		for _, rule := range role.Rules {
			if len(rule.ResourceNames) == 0 {
				out.Rules = append(out.Rules, rule)
			}
		}
	}
	// It gives away the right to change one ConfigMap, whose name is a value.
	out.Rules = append(out.Rules, rbac.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"besu-static-nodes"}, Verbs: []string{"update"}})
	return out
}

func TestCluster_WhatPreflightAsksForIsEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Cluster = w.as(t, "deployer", w.enough(t, permission{}))
	w.live(t, Values{})
}

func TestCluster_AdministratorOfTheNamespaceIsEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.admin.RbacV1().RoleBindings(w.namespace).Create(t.Context(), &rbac.RoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: "administrator"},
		Subjects:   []rbac.Subject{{Kind: rbac.UserKind, APIGroup: rbac.GroupName, Name: "administrator"}},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "admin"},
	}, meta.CreateOptions{})
	require.NoError(t, err)
	// The Role is put together by a controller after the server has started.
	require.Eventually(t, func() bool {
		answer, err := w.admin.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorization.SubjectAccessReview{
			Spec: authorization.SubjectAccessReviewSpec{User: "administrator", ResourceAttributes: &authorization.ResourceAttributes{Namespace: w.namespace, Verb: "list", Resource: "secrets"}},
		}, meta.CreateOptions{})
		return err == nil && answer.Status.Allowed
	}, time.Minute, 100*time.Millisecond)
	w.Cluster = w.as(t, "administrator")
	w.live(t, Values{})

	// Another namespace is nothing to them.
	w.namespace = w.namespace + "-none"
	r, _ := w.request(t, "")
	_, err = w.Install(t.Context(), r)
	require.ErrorIs(t, err, ErrForbidden)
}

func TestCluster_NamespaceThatMayNotBeMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Everything in every namespace, but no namespace itself.
	role := w.namespace + "-all"
	_, err := w.admin.RbacV1().ClusterRoles().Create(t.Context(), &rbac.ClusterRole{ObjectMeta: meta.ObjectMeta{Name: role}, Rules: []rbac.PolicyRule{
		{APIGroups: []string{"", "apps", "batch", "policy", "networking.k8s.io", "rbac.authorization.k8s.io", "autoscaling"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch", "patch", "delete", "update"}},
		{
			APIGroups: []string{"", "apps", "batch", "policy", "networking.k8s.io", "rbac.authorization.k8s.io", "autoscaling"},
			Resources: []string{"configmaps", "secrets", "services", "serviceaccounts", "deployments", "statefulsets", "daemonsets", "jobs", "poddisruptionbudgets", "networkpolicies", "roles", "rolebindings", "persistentvolumeclaims"},
			Verbs:     []string{"create"},
		},
	}}, meta.CreateOptions{})
	require.NoError(t, err)
	_, err = w.admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbac.ClusterRoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: role}, RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbac.Subject{{Kind: rbac.UserKind, APIGroup: rbac.GroupName, Name: role}},
	}, meta.CreateOptions{})
	require.NoError(t, err)
	name := w.namespace + "-none"
	cluster, err := Connect(t.Context(), Connection{Kubeconfig: w.kubeconfig(t, w.server.As(t, role), role), Namespace: name})
	require.NoError(t, err)
	r, h := w.request(t, "")
	plan, err := cluster.Plan(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, strings.Join(plan.Notes, "\n"), "there is no namespace "+name+" yet")
	_, err = cluster.Install(t.Context(), r)
	require.ErrorIs(t, err, ErrForbidden, h.text())
	require.ErrorContains(t, err, "there is no namespace "+name+", and these credentials may not make one: ask an administrator for it (kubectl create namespace "+name+"); nothing was changed")
}

func TestCluster_TooFewRightsAreNamedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	for name, missing := range map[string]permission{
		"create deployments.apps":                  {verb: "create", group: "apps", resource: "deployments"},
		"delete statefulsets.apps":                 {verb: "delete", group: "apps", resource: "statefulsets"},
		"create networkpolicies.networking.k8s.io": {verb: "create", group: "networking.k8s.io", resource: "networkpolicies"},
		"patch roles.rbac.authorization.k8s.io":    {verb: "patch", group: "rbac.authorization.k8s.io", resource: "roles"},
		"update secrets":                           {verb: "update", resource: "secrets"},
		"delete pods":                              {verb: "delete", resource: "pods"},
		"create poddisruptionbudgets.policy":       {verb: "create", group: "policy", resource: "poddisruptionbudgets"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			missing.namespace = w.namespace
			r, _ := w.request(t, "")
			_, err := w.as(t, "deployer", w.enough(t, missing)).Install(t.Context(), r)
			require.ErrorIs(t, err, ErrForbidden)
			require.ErrorContains(t, err, "these credentials may not in namespace "+w.namespace+" "+name+": ask an administrator")
			require.ErrorContains(t, err, "nothing was changed")
			w.requireUntouched(t)
		})
	}

	t.Run("to look", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		r, _ := w.request(t, "")
		_, err := w.as(t, "deployer", w.enough(t, permission{w.namespace, "get", "rbac.authorization.k8s.io", "rolebindings"})).Install(t.Context(), r)
		require.ErrorIs(t, err, ErrForbidden)
		require.ErrorContains(t, err, "in namespace "+w.namespace+" get rolebindings.rbac.authorization.k8s.io: ask")
		w.requireUntouched(t)
	})
	t.Run("of the whole cluster", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		r, _ := w.request(t, "observability: {metricsServer: {enabled: true}}")
		_, err := w.as(t, "deployer", w.enough(t, permission{})).Install(t.Context(), r)
		require.ErrorIs(t, err, ErrForbidden)
		require.ErrorContains(t, err, "in the whole cluster create apiservices.apiregistration.k8s.io")
		require.ErrorContains(t, err, "create clusterroles.rbac.authorization.k8s.io")
		require.ErrorContains(t, err, "in namespace kube-system create rolebindings.rbac.authorization.k8s.io")
		w.requireUntouched(t)
	})
	t.Run("rights that the chart gives away", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		role := w.enough(t, permission{})
		role.Rules = slices.DeleteFunc(role.Rules, func(rule rbac.PolicyRule) bool { return slices.Contains(rule.Resources, "pods/log") })
		r, _ := w.request(t, "")
		_, err := w.as(t, "deployer", role).Install(t.Context(), r)
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorContains(t, err, "the API server refuses Role alloy")
		require.ErrorContains(t, err, "attempting to grant RBAC permissions not currently held")
		w.requireUntouched(t)
	})
}

// requireUntouched: not even Helm's own notes are there.
func (w world) requireUntouched(t *testing.T) {
	t.Helper()
	require.Empty(t, w.left(t))
	secrets, err := w.admin.CoreV1().Secrets(w.namespace).List(t.Context(), meta.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, secrets.Items)
}
