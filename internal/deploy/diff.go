package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"sigs.k8s.io/yaml"
)

// Change is what an operation would do to an object.
type Change struct {
	// Action is create, change or delete.
	Action string `json:"action"`
	Object string `json:"object"`
	// Diff is in the unified format; values of Secrets are not in it.
	Diff string `json:"diff"`
}

// diffContext is how many equal lines stand around a difference.
const diffContext = 3

// changesBetween compares two sets of objects. The names of jobs that are made
// anew with every revision count as equal.
func changesBetween(before, after []Object) ([]Change, error) {
	was, err := byName(before)
	if err != nil {
		return nil, err
	}
	is, err := byName(after)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(was))
	for name := range is {
		if _, had := was[name]; !had {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []Change
	for _, name := range names {
		old, had := was[name]
		now, has := is[name]
		change := Change{Action: "change", Object: name}
		switch {
		case had && has && old.Text == now.Text:
			continue
		case !had:
			change.Action = "create"
		case !has:
			change.Action = "delete"
		}
		oldText, newText, err := redactBoth(old, now)
		if err != nil {
			return nil, err
		}
		change.Diff, err = difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
			A: difflib.SplitLines(oldText), B: difflib.SplitLines(newText), FromFile: "installed/" + name, ToFile: "wanted/" + name, Context: diffContext,
		})
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", name, err)
		}
		out = append(out, change)
	}
	return out, nil
}

// anyOf are the objects of several sets, of which nobody knows which is
// installed, the newest last: of each object the newest text that is not the
// wanted one, so that it shows as a change.
func anyOf(sets [][]Object, wanted []Object) ([]Object, error) {
	is, err := byName(wanted)
	if err != nil {
		return nil, err
	}
	out := make(map[string]Object)
	for _, set := range sets {
		was, err := byName(set)
		if err != nil {
			return nil, err
		}
		for name, object := range was {
			if _, had := out[name]; !had || object.Text != is[name].Text {
				out[name] = object
			}
		}
	}
	return slices.Collect(maps.Values(out)), nil
}

// byName keys objects by kind and name, without the revision that is part of
// the bootstrap job's name.
func byName(objects []Object) (map[string]Object, error) {
	out := make(map[string]Object, len(objects))
	for _, o := range objects {
		if number, found := strings.CutPrefix(o.Name, "bootstrap-"); found && o.Kind == "Job" {
			o.Text = strings.ReplaceAll(o.Text, "bootstrap-"+number, "bootstrap-REVISION")
			o.Name = "bootstrap-REVISION"
		}
		name := o.Kind + " " + o.Name
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("there are two objects %s", name)
		}
		out[name] = o
	}
	return out, nil
}

// redactBoth gives the texts of two versions of an object. Of a Secret's values
// they show only whether they are the same.
func redactBoth(old, now Object) (oldText, newText string, err error) {
	if old.Kind != "Secret" && now.Kind != "Secret" {
		return old.Text, now.Text, nil
	}
	was, err := parseSecret(old.Text)
	if err != nil {
		return "", "", err
	}
	is, err := parseSecret(now.Text)
	if err != nil {
		return "", "", err
	}
	for _, section := range []string{"data", "stringData"} {
		before, _ := was[section].(map[string]any)
		after, _ := is[section].(map[string]any)
		for key, value := range after {
			if old, had := before[key]; had && old != value {
				after[key] = "<another value>"
				continue
			}
			after[key] = "<value>"
		}
		for key := range before {
			before[key] = "<value>"
		}
	}
	if oldText, err = secretText(was); err != nil {
		return "", "", err
	}
	newText, err = secretText(is)
	return oldText, newText, err
}

func parseSecret(text string) (map[string]any, error) {
	var out map[string]any
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("a Secret is not YAML") //nolint:err113 // the cause would show it
	}
	return out, nil
}

func secretText(secret map[string]any) (string, error) {
	if secret == nil {
		return "", nil
	}
	text, err := yaml.Marshal(secret)
	return string(text), err
}
