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

// Profiles lists the sets of values that come with the chart.
func Profiles() ([]string, error) {
	paths, err := fs.Glob(charts.Files, chartFolder+"/profiles/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the profiles: %w", err)
	}
	out := make([]string, 0, len(paths))
	for _, path := range paths {
		name := path[strings.LastIndexByte(path, '/')+1:]
		out = append(out, strings.TrimSuffix(name, ".yaml"))
	}
	slices.Sort(out)
	return out, nil
}
