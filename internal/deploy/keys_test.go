package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"

	"github.com/slipwayhq/slipway/charts"
)

// effectless are keys whose change need not be seen in what is rendered, with
// the reason.
func effectless() map[string]string {
	out := map[string]string{
		"global.allowInlineSecrets":             "it refuses values; TestInlineSecrets_AreRefused",
		"dapp.datastores.objectStore.bucket":    "the dApp makes its own buckets",
		"dapp.datastores.objectStore.pathStyle": "the dApp's client knows itself",
		"dapp.datastores.objectStore.region":    "the dApp's client asks for it",
		"dapp.datastores.objectStore.auth":      "it is refused; TestObjectStore_KeysOrARole",
		"global.mesh.ingressPrincipals":         "it is about parts that are exposed, which the umbrella alone has not; TestMesh_HostsAndTheSignersCallers",
	}
	for _, service := range []string{"portal", "hasura"} {
		for _, section := range []string{"global.datastores." + service + ".redis.", service + ".datastores.redis."} {
			for _, several := range []string{"cluster", "sentinel.addresses", "sentinel.master"} {
				out[section+several] = "it is refused; TestStores_OneAddressIsAskedForWhereSeveralCannotBe"
			}
			out[section+"sharedStateQuery"] = "it is the gateway's"
			if service == "portal" {
				out[section+"cacheQuery"] = "Portal has one database"
			}
		}
	}
	return out
}

// worlds are overlays of everything in which a key may have its effect.
func worlds() []string {
	return []string{
		"",
		external,
		"global: {expose: {type: gateway}, metrics: {monitor: pod}}",
		"global: {expose: {type: route}}\ngateway: {autoscaling: {enabled: false}}\nportal: {autoscaling: {enabled: false}}\nhasura: {autoscaling: {enabled: false}}\ndapp: {autoscaling: {enabled: false}}",
		"global: {datastores: {default: {postgresql: {password: pw}, redis: {password: pw}}}}",
		"global: {datastores: {default: {postgresql: {host: db.example, password: pw}, redis: {host: cache.example, password: pw}}}}",
		"global: {datastores: {default: {redis: {sentinel: {addresses: ['s.example:26379'], master: main}, existingSecret: s}}}}",
		"signer: {mnemonic: {existingSecret: mine}}\nhasura: {adminSecret: {existingSecret: mine}}",
		`global: {tenant: {enabled: true}, expose: {allowedCIDRs: [192.0.2.0/24]}, secretStore: {type: external, secrets: {db-login: {password: 'prod/db#password'}}}}
observability: {alloy: {metrics: {username: me, existingSecret: login}, logs: {username: me, existingSecret: login}, traces: {username: me, existingSecret: login}}}`,
		"global: {secretStore: {type: csi}, mesh: {type: istio}}",
		"global: {datastores: {default: {objectStore: {accessKey: pw, secretKey: pw}}}}",
		"global: {datastores: {default: {objectStore: {endpoint: 'https://s3.example', bucket: copies}}}}", // refused, unless it needs no key
		"signer: {networks: {evenIfExposed: false}}",                                                       // refused, unless it is set
		"global: {datastores: {default: {redis: {host: cache.example}}}}",                                  // refused, unless it needs no password
		peered,
		classes,
		passed,
		"gateway: {passthrough: {enabled: true, clientCASecret: callers}}\nglobal: {expose: {type: gateway}}",
		`global: {expose: {className: "", controller: {enabled: true}, allowedCIDRs: [192.0.2.0/24]}}`,
	}
}

// alone renders a chart by itself, as fast as can be.
type alone struct {
	chart  *chart.Chart
	schema schema
}

func loadAlone(t *testing.T, folder string) alone {
	t.Helper()
	c, err := load(charts.Files, folder)
	require.NoError(t, err)
	s, err := parseSchema(c)
	require.NoError(t, err)
	return alone{c, s}
}

// render gives what the chart makes of the values, or "" where they cannot be.
func (a alone) render(t *testing.T, all Values) string {
	t.Helper()
	own := Values{"global": all["global"]}
	if section, isSection := all[a.chart.Name()].(map[string]any); isSection {
		merge(own, section)
	}
	if problems, err := a.schema.check("", own); err != nil || len(problems) > 0 {
		require.NoError(t, err)
		return ""
	}
	options := chartutil.ReleaseOptions{Name: "slipway", Namespace: "atk", Revision: 1, IsInstall: true}
	capabilities := *chartutil.DefaultCapabilities
	version, err := chartutil.ParseKubeVersion(DefaultKubeVersion)
	require.NoError(t, err)
	capabilities.KubeVersion = *version
	input, err := chartutil.ToRenderValuesWithSchemaValidation(a.chart, own, options, &capabilities, true)
	require.NoError(t, err)
	files, err := engine.Render(a.chart, input)
	if err != nil {
		return ""
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		out.WriteString(files[name])
	}
	return out.String()
}

func TestEveryKey_HasAnEffect(t *testing.T) {
	t.Parallel()
	subs := make(map[string]alone)
	keys := make(map[string]map[string]any)
	for _, sub := range mustLoad(t).Dependencies() {
		a := loadAlone(t, chartFolder+"/charts/"+sub.Name())
		subs[sub.Name()] = a
		leafKeys(a.schema.at([]string{"global"}), "global", keys)
		properties, _ := a.schema.raw["properties"].(map[string]any)
		for name := range properties {
			if name != "global" && name != "enabled" {
				leafKeys(a.schema.at([]string{name}), sub.Name()+"."+name, keys)
			}
		}
	}
	umbrella := loadAlone(t, chartFolder) // for what stands in its own templates
	umbrella.chart.SetDependencies()
	umbrella.chart.Templates = slices.DeleteFunc(umbrella.chart.Templates, func(f *chart.File) bool {
		return slices.Contains([]string{"templates/checks.yaml", "templates/NOTES.txt"}, f.Name)
	})
	subs[umbrella.chart.Name()] = umbrella
	h := effects{subs: subs, components: components(t), plain: make(map[string]string)}
	for _, text := range worlds() {
		h.worlds = append(h.worlds, overlaid(t, everything, text))
	}
	allowed := effectless()
	var without []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if _, isAllowed := allowed[key]; !isAllowed && !isOfOthers(t, key) && !h.has(t, key, otherValues(keys[key])) {
			without = append(without, key)
		}
	}
	require.Empty(t, without, "keys without effect:\n"+strings.Join(without, "\n"))
}

// isOfOthers says whether a key is about a service whose chart is not written yet.
func isOfOthers(t *testing.T, key string) bool {
	t.Helper()
	service, found := strings.CutPrefix(key, "global.datastores.")
	if !found {
		return false
	}
	service, _, _ = strings.Cut(service, ".")
	for name, c := range components(t) {
		if c.Datastore == service {
			chartName, _, _ := strings.Cut(c.Toggle, ".")
			if _, err := charts.Files.ReadFile(chartFolder + "/charts/" + chartName + "/Chart.yaml"); err == nil && name != "dapp" {
				return false
			}
		}
	}
	return service != "default"
}

// effects looks for the effect of keys.
type effects struct {
	subs       map[string]alone
	worlds     []Values
	components map[string]component
	plain      map[string]string // what is rendered without a change, by chart and world
}

// has says whether some chart, in some world, is another one with one of the values.
func (e effects) has(t *testing.T, key string, others []any) bool {
	t.Helper()
	// Where it is likely in all worlds, then wherever it may be.
	for _, name := range e.likely(t, key) {
		for i := range e.worlds {
			if e.hasIn(t, name, i, key, others) {
				return true
			}
		}
	}
	owner, _, _ := strings.Cut(key, ".")
	for i := range e.worlds {
		for _, name := range slices.Sorted(maps.Keys(e.subs)) {
			if (owner == "global" || owner == name) && e.hasIn(t, name, i, key, others) {
				return true
			}
		}
	}
	return false
}

// hasIn looks in one chart and one world.
func (e effects) hasIn(t *testing.T, name string, i int, key string, others []any) bool {
	t.Helper()
	at := fmt.Sprint(name, i)
	if _, known := e.plain[at]; !known {
		e.plain[at] = e.subs[name].render(t, e.worlds[i])
	}
	for _, other := range others {
		changed := deepCopy(e.worlds[i])
		setAt(changed, strings.Split(key, "."), other)
		if text := e.subs[name].render(t, changed); text != "" && text != e.plain[at] {
			return true
		}
	}
	return false
}

// likely are the charts whose own templates speak of a key of global, or whose
// store it is. It makes the search short, and decides nothing.
func (e effects) likely(t *testing.T, key string) []string {
	t.Helper()
	steps := strings.Split(key, ".")
	if steps[0] != "global" {
		return nil
	}
	found := make(map[string]bool)
	if steps[1] == "datastores" {
		for _, c := range e.components {
			name, _, _ := strings.Cut(c.Toggle, ".")
			if _, isThere := e.subs[name]; isThere && c.Datastore == steps[2] {
				found[name] = true
			}
		}
		return slices.Sorted(maps.Keys(found))
	}
	for name, sub := range e.subs {
		for _, file := range sub.chart.Templates {
			if !strings.HasSuffix(file.Name, "_common.tpl") && strings.Contains(string(file.Data), steps[1]) {
				found[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func deepCopy(v Values) Values {
	out := make(Values, len(v))
	for key, value := range v {
		if inner, isSection := value.(map[string]any); isSection {
			value = deepCopy(inner)
		}
		out[key] = value
	}
	return out
}

// leafKeys collects the keys of a schema that hold values.
func leafKeys(schema map[string]any, path string, into map[string]map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	if len(properties) == 0 {
		into[path] = schema
		return
	}
	for name, property := range properties {
		leafKeys(property.(map[string]any), path+"."+name, into) //nolint:forcetypeassert // a schema has objects
	}
}

// otherValues are values that a key can have.
func otherValues(schema map[string]any) []any {
	if options, found := schema["enum"].([]any); found {
		return options
	}
	kind, _ := schema["type"].(string)
	switch kind {
	case "boolean":
		return []any{true, false}
	case "integer", "number":
		return []any{7.0, 50000.0}
	case "array":
		return []any{[]any{"other.example:1"}, []any{"traces"}, []any{"read"}, []any{"10.1.0.0/16"}, []any{map[string]any{"id": "other", "endpoint": "https://other.example", "name": "other"}}}
	case "object":
		return []any{
			map[string]any{"other": "other"},
			map[string]any{"gateway": "https://other.example"},
			map[string]any{"limits": map[string]any{"memory": "7Gi"}},
			map[string]any{"password": "other"},
			map[string]any{"accessKey": "other"},
			map[string]any{"other": map[string]any{"registry": "r.example", "username": "me", "password": "pw"}},
		}
	}
	out := []any{"other", "https://other.example", "77", "77d", "7m", "7GB", "/other", "sha256:" + strings.Repeat("7", 64), "0x" + strings.Repeat("7", 40)}
	if kind != "string" {
		out = append(out, 7.0)
	}
	return out
}

func setAt(v Values, path []string, value any) {
	for _, step := range path[:len(path)-1] {
		inner, isSection := v[step].(map[string]any)
		if !isSection {
			inner = map[string]any{}
			v[step] = inner
		}
		v = inner
	}
	v[path[len(path)-1]] = value
}
