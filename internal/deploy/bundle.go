package deploy

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/slipwayhq/slipway/internal/buildinfo"
)

// bundleLogLines is how many lines of each container's log are kept.
const bundleLogLines = 2000

// helmSecret is the type of the Secrets in which Helm keeps revisions. Their
// values are the rendered objects, which the bundle has in a readable form.
const helmSecret core.SecretType = "helm.sh/release.v1" //nolint:gosec // the name of a type

// bundle collects files; every one of them goes through the redactor.
type bundle struct {
	*Cluster
	release string
	redact  redactor
	files   []File
	// gaps are what could not be had, and why.
	gaps []string
}

// SupportBundle writes a tar.gz with what somebody needs who is to help: the
// objects, events and logs of a release, its values, and what doctor finds.
// Values of Secrets are not in it, nor anything that is equal to one of them.
func (c *Cluster) SupportBundle(ctx context.Context, e Examination, to io.Writer) error {
	b := &bundle{Cluster: c, release: e.Release}
	if err := b.learnSecrets(ctx); err != nil {
		return err
	}
	if e.SignerToken.Reveal() != "" {
		b.redact = newRedactor(append(b.redact.known, e.SignerToken.Reveal()))
	}
	b.add("version.txt", []byte(buildinfo.Version()+" "+buildinfo.Commit()+"\n"))
	b.addRelease(ctx)
	b.addObjects(ctx)
	b.addLogs(ctx)
	findings, err := c.Doctor(ctx, e)
	b.addJSON("doctor.json", findings, err)
	b.add("gaps.txt", []byte(strings.Join(b.gaps, "\n")+"\n"))
	return writeArchive(to, b.files, time.Now())
}

// learnSecrets reads what must not be in the bundle. Without that right there
// is no bundle: logs could show what nobody would recognise.
func (b *bundle) learnSecrets(ctx context.Context) error {
	list, err := b.api.CoreV1().Secrets(b.namespace).List(ctx, meta.ListOptions{})
	if err != nil {
		return b.explain("read the Secrets, to take their values out of logs", err)
	}
	var values []string
	for _, one := range list.Items {
		if one.Type == helmSecret {
			continue
		}
		for _, value := range one.Data {
			values = append(values, string(value))
		}
		one.Data, one.StringData = blank(one), nil
		b.addObject("Secret", one.Name, &one)
	}
	b.redact = newRedactor(values)
	for i := range b.files { // names and labels of Secrets, with what is known only now
		b.files[i].Text = b.redact.text(b.files[i].Text)
	}
	return nil
}

// blank keeps the keys of a Secret and the sizes of its values.
func blank(one core.Secret) map[string][]byte {
	out := make(map[string][]byte, len(one.Data))
	for key, value := range one.Data {
		out[key] = fmt.Appendf(nil, "<%d bytes>", len(value))
	}
	return out
}

func (b *bundle) add(path string, text []byte) {
	b.files = append(b.files, File{path, b.redact.text(text)})
}

func (b *bundle) addJSON(path string, value any, err error) {
	if err != nil {
		b.gap(path, err)
		return
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		b.gap(path, err)
		return
	}
	b.add(path, append(text, '\n'))
}

func (b *bundle) gap(what string, err error) {
	b.gaps = append(b.gaps, string(b.redact.text([]byte(what+": "+err.Error()))))
}

// addRelease adds revisions, values and rendered objects.
func (b *bundle) addRelease(ctx context.Context) {
	status, err := b.Status(ctx, b.release)
	b.addJSON("status.json", status, err)
	o, err := b.begin(ctx, Request{Release: b.release})
	if err != nil {
		b.gap("release", err)
		return
	}
	for _, one := range o.history {
		folder := fmt.Sprintf("revision-%d/", one.Version)
		values, err := yaml.Marshal(redactValues(one.Config))
		if err != nil {
			b.gap(folder, err)
			continue
		}
		b.add(folder+"values.yaml", values)
		objects, err := objectsOf(one)
		if err != nil {
			b.gap(folder, err)
			continue
		}
		for _, object := range objects {
			var parsed map[string]any
			if err := yaml.Unmarshal([]byte(object.Text), &parsed); err == nil {
				b.addParsed(folder+"objects/", object.Kind, object.Name, parsed)
			}
		}
	}
}

// addObject adds an object of the cluster.
func (b *bundle) addObject(kind, name string, object runtime.Object) {
	parsed, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		b.gap(kind+" "+name, err)
		return
	}
	b.addParsed("objects/", kind, name, parsed)
}

func (b *bundle) addParsed(folder, kind, name string, parsed map[string]any) {
	if about, ok := parsed["metadata"].(map[string]any); ok {
		delete(about, "managedFields")
		if notes, ok := about["annotations"].(map[string]any); ok {
			delete(notes, "kubectl.kubernetes.io/last-applied-configuration")
		}
	}
	if kind == "Secret" && strings.HasPrefix(folder, "revision-") {
		for _, section := range []string{"data", "stringData"} {
			inner, _ := parsed[section].(map[string]any)
			for key := range inner {
				inner[key] = redacted
			}
		}
	}
	if kind != "Secret" && kind != "ConfigMap" {
		parsed, _ = redactValues(parsed).(map[string]any)
	}
	text, err := yaml.Marshal(parsed)
	if err != nil {
		b.gap(kind+" "+name, err)
		return
	}
	b.add(folder+kind+"/"+name+".yaml", text)
}

// addObjects adds what is in the namespace.
func (b *bundle) addObjects(ctx context.Context) {
	all := meta.ListOptions{}
	for _, one := range []struct {
		kind string
		list func() (runtime.Object, error)
	}{
		{"Pod", func() (runtime.Object, error) { return b.api.CoreV1().Pods(b.namespace).List(ctx, all) }},
		{"Service", func() (runtime.Object, error) { return b.api.CoreV1().Services(b.namespace).List(ctx, all) }},
		{"ConfigMap", func() (runtime.Object, error) { return b.api.CoreV1().ConfigMaps(b.namespace).List(ctx, all) }},
		{"PersistentVolumeClaim", func() (runtime.Object, error) {
			return b.api.CoreV1().PersistentVolumeClaims(b.namespace).List(ctx, all)
		}},
		{"Event", func() (runtime.Object, error) { return b.api.CoreV1().Events(b.namespace).List(ctx, all) }},
		{"Deployment", func() (runtime.Object, error) { return b.api.AppsV1().Deployments(b.namespace).List(ctx, all) }},
		{"StatefulSet", func() (runtime.Object, error) { return b.api.AppsV1().StatefulSets(b.namespace).List(ctx, all) }},
		{"DaemonSet", func() (runtime.Object, error) { return b.api.AppsV1().DaemonSets(b.namespace).List(ctx, all) }},
		{"Job", func() (runtime.Object, error) { return b.api.BatchV1().Jobs(b.namespace).List(ctx, all) }},
		{"NetworkPolicy", func() (runtime.Object, error) {
			return b.api.NetworkingV1().NetworkPolicies(b.namespace).List(ctx, all)
		}},
		{"Ingress", func() (runtime.Object, error) { return b.api.NetworkingV1().Ingresses(b.namespace).List(ctx, all) }},
		{"EndpointSlice", func() (runtime.Object, error) { return b.api.DiscoveryV1().EndpointSlices(b.namespace).List(ctx, all) }},
		{"Node", func() (runtime.Object, error) { return b.api.CoreV1().Nodes().List(ctx, all) }},
	} {
		list, err := one.list()
		if err != nil {
			b.gap("objects of kind "+one.kind, err)
			continue
		}
		parsed, err := runtime.DefaultUnstructuredConverter.ToUnstructured(list)
		if err != nil {
			b.gap("objects of kind "+one.kind, err)
			continue
		}
		items, _ := parsed["items"].([]any)
		for _, item := range items {
			object, _ := item.(map[string]any)
			about, _ := object["metadata"].(map[string]any)
			name, _ := about["name"].(string)
			b.addParsed("objects/", one.kind, name, object)
		}
	}
}

// addLogs adds the last words of every container, and of the one before it.
func (b *bundle) addLogs(ctx context.Context) {
	pods, err := b.pods(ctx, b.release)
	if err != nil {
		b.gap("logs", err)
		return
	}
	for _, pod := range pods {
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			for _, previous := range []bool{false, true} {
				if previous && status.RestartCount == 0 {
					continue
				}
				path := fmt.Sprintf("logs/%s/%s.log", pod.Name, status.Name)
				if previous {
					path = fmt.Sprintf("logs/%s/%s.previous.log", pod.Name, status.Name)
				}
				text, err := b.log(ctx, pod.Name, status.Name, bundleLogLines, previous)
				if err != nil {
					b.gap(path, err)
					continue
				}
				b.add(path, []byte(text))
			}
		}
	}
}

// writeArchive writes files as a tar.gz.
func writeArchive(to io.Writer, files []File, at time.Time) error {
	compressed := gzip.NewWriter(to)
	archive := tar.NewWriter(compressed)
	for _, file := range files {
		header := &tar.Header{Name: "slipway-support/" + file.Path, Mode: 0o600, Size: int64(len(file.Text)), ModTime: at, Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
		if _, err := archive.Write(file.Text); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
	}
	if err := errors.Join(archive.Close(), compressed.Close()); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	return nil
}
