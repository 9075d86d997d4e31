package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/slipwayhq/slipway/charts"
)

// Source says where a GitOps tool finds what was written.
type Source struct {
	// Repository is the URL of the Git repository, Path the folder in it, and
	// Revision the branch, tag or commit.
	Repository, Path, Revision string
	// Environments are namespaces by name, for an ApplicationSet with one
	// Application each; with none there is one Application.
	Environments map[string]string
}

// ErrSecretInGit says that what would be written has a secret in it.
var ErrSecretInGit = errors.New("the values have passwords in them, and a repository is no place for these")

// File is a file to be written.
type File struct {
	Path string // with slashes, relative
	Text []byte
}

// The release in a written folder, as both tools find it.
const (
	chartInFolder  = "chart"
	valuesInFolder = "values.yaml"
)

// checkNoSecrets refuses values that render into Secrets with something in it.
func checkNoSecrets(objects []Object) error {
	for _, o := range objects {
		if o.Kind != "Secret" {
			continue
		}
		secret, err := parseSecret(o.Text)
		if err != nil {
			return err
		}
		for _, section := range []string{"data", "stringData"} {
			if inner, _ := secret[section].(map[string]any); len(inner) > 0 {
				return fmt.Errorf("%w: Secret %s; use existingSecret, or leave the password out and the bootstrap job makes one", ErrSecretInGit, o.Name)
			}
		}
	}
	return nil
}

// shared are the files that every tool reads: the chart as it is embedded here,
// and the values.
func shared(values Values) ([]File, error) {
	var out []File
	err := fs.WalkDir(charts.Files, chartFolder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(charts.Files, path)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		out = append(out, File{chartInFolder + strings.TrimPrefix(path, chartFolder), text})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the chart: %w", err)
	}
	text, err := yaml.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("write the values: %w", err)
	}
	return append(out, File{valuesInFolder, text}), nil
}

// Helmfile gives a folder for helmfile whose release is the one that Install
// would make of the same values. objects are those it renders.
func Helmfile(target Target, values Values, objects []Object) ([]File, error) {
	if err := checkNoSecrets(objects); err != nil {
		return nil, err
	}
	out, err := shared(values)
	if err != nil {
		return nil, err
	}
	return add(out, "helmfile.yaml", map[string]any{
		"helmDefaults": map[string]any{"createNamespace": true, "wait": true, "waitForJobs": true, "timeout": 900},
		"releases": []any{map[string]any{
			"name": target.Release, "namespace": target.Namespace, "chart": "./" + chartInFolder, "values": []any{valuesInFolder},
		}},
	})
}

// Argo gives a folder for Argo CD: root.yaml is the Application to be applied by
// hand, and what it finds in apps is one Application, or an ApplicationSet with
// one for each environment.
func Argo(target Target, values Values, objects []Object, from Source) ([]File, error) {
	if err := checkNoSecrets(objects); err != nil {
		return nil, err
	}
	out, err := shared(values)
	if err != nil {
		return nil, err
	}
	apps := map[string]any{
		"project":     "default",
		"source":      map[string]any{"repoURL": from.Repository, "targetRevision": from.Revision, "path": joinPath(from.Path, "apps")},
		"destination": map[string]any{"server": inCluster, "namespace": "argocd"},
		"syncPolicy":  map[string]any{"automated": map[string]any{"prune": true, "selfHeal": true}},
	}
	if out, err = add(out, "root.yaml", argoObject("Application", target.Release+"-apps", apps)); err != nil {
		return nil, err
	}
	if len(from.Environments) == 0 {
		spec := applicationSpec(target.Release, target.Namespace, from)
		return add(out, "apps/"+target.Release+".yaml", argoObject("Application", target.Release, spec))
	}
	var elements []any
	for _, environment := range slices.Sorted(maps.Keys(from.Environments)) {
		elements = append(elements, map[string]any{"name": environment, "namespace": from.Environments[environment]})
		// What an environment has of its own lies over the values of all.
		out = append(out, File{"environments/" + environment + ".yaml", []byte("# Values of " + environment + " over those of all environments.\n{}\n")})
	}
	spec := applicationSpec(target.Release, "{{.namespace}}", from, "../environments/{{.name}}.yaml")
	return add(out, "apps/"+target.Release+".yaml", argoObject("ApplicationSet", target.Release, map[string]any{
		"goTemplate": true, "goTemplateOptions": []any{"missingkey=error"},
		"generators": []any{map[string]any{"list": map[string]any{"elements": elements}}},
		"template":   map[string]any{"metadata": map[string]any{"name": target.Release + "-{{.name}}"}, "spec": spec},
	}))
}

// inCluster is how Argo CD calls the cluster it runs in.
const inCluster = "https://kubernetes.default.svc"

func applicationSpec(release, namespace string, from Source, moreValues ...any) map[string]any {
	return map[string]any{
		"project": "default",
		"source": map[string]any{
			"repoURL": from.Repository, "targetRevision": from.Revision, "path": joinPath(from.Path, chartInFolder),
			"helm": map[string]any{"releaseName": release, "valueFiles": append([]any{"../" + valuesInFolder}, moreValues...)},
		},
		"destination": map[string]any{"server": inCluster, "namespace": namespace},
		"syncPolicy": map[string]any{
			"automated": map[string]any{"prune": true, "selfHeal": true},
			// Server-side: the objects are larger than the annotation of the other way.
			"syncOptions":              []any{"CreateNamespace=true", "ServerSideApply=true"},
			"managedNamespaceMetadata": map[string]any{"labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted"}},
		},
	}
}

func argoObject(kind, name string, spec map[string]any) map[string]any {
	return map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": kind,
		"metadata": map[string]any{"name": name, "namespace": "argocd"}, "spec": spec,
	}
}

func joinPath(parts ...string) string { return strings.TrimPrefix(strings.Join(parts, "/"), "/") }

func add(files []File, path string, content any) ([]File, error) {
	text, err := yaml.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return append(files, File{path, text}), nil
}

// WriteFolder writes files below a folder. Files that are there are replaced,
// except those of environments, which are the user's.
func WriteFolder(folder string, files []File) error {
	for _, file := range files {
		path := filepath.Join(folder, filepath.FromSlash(file.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return fmt.Errorf("write %s: %w", file.Path, err)
		}
		if _, err := os.Stat(path); err == nil && strings.HasPrefix(file.Path, "environments/") {
			continue
		}
		if err := os.WriteFile(path, file.Text, 0o600); err != nil {
			return fmt.Errorf("write %s: %w", file.Path, err)
		}
	}
	return nil
}
