package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipwayhq/slipway/internal/deploy"
)

// chartValues are the flags that say what a chart is rendered with.
type chartValues struct {
	Values    []string `short:"f" help:"File of values; - is standard input. Repeatable, later ones win." placeholder:"FILE" sep:"none"`
	Set       []string `help:"Single value, over all files: gateway.replicas=3. Repeatable." placeholder:"KEY=VALUE" sep:"none"`
	SetString []string `help:"The same for texts that look like numbers: global.chainId=1337. Repeatable." placeholder:"KEY=VALUE" sep:"none"`
	Profile   []string `help:"Values that come with the chart, below all files: preview, production. Repeatable." placeholder:"NAME"`
}

// chartTarget are the flags that say for which cluster.
type chartTarget struct {
	Namespace   string   `short:"n" default:"slipway" help:"Namespace."`
	Release     string   `default:"slipway" help:"Name of the release."`
	APIVersions []string `name:"api-versions" help:"APIs that the cluster has, such as route.openshift.io/v1." placeholder:"GROUP/VERSION"`
	KubeVersion string   `help:"Version of the cluster." placeholder:"VERSION"`
}

type renderCmd struct {
	chartValues
	chartTarget

	OutputDir string `help:"Folder for a file of each template, instead of standard output." placeholder:"DIR"`
}

func (v chartValues) load() (deploy.Values, error) {
	return deploy.Sources{Profiles: v.Profile, Files: v.Values, Set: v.Set, SetString: v.SetString}.Load()
}

func (t chartTarget) target() deploy.Target {
	return deploy.Target{Release: t.Release, Namespace: t.Namespace, APIVersions: t.APIVersions, KubeVersion: t.KubeVersion}
}

func (r *renderCmd) run(ctx context.Context, stdout io.Writer) error {
	values, err := r.load()
	if err != nil {
		return err
	}
	objects, err := deploy.Render(ctx, r.target(), values)
	if err != nil {
		return err
	}
	if r.OutputDir == "" {
		return deploy.Write(stdout, objects)
	}
	return writeFolder(r.OutputDir, objects)
}

// writeFolder writes the objects of each template into a file.
func writeFolder(folder string, objects []deploy.Object) error {
	bySource := make(map[string][]deploy.Object)
	for _, object := range objects {
		bySource[object.Source] = append(bySource[object.Source], object)
	}
	for source, of := range bySource {
		path := filepath.Join(folder, filepath.FromSlash(source))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return fmt.Errorf("write objects: %w", err)
		}
		var text strings.Builder
		if err := deploy.Write(&text, of); err != nil {
			return err
		}
		// Values may hold passwords.
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			return fmt.Errorf("write objects: %w", err)
		}
	}
	return nil
}
