package deploy

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/yaml"

	"github.com/slipwayhq/slipway/charts"
)

// DefaultKubeVersion is for rendering without a cluster.
const DefaultKubeVersion = "1.33.0"

// Target says for which release and cluster is rendered.
type Target struct {
	Release, Namespace string
	// KubeVersion is that of the cluster; empty takes DefaultKubeVersion.
	KubeVersion string
	// APIVersions are the APIs that the cluster has beyond those of Kubernetes.
	APIVersions []string
}

// Object is an object of Kubernetes as it would be created.
type Object struct {
	// Source is the template it comes from.
	Source string
	// Text is its YAML, without a separator.
	Text string
	// Hook says whether Helm creates it apart from the others.
	Hook bool

	APIVersion, Kind, Namespace, Name string
}

// Render makes the objects of the chart, in the order in which they would be
// created. Problems of the values come as Problems.
func Render(ctx context.Context, target Target, values Values) ([]Object, error) {
	umbrella, err := load(charts.Files, chartFolder)
	if err != nil {
		return nil, err
	}
	return render(ctx, umbrella, target, values)
}

func render(ctx context.Context, c *chart.Chart, target Target, values Values) ([]Object, error) {
	if err := check(c, values); err != nil {
		return nil, err
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ClientOnly, install.DryRun, install.DryRunOption = true, true, "client"
	install.ReleaseName, install.Namespace = target.Release, target.Namespace
	install.APIVersions = chartutil.VersionSet(target.APIVersions)
	install.SkipSchemaValidation = true // check says it better
	version, err := chartutil.ParseKubeVersion(cmp.Or(target.KubeVersion, DefaultKubeVersion))
	if err != nil {
		return nil, fmt.Errorf("version of Kubernetes: %w", err)
	}
	install.KubeVersion = version
	release, err := install.RunWithContext(ctx, c, values)
	if err != nil {
		return nil, explain(err)
	}
	var out []Object
	for _, hook := range release.Hooks {
		object, err := parseObject(hook.Path, hook.Manifest)
		if err != nil {
			return nil, err
		}
		object.Hook = true
		out = append(out, object)
	}
	for _, manifest := range manifests(release.Manifest) {
		object, err := parseObject("", manifest)
		if err != nil {
			return nil, err
		}
		out = append(out, object)
	}
	return out, nil
}

// manifests splits what Helm would send, in its order.
func manifests(text string) []string {
	parts := releaseutil.SplitManifests(text)
	keys := make([]string, 0, len(parts))
	for key := range parts {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) // manifest-2 before manifest-10
	out := make([]string, 0, len(keys))
	for _, key := range keys {
		out = append(out, parts[key])
	}
	return out
}

func parseObject(source, text string) (Object, error) {
	if first, rest, found := strings.Cut(text, "\n"); found && strings.HasPrefix(first, "# Source: ") {
		source, text = strings.TrimPrefix(first, "# Source: "), rest
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		return Object{}, fmt.Errorf("%s: %w", source, err)
	}
	return Object{
		Source: source, Text: strings.TrimSpace(text) + "\n",
		APIVersion: head.APIVersion, Kind: head.Kind, Namespace: head.Metadata.Namespace, Name: head.Metadata.Name,
	}, nil
}

// Write prints objects as one file of YAML.
func Write(to io.Writer, objects []Object) error {
	for _, o := range objects {
		if _, err := fmt.Fprintf(to, "---\n# Source: %s\n%s", o.Source, o.Text); err != nil {
			return fmt.Errorf("write objects: %w", err)
		}
	}
	return nil
}
