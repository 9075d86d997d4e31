package deploy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

const reloadAnnotation = "secret.reloader.stakater.com/reload"

// reloads are the Secrets whose change restarts a workload, by the workload.
func reloads(t *testing.T, r rendered) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	for i, o := range r.objects {
		metadata, _ := r.parsed[i]["metadata"].(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		for key, value := range annotations {
			if key == reloadAnnotation {
				out[o.Kind+" "+o.Name] = strings.Split(fmt.Sprint(value), ",")
			} else {
				require.NotContains(t, key, "reloader.stakater.com", "%s: no other way to be found", o.Name)
			}
		}
	}
	return out
}

func TestReloader_RestartsWhatReadsSomebodysSecretOnce(t *testing.T) {
	t.Parallel()
	require.Empty(t, reloads(t, mustRender(t, "")), "what the bootstrap job makes never changes")
	require.Equal(t, map[string][]string{
		"Deployment gateway":     {"cache-ca"}, // both read the logins of their stores again
		"Deployment signer":      {"db-ca"},
		"Deployment portal":      {"cache-ca", "cache-login", "db-ca", "db-login"},
		"Deployment hasura":      {"cache-ca", "cache-login", "db-ca", "db-login"},
		"StatefulSet graph-node": {"db-ca", "db-login"},
		"Deployment blockscout":  {"db-ca", "db-login"},
		"Deployment dapp":        {"db-ca", "db-login", "data-admin"},
	}, sortedLike(reloads(t, mustRenderValues(t, overlaid(t, external, withDApp, "dapp: {hasuraAdmin: {existingSecret: data-admin}}")))))

	mnemonic := reloads(t, mustRender(t, "signer: {mnemonic: {existingSecret: phrase}}"))
	require.Empty(t, mnemonic, "the signer reads the file again")
	hasura := reloads(t, mustRender(t, "signer: {hasura: {existingSecret: mine}}\nhasura: {actions: {existingSecret: mine}, license: {existingSecret: paid}}"))
	require.Equal(t, map[string][]string{"Deployment signer": {"mine"}, "Deployment hasura": {"mine", "paid"}}, hasura)
	bundled := reloads(t, mustRender(t, "global: {datastores: {default: {redis: {existingSecret: cache}}, txsigner: {postgresql: {existingSecret: db}}}}"))
	require.Contains(t, bundled, "Deployment redis", "the server with its clients")
	require.NotContains(t, bundled, "Deployment signer", "the bundled server has the old password still")
	store := reloads(t, mustRender(t, "global: {secretStore: {type: external, secrets: {hasura-admin: {adminSecret: 'prod/hasura'}}}}"))
	require.Equal(t, []string{"hasura-admin"}, store["Deployment hasura"], "a name of ours, brought from elsewhere")
}

// sortedLike puts what names the dApp's own Secret last, so that the table above reads well.
func sortedLike(in map[string][]string) map[string][]string {
	for _, names := range in {
		slices.SortStableFunc(names, func(a, b string) int {
			return strings.Compare(strings.Replace(a, "data-admin", "z", 1), strings.Replace(b, "data-admin", "z", 1))
		})
	}
	return in
}

// TestReloader_NeverTouchesANode holds by two things: no annotation, and no right.
func TestReloader_NeverTouchesANode(t *testing.T) {
	t.Parallel()
	everywhere := `
global: {datastores: {default: {redis: {host: cache.example, tls: true, caSecret: ca, existingSecret: cache}, postgresql: {host: db.example, caSecret: ca, existingSecret: db}}}}
hasura: {license: {existingSecret: paid}}
observability: {alloy: {metrics: {username: me, existingSecret: login}}}
`
	r := mustRenderValues(t, overlaid(t, everything, withDApp, everywhere))
	found := reloads(t, r)
	require.Greater(t, len(found), 6)
	may := make(map[string]bool)
	for _, rule := range find[rbacv1.Role](t, r, "Role", "reloader").Rules {
		if !slices.ContainsFunc(rule.Verbs, func(verb string) bool { return verb == "update" || verb == "patch" }) || slices.Contains(rule.Resources, "events") {
			continue
		}
		require.NotEmpty(t, rule.ResourceNames, "by name only")
		kind := map[string]string{"deployments": "Deployment", "statefulsets": "StatefulSet"}[rule.Resources[0]]
		for _, name := range rule.ResourceNames {
			may[kind+" "+name] = true
			require.NotContains(t, name, "besu")
		}
	}
	for workload := range found {
		require.True(t, may[workload], "%s is to be restarted, and must not be", workload)
	}
	found["Deployment redis"] = nil // the bundled one, which is not in this world
	for workload := range may {
		require.Contains(t, found, workload, "a right that is not used")
	}
	for name, set := range all[appsv1.StatefulSet](t, r, "StatefulSet") {
		if strings.HasPrefix(name, "besu-") {
			require.NotContains(t, set.Annotations, reloadAnnotation)
		}
	}
	container := find[appsv1.Deployment](t, r, "Deployment", "reloader").Spec.Template.Spec.Containers[0]
	require.Equal(t, "KUBERNETES_NAMESPACE", container.Env[0].Name, "or it would watch all namespaces")
}
