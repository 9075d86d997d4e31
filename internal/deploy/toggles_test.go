package deploy

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// instead says what must be set when something is switched off that others use.
func instead() map[string]string {
	const db = "global: {datastores: {default: {postgresql: {host: db.example, existingSecret: db-login}}}}"
	const cache = "global: {datastores: {default: {redis: {host: cache.example, existingSecret: cache-login}}}}"
	const files = "global: {datastores: {default: {objectStore: {endpoint: 'https://s3.example', bucket: copies, existingSecret: s3-login}}}}"
	return map[string]string{
		"support.enabled":                       external + "  expose: {controller: {enabled: false}}\n",
		"support.postgresql.enabled":            db,
		"support.redis.enabled":                 cache,
		"support.objectStore.enabled":           files,
		"network.enabled":                       "global: {endpoints: {besu-node-rpc: 'https://node.example'}}",
		"gateway.enabled":                       "global: {endpoints: {gateway: 'https://rpc.example'}}",
		"ipfs.enabled":                          "global: {endpoints: {ipfs: 'https://files.example:5001'}}",
		"hasura.enabled":                        "global: {endpoints: {hasura: 'https://data.example'}, datastores: {hasura: {postgresql: {database: theirs, username: theirs}}}}",
		"graph-node.enabled":                    "global: {endpoints: {graph-node: 'https://graph.example'}}",
		"blockscout.enabled":                    "global: {endpoints: {blockscout: 'https://explorer.example'}}",
		"portal.enabled":                        "global: {endpoints: {portal: 'https://contracts.example'}}",
		"signer.enabled":                        "global: {endpoints: {signer: 'https://sign.example'}}\nhasura: {actions: {existingSecret: hasura-actions}}",
		"observability.victoriaMetrics.enabled": "observability: {alloy: {metrics: {url: 'https://metrics.example/api/v1/push'}}}",
		"observability.loki.enabled":            "observability: {alloy: {logs: {enabled: false}}}",
		"observability.tempo.enabled":           "observability: {alloy: {traces: {url: 'https://traces.example'}}}",
	}
}

// components reads the table of components, as the templates see it.
func components(t *testing.T) map[string]component {
	t.Helper()
	for _, file := range mustLoad(t).Templates {
		_, text, found := strings.Cut(string(file.Data), `{{- define "common.components" -}}`)
		if !found {
			continue
		}
		text, _, _ = strings.Cut(text, "{{- end -}}")
		return decode[map[string]component](t, Object{Text: text})
	}
	require.Fail(t, "there is no table of components")
	return nil
}

type component struct {
	Toggle    string                    `json:"toggle"`
	Ports     map[string]int            `json:"ports"`
	Metrics   map[string]any            `json:"metrics"`
	Calls     []string                  `json:"calls"`
	Datastore string                    `json:"datastore"`
	Stores    map[string]map[string]any `json:"stores"`
	Login     string                    `json:"login"`
	Instead   map[string]string         `json:"instead"`
	Unless    map[string]string         `json:"unless"`
	Secrets   []string                  `json:"secrets"`
}

// off is the values that switch a toggle off.
func off(toggle string) string {
	steps := strings.Split(toggle, ".")
	return strings.Join(steps, ": {") + ": false" + strings.Repeat("}", len(steps)-1)
}

func TestToggles_TellTheTruth(t *testing.T) {
	t.Parallel()
	table := components(t)
	full := renderedOnce(t, everything, ownIngress)
	toggles := make(map[string][]string) // the components of each
	for name, c := range table {
		toggles[c.Toggle] = append(toggles[c.Toggle], name)
		if chart, _, deep := strings.Cut(c.Toggle, "."); deep {
			if chart == "global" { // every part must know of the controller
				chart = "support"
			}
			toggles[chart+".enabled"] = append(toggles[chart+".enabled"], name)
		}
	}
	for toggle, names := range toggles {
		if !slices.ContainsFunc(names, func(name string) bool { return full.has("Service", name) || full.has("NetworkPolicy", name) }) {
			continue // its chart is not written yet
		}
		t.Run(toggle, func(t *testing.T) {
			t.Parallel()
			without := overlaid(t, everything, ownIngress, off(toggle))
			if _, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, without); err != nil {
				var problems Problems
				require.ErrorAs(t, err, &problems, "what is missing then is told by key")
				require.NotEmpty(t, instead()[toggle], "%v, but the test does not know what to set", err)
			}
			r := mustRenderValues(t, overlaid(t, everything, ownIngress, instead()[toggle], off(toggle)))
			for _, name := range names {
				for i, o := range r.objects {
					metadata, _ := r.parsed[i]["metadata"].(map[string]any)
					labels, _ := metadata["labels"].(map[string]any)
					require.NotEqual(t, name, labels["app.kubernetes.io/name"], "%s %s is still there", o.Kind, o.Name)
				}
				// A Service's name in an address, a selector, a label of a caller.
				for _, trace := range []string{"//" + name + ".", "//" + name + ":", "@" + name + ":", "app.kubernetes.io/name: " + name + "\n", "value: \"" + name + "\""} {
					require.False(t, r.says(trace), "%q is still there", trace)
				}
			}
			requireReferences(t, r)
		})
	}
}

// requireReferences requires that what objects name is there, or is made by
// the bootstrap job, or is the user's.
func requireReferences(t *testing.T, r rendered) {
	t.Helper()
	configs, secrets := all[corev1.ConfigMap](t, r, "ConfigMap"), all[corev1.Secret](t, r, "Secret")
	accounts := all[corev1.ServiceAccount](t, r, "ServiceAccount")
	made := map[string]bool{"db-login": true, "cache-login": true, "s3-login": true, "db-ca": true, "cache-ca": true, "s3-ca": true, "hasura-license": true, "hasura-actions": true, "hasura-admin": true, "besu-static-nodes": true}
	for _, config := range configs {
		if config.Labels["slipway.io/secret-request"] == "true" {
			made[config.Data["name"]] = true
		}
	}
	for _, p := range r.pods(t) {
		isThere := func(name string, found bool) {
			require.True(t, found || made[name] || strings.HasSuffix(name, "-private-key"), "%s %s names %s, which nobody makes", p.owner.Kind, p.owner.Name, name)
		}
		if account := p.spec.ServiceAccountName; account != "default" {
			require.Contains(t, accounts, account)
		}
		for _, v := range p.spec.Volumes {
			if v.Secret != nil {
				isThere(v.Secret.SecretName, has(secrets, v.Secret.SecretName))
			}
			if v.ConfigMap != nil {
				isThere(v.ConfigMap.Name, has(configs, v.ConfigMap.Name))
			}
		}
		for _, c := range p.containers() {
			for _, e := range c.Env {
				if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
					isThere(e.ValueFrom.SecretKeyRef.Name, has(secrets, e.ValueFrom.SecretKeyRef.Name))
				}
			}
			for _, mount := range c.VolumeMounts {
				claims := p.owner.Kind == "StatefulSet" && mount.Name == "data"
				require.True(t, claims || slices.ContainsFunc(p.spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name }), "%s: volume %s", p.owner.Name, mount.Name)
			}
		}
	}
}

func has[T any](m map[string]T, key string) bool {
	_, found := m[key]
	return found
}

func TestReferences_AreThere(t *testing.T) {
	t.Parallel()
	for name, r := range bases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireReferences(t, r)
		})
	}
}
