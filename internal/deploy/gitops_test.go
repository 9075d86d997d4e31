package deploy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// fromFolder renders what was written for a GitOps tool, as such a tool does:
// with the chart and the files of values that are named there.
func fromFolder(t *testing.T, folder string, target Target, files ...string) []Object {
	t.Helper()
	c, err := load(os.DirFS(folder), chartInFolder)
	require.NoError(t, err)
	read := Sources{}
	for _, file := range files {
		read.Files = append(read.Files, filepath.Join(folder, chartInFolder, file))
	}
	v, err := read.Load()
	require.NoError(t, err)
	objects, err := render(t.Context(), c, target, v)
	require.NoError(t, err)
	return objects
}

func TestGitOps_RendersWhatInstallDoes(t *testing.T) {
	t.Parallel()
	target := Target{Release: "slipway", Namespace: "atk"}
	for name, v := range map[string]Values{
		"defaults":   {},
		"everything": values(t, everything),
		"production": loaded(t, Sources{Profiles: []string{"production"}, Set: []string{"global.chainName=Mine"}}),
	} {
		objects, err := Render(t.Context(), target, v)
		require.NoError(t, err, name)

		helmfile, err := Helmfile(target, v, objects)
		require.NoError(t, err, name)
		folder := t.TempDir()
		require.NoError(t, WriteFolder(folder, helmfile))
		var file struct {
			Releases []struct {
				Name, Namespace, Chart string
				Values                 []string
			}
		}
		readYAML(t, filepath.Join(folder, "helmfile.yaml"), &file)
		require.Len(t, file.Releases, 1)
		one := file.Releases[0]
		require.Equal(t, "./chart", one.Chart)
		require.Equal(t, []string{"values.yaml"}, one.Values)
		require.Equal(t, objects, fromFolder(t, folder, Target{Release: one.Name, Namespace: one.Namespace}, "../values.yaml"), name)

		argo, err := Argo(target, v, objects, Source{Repository: "https://git.example/x.git", Path: "deploy", Revision: "main"})
		require.NoError(t, err, name)
		folder = t.TempDir()
		require.NoError(t, WriteFolder(folder, argo))
		var app application
		readYAML(t, filepath.Join(folder, "apps", "slipway.yaml"), &app)
		require.Equal(t, "deploy/chart", app.Spec.Source.Path)
		require.Equal(t, objects, fromFolder(t, folder, Target{Release: app.Spec.Source.Helm.ReleaseName, Namespace: app.Spec.Destination.Namespace},
			app.Spec.Source.Helm.ValueFiles...), name)
		var root application
		readYAML(t, filepath.Join(folder, "root.yaml"), &root)
		require.Equal(t, "deploy/apps", root.Spec.Source.Path)
	}
}

type application struct {
	Kind string `json:"kind"`
	Spec struct {
		Source struct {
			Path string `json:"path"`
			Helm struct {
				ReleaseName string   `json:"releaseName"`
				ValueFiles  []string `json:"valueFiles"`
			} `json:"helm"`
		} `json:"source"`
		Destination struct {
			Namespace string `json:"namespace"`
		} `json:"destination"`
		Template struct {
			Spec struct {
				Source struct {
					Helm struct {
						ValueFiles []string `json:"valueFiles"`
					} `json:"helm"`
				} `json:"source"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into))
}

func loaded(t *testing.T, s Sources) Values {
	t.Helper()
	v, err := s.Load()
	require.NoError(t, err)
	return v
}

func TestGitOps_EnvironmentsAreTheUsers(t *testing.T) {
	t.Parallel()
	target := Target{Release: "slipway", Namespace: "atk"}
	objects, err := Render(t.Context(), target, Values{})
	require.NoError(t, err)
	from := Source{Repository: "r", Revision: "main", Environments: map[string]string{"test": "atk-test", "prod": "atk"}}
	files, err := Argo(target, Values{}, objects, from)
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, WriteFolder(folder, files))
	var set application
	readYAML(t, filepath.Join(folder, "apps", "slipway.yaml"), &set)
	require.Equal(t, "ApplicationSet", set.Kind)
	require.Equal(t, []string{"../values.yaml", "../environments/{{.name}}.yaml"}, set.Spec.Template.Spec.Source.Helm.ValueFiles)
	require.Equal(t, objects, fromFolder(t, folder, target, "../values.yaml", "../environments/prod.yaml"))

	mine := filepath.Join(folder, "environments", "prod.yaml")
	require.NoError(t, os.WriteFile(mine, []byte("gateway: {replicas: 5}\n"), 0o600))
	require.NoError(t, WriteFolder(folder, files))
	text, err := os.ReadFile(mine)
	require.NoError(t, err)
	require.Contains(t, string(text), "replicas: 5")
}

func TestGitOps_RefusesPasswords(t *testing.T) {
	t.Parallel()
	v := values(t, "global: {datastores: {default: {postgresql: {password: hunter2}}}}")
	objects, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, v)
	require.NoError(t, err)
	_, err = Helmfile(Target{}, v, objects)
	require.ErrorIs(t, err, ErrSecretInGit)
	require.NotContains(t, err.Error(), "hunter2")
}
