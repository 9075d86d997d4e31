package deploy

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"

	"github.com/slipwayhq/slipway/charts"
)

// chartFolder is where the umbrella chart lies in charts.Files.
const chartFolder = "slipway"

// load reads the chart in a folder of files, with the charts below it.
func load(files fs.FS, folder string) (*chart.Chart, error) {
	var buffered []*loader.BufferedFile
	err := fs.WalkDir(files, folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		buffered = append(buffered, &loader.BufferedFile{Name: strings.TrimPrefix(path, folder+"/"), Data: text})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the chart: %w", err)
	}
	out, err := loader.LoadFiles(buffered)
	if err != nil {
		return nil, fmt.Errorf("read the chart: %w", err)
	}
	return out, nil
}

// profileFiles are where sets of values lie that come with the chart: sizes, and
// what a platform needs. The latter have names under which Helm's users look.
func profileFiles() []string {
	return []string{chartFolder + "/profiles/*.yaml", chartFolder + "/values-*.yaml"}
}

// Profiles lists the sets of values that come with the chart.
func Profiles() ([]string, error) {
	var out []string
	for _, pattern := range profileFiles() {
		paths, err := fs.Glob(charts.Files, pattern)
		if err != nil {
			return nil, fmt.Errorf("list the profiles: %w", err)
		}
		before, after, _ := strings.Cut(pattern, "*")
		for _, path := range paths {
			out = append(out, strings.TrimSuffix(strings.TrimPrefix(path, before), after))
		}
	}
	slices.Sort(out)
	return out, nil
}
