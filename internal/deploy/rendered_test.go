package deploy

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// rendered is what an installation would have, parsed.
type rendered struct {
	objects []Object
	parsed  []map[string]any
	made    *madePods
}

// madePods are the pod templates, found once.
type madePods struct {
	once sync.Once
	pods []pod
}

// pod is a pod, seen through the workload that makes it.
type pod struct {
	owner Object
	metav1.ObjectMeta
	spec corev1.PodSpec
}

func mustRender(t *testing.T, text string) rendered {
	t.Helper()
	if text == "" || text == everything {
		return renderedOnce(t, text)
	}
	return mustRenderValues(t, values(t, text))
}

// kept are renderings that many tests look at, and none changes, by their values.
var kept sync.Map //nolint:gochecknoglobals // the tests of a binary share it; each rendering takes seconds with the race detector

type keptRendering struct {
	once sync.Once
	rendered
}

// renderedOnce renders texts, the last one on top, unless a test has done so.
func renderedOnce(t *testing.T, texts ...string) rendered {
	t.Helper()
	found, _ := kept.LoadOrStore(strings.Join(texts, "\n---\n"), new(keptRendering))
	one, _ := found.(*keptRendering)
	one.once.Do(func() { one.rendered = mustRenderValues(t, overlaid(t, texts...)) })
	require.NotEmpty(t, one.objects, "another test could not render it")
	return one.rendered
}

func mustRenderValues(t *testing.T, v Values) rendered {
	t.Helper()
	objects, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, v)
	require.NoError(t, err)
	return parseAll(t, objects)
}

func parseAll(t *testing.T, objects []Object) rendered {
	t.Helper()
	out := rendered{objects: objects, made: new(madePods)}
	for _, o := range objects {
		var parsed map[string]any
		require.NoError(t, yaml.UnmarshalStrict([]byte(o.Text), &parsed), o.Source)
		out.parsed = append(out.parsed, parsed)
	}
	return out
}

// values reads YAML.
func values(t *testing.T, text string) Values {
	t.Helper()
	out := Values{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &out))
	return out
}

// overlaid reads several texts, the last one on top.
func overlaid(t *testing.T, texts ...string) Values {
	t.Helper()
	out := Values{}
	for _, text := range texts {
		merge(out, values(t, text))
	}
	return out
}

func (r rendered) text() string {
	var out strings.Builder
	_ = Write(&out, r.objects) // a builder takes everything
	return out.String()
}

// says is for texts so long that a failure should not print them.
func (r rendered) says(words string) bool { return strings.Contains(r.text(), words) }

// find gives an object of a kind as T.
func find[T any](t *testing.T, r rendered, kind, name string) T {
	t.Helper()
	for _, o := range r.objects {
		if o.Kind == kind && o.Name == name {
			return decode[T](t, o)
		}
	}
	require.Failf(t, "missing", "%s %s", kind, name)
	panic("not reached")
}

func (r rendered) has(kind, name string) bool {
	return slices.ContainsFunc(r.objects, func(o Object) bool { return o.Kind == kind && o.Name == name })
}

// all gives every object of a kind as T, by name.
func all[T any](t *testing.T, r rendered, kind string) map[string]T {
	t.Helper()
	out := make(map[string]T)
	for _, o := range r.objects {
		if o.Kind == kind {
			require.NotContains(t, out, o.Name, "two objects %s %s", kind, o.Name)
			out[o.Name] = decode[T](t, o)
		}
	}
	return out
}

// decode reads an object into T, whose every field must be known.
func decode[T any](t *testing.T, o Object) T {
	t.Helper()
	var out T
	require.NoError(t, yaml.UnmarshalStrict([]byte(o.Text), &out), "%s %s", o.Kind, o.Name)
	return out
}

// decodeLoosely reads of an object what T has, for kinds that are no library's.
func decodeLoosely[T any](t *testing.T, o Object) T {
	t.Helper()
	var out T
	require.NoError(t, yaml.Unmarshal([]byte(o.Text), &out), "%s %s", o.Kind, o.Name)
	return out
}

// pods gives every pod template.
func (r rendered) pods(t *testing.T) []pod {
	t.Helper()
	r.made.once.Do(func() { r.made.pods = r.findPods(t) })
	return r.made.pods
}

func (r rendered) findPods(t *testing.T) []pod {
	t.Helper()
	var out []pod
	for _, o := range r.objects {
		path := []string{"spec", "template"}
		switch o.Kind {
		case "Deployment", "StatefulSet", "DaemonSet", "Job":
		case "CronJob":
			path = []string{"spec", "jobTemplate", "spec", "template"}
		case "Pod":
			path = nil
		default:
			continue
		}
		var whole map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(o.Text), &whole))
		for _, step := range path {
			whole, _ = whole[step].(map[string]any)
		}
		text, err := yaml.Marshal(whole)
		require.NoError(t, err)
		var template corev1.PodTemplateSpec
		require.NoError(t, yaml.UnmarshalStrict(text, &template), "%s %s", o.Kind, o.Name)
		out = append(out, pod{owner: o, ObjectMeta: template.ObjectMeta, spec: template.Spec})
	}
	return out
}

func (p pod) containers() []corev1.Container {
	return slices.Concat(p.spec.InitContainers, p.spec.Containers)
}

// isSelected says whether a selector means the pod.
func (p pod) isSelected(by map[string]string) bool {
	if len(by) == 0 {
		return false
	}
	for key, value := range by {
		if p.Labels[key] != value {
			return false
		}
	}
	return true
}

// strings gives every text in an object with the path to it.
func eachText(value any, path string, visit func(path, text string)) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			eachText(value[key], path+"."+key, visit)
		}
	case []any:
		for _, item := range value {
			eachText(item, path+"[]", visit)
		}
	case string:
		visit(path, value)
	}
}

// everything switches on whatever can be, so that every template is rendered.
const everything = `
support: {objectStore: {enabled: true, expose: {enabled: true}}, reloader: {enabled: true}}
gateway: {autoscaling: {enabled: true}, expose: {enabled: true}}
network: {snapshots: {enabled: true}}
signer: {expose: {enabled: true}, networks: {evenIfExposed: true}, backup: {enabled: true, s3: {enabled: true}}}
portal: {autoscaling: {enabled: true}, expose: {enabled: true}}
hasura: {autoscaling: {enabled: true}, expose: {enabled: true}, license: {existingSecret: hasura-license}}
graph-node: {expose: {enabled: true}, paths: {admin: /admin, ws: /ws}}
ipfs: {public: true, metrics: true, expose: {enabled: true}}
blockscout: {expose: {enabled: true}}
dapp: {autoscaling: {enabled: true}, expose: {enabled: true}, setup: {enabled: true, image: {repository: example/setup}}, objectStore: {enabled: true}}
observability: {grafana: {expose: {enabled: true}}, metricsServer: {enabled: true}, kubeStateMetrics: {clusterWide: true}}
global:
  labels: {team: chain}
  prepull: {enabled: true}
  otlpEndpoint: collector.example:4317
  metrics: {monitor: service}
  expose:
    className: nginx
    tls: {enabled: true, issuerRef: {name: letsencrypt}}
`

// ownIngress adds a controller, to everything.
const ownIngress = `
global: {expose: {className: "", controller: {enabled: true}}}
`

// peered lets nodes of other clusters in.
const peered = `
network:
  validator:
    peering: {type: LoadBalancer, networks: [198.51.100.0/24], nodes: [{address: 203.0.113.10}, {address: 203.0.113.11, annotations: {lb.example/pool: b}}]}
`

// classes has those of the cluster made by the release.
const classes = `
network:
  storageClass: {enabled: true, provisioner: ebs.csi.aws.com, parameters: {type: gp3, encrypted: "true"}}
  snapshots: {enabled: true, class: {enabled: true, driver: ebs.csi.aws.com}}
`

// withDApp adds the dApp, with what it calls running elsewhere.
const withDApp = `
dapp: {enabled: true}
global: {endpoints: {hasura: 'https://hasura.example', portal: 'https://portal.example', graph-node: 'https://graph.example'}}
`

// external takes all stores from elsewhere.
const external = `
support: {enabled: false}
global:
  datastores:
    default:
      postgresql: {host: db.example, sslMode: verify-full, caSecret: db-ca, existingSecret: db-login}
      redis: {host: cache.example, tls: true, caSecret: cache-ca, existingSecret: cache-login}
      objectStore: {endpoint: 'https://s3.example', region: eu-central-1, bucket: copies, caSecret: s3-ca, existingSecret: s3-login}
`

// bases are the worlds in which properties that hold always are looked at.
func bases(t *testing.T) map[string]rendered {
	t.Helper()
	return map[string]rendered{
		"default":                 renderedOnce(t, ""),
		"everything":              renderedOnce(t, everything),
		"external":                renderedOnce(t, everything, external),
		"gateway api":             renderedOnce(t, everything, "global: {expose: {type: gateway}, metrics: {monitor: pod}}"),
		"dapp":                    renderedOnce(t, everything, withDApp),
		"tenant":                  renderedOnce(t, everything, "global: {tenant: {enabled: true, client: bank-a}}"),
		"openshift":               renderedOnce(t, everything, "global: {expose: {type: route}}"),
		"peering":                 renderedOnce(t, everything, peered, classes),
		"own ingress":             renderedOnce(t, everything, ownIngress),
		"own ingress of a tenant": renderedOnce(t, everything, ownIngress, "support: {ingress: {service: {type: ClusterIP}}}\nglobal: {tenant: {enabled: true, client: bank-b}}"),
	}
}
