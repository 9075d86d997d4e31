package deploy

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/yaml"

	"github.com/slipwayhq/slipway/charts"
)

// Values are what a chart is rendered with, by key.
type Values = map[string]any

// Sources say where values come from. Later ones win: profiles, files, Set,
// SetString.
type Sources struct {
	// Profiles that come with the chart, such as production.
	Profiles []string
	// Files of values; - is standard input.
	Files []string
	// Set are single values as Helm has them: gateway.replicas=3.
	Set []string
	// SetString are the same, and texts whatever they look like.
	SetString []string
}

// maxValuesFile bounds a file of values, in bytes.
const maxValuesFile = 4 << 20

// Load reads all sources and lays them over each other.
func (s Sources) Load() (Values, error) {
	out := Values{}
	for _, name := range s.Profiles {
		text, err := profile(name)
		if err != nil {
			return nil, err
		}
		if err := overlay(out, "profile "+name, text); err != nil {
			return nil, err
		}
	}
	for _, path := range s.Files {
		text, err := readValues(path)
		if err != nil {
			return nil, err
		}
		if err := overlay(out, path, text); err != nil {
			return nil, err
		}
	}
	if err := setAll(out, "--set", s.Set, strvals.ParseInto); err != nil {
		return nil, err
	}
	if err := setAll(out, "--set-string", s.SetString, strvals.ParseIntoString); err != nil {
		return nil, err
	}
	return out, nil
}

func setAll(values Values, flag string, texts []string, set func(string, map[string]any) error) error {
	for _, text := range texts {
		if err := set(text, values); err != nil {
			key, _, _ := strings.Cut(text, "=") // what follows may be secret
			return fmt.Errorf("%s %s: not a value as key=value", flag, key)
		}
	}
	return nil
}

func profile(name string) ([]byte, error) {
	for _, pattern := range profileFiles() {
		if text, err := fs.ReadFile(charts.Files, strings.Replace(pattern, "*", name, 1)); err == nil {
			return text, nil
		}
	}
	known, err := Profiles()
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("there is no profile %q; there are %s", name, strings.Join(known, ", "))
}

func readValues(path string) ([]byte, error) {
	file := os.Stdin
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, fmt.Errorf("read values: %w", err)
		}
		defer file.Close()
	}
	text, err := io.ReadAll(io.LimitReader(file, maxValuesFile+1))
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	if len(text) > maxValuesFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxValuesFile)
	}
	return text, nil
}

// overlay lays a file over values.
func overlay(values Values, name string, text []byte) error {
	var file Values
	if err := yaml.Unmarshal(text, &file); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	merge(values, file)
	return nil
}

// merge lays values over others: sections key by key, all else as a whole.
func merge(below, above Values) {
	for key, value := range above {
		inner, isSection := value.(map[string]any)
		under, wasSection := below[key].(map[string]any)
		if isSection && wasSection {
			merge(under, inner)
			continue
		}
		below[key] = value
	}
}
