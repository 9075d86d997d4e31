package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"helm.sh/helm/v3/pkg/chart"
)

// Problem is something wrong with a value.
type Problem struct {
	// Key is where: global.chainId.
	Key string
	// What is wrong, and what would be right. It never shows the value.
	What string
}

// Problems are all that is wrong with the values.
type Problems []Problem

// Error lists them, one a line.
func (p Problems) Error() string {
	lines := make([]string, 0, len(p))
	for _, one := range p {
		lines = append(lines, one.Key+": "+one.What)
	}
	return strings.Join(lines, "\n")
}

// check looks at the values of a chart and of the charts below it.
func check(c *chart.Chart, values Values) error {
	problems, err := checkChart(c, "", values)
	if err != nil {
		return err
	}
	if len(problems) == 0 {
		return nil
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Key+a.What, b.Key+b.What) })
	return slices.Compact(problems)
}

func checkChart(c *chart.Chart, prefix string, values Values) (Problems, error) {
	schema, err := parseSchema(c)
	if err != nil {
		return nil, err
	}
	problems, err := schema.check(prefix, values)
	if err != nil {
		return nil, fmt.Errorf("values of chart %s: %w", c.Name(), err)
	}
	for _, sub := range c.Dependencies() {
		inner, isSection := values[sub.Name()].(map[string]any)
		if !isSection {
			continue
		}
		more, err := checkChart(sub, prefix+sub.Name()+".", inner)
		if err != nil {
			return nil, err
		}
		problems = append(problems, more...)
	}
	return problems, nil
}

// schema is the values.schema.json of a chart.
type schema struct {
	compiled *jsonschema.Schema
	raw      map[string]any
}

func parseSchema(c *chart.Chart) (schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.Schema))
	if err != nil {
		return schema{}, fmt.Errorf("schema of chart %s: %w", c.Name(), err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("values.schema.json", document); err != nil {
		return schema{}, fmt.Errorf("schema of chart %s: %w", c.Name(), err)
	}
	compiled, err := compiler.Compile("values.schema.json")
	if err != nil {
		return schema{}, fmt.Errorf("schema of chart %s: %w", c.Name(), err)
	}
	raw, _ := document.(map[string]any)
	return schema{compiled, raw}, nil
}

func (s schema) check(prefix string, values Values) (Problems, error) {
	err := s.compiled.Validate(withoutNulls(values))
	if err == nil {
		return nil, nil
	}
	var failed *jsonschema.ValidationError
	if !errors.As(err, &failed) {
		return nil, err
	}
	var out Problems
	for _, leaf := range leaves(failed) {
		out = append(out, s.describe(prefix, leaf)...)
	}
	return out, nil
}

// withoutNulls leaves out keys that are null: they take a default away.
func withoutNulls(values Values) Values {
	out := make(Values, len(values))
	for key, value := range values {
		switch value := value.(type) {
		case nil:
		case map[string]any:
			out[key] = withoutNulls(value)
		default:
			out[key] = value
		}
	}
	return out
}

func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var out []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		out = append(out, leaves(cause)...)
	}
	return out
}

func (s schema) describe(prefix string, e *jsonschema.ValidationError) Problems {
	key := prefix + strings.Join(e.InstanceLocation, ".")
	switch what := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		known := s.keysAt(e.InstanceLocation)
		var out Problems
		for _, unknown := range what.Properties {
			out = append(out, Problem{joinKey(key, unknown), "there is no such key" + suggestion(unknown, known)})
		}
		return out
	case *kind.Pattern:
		return Problems{{key, "must match " + what.Want + s.meaning(e.InstanceLocation)}}
	case *kind.Enum:
		return Problems{{key, fmt.Sprintf("must be one of %v", what.Want)}}
	case *kind.Minimum:
		return Problems{{key, "must be at least " + what.Want.RatString() + s.meaning(e.InstanceLocation)}}
	case *kind.Maximum:
		return Problems{{key, "must be at most " + what.Want.RatString() + s.meaning(e.InstanceLocation)}}
	case *kind.Type:
		how := ""
		if what.Got == "number" && slices.Contains(what.Want, "string") {
			how = ": put it into quotes, or use --set-string"
		}
		return Problems{{key, fmt.Sprintf("must be %s, not %s%s%s", strings.Join(what.Want, " or "), what.Got, how, s.meaning(e.InstanceLocation))}}
	default:
		return Problems{{key, e.ErrorKind.LocalizedString(message.NewPrinter(language.English))}}
	}
}

func joinKey(section, key string) string {
	if section == "" || strings.HasSuffix(section, ".") {
		return section + key
	}
	return section + "." + key
}

// at is the schema of a key.
func (s schema) at(path []string) map[string]any {
	here := s.raw
	for _, key := range path {
		if _, err := strconv.Atoi(key); err == nil {
			here, _ = here["items"].(map[string]any)
			continue
		}
		properties, _ := here["properties"].(map[string]any)
		next, found := properties[key].(map[string]any)
		if !found {
			next, _ = here["additionalProperties"].(map[string]any)
		}
		here = next
	}
	return here
}

func (s schema) keysAt(path []string) []string {
	properties, _ := s.at(path)["properties"].(map[string]any)
	out := make([]string, 0, len(properties))
	for key := range properties {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

func (s schema) meaning(path []string) string {
	text, _ := s.at(path)["description"].(string)
	if text == "" {
		return ""
	}
	return " (" + strings.TrimSuffix(text, ".") + ")"
}

// suggestion names the known key that is nearest to an unknown one.
func suggestion(unknown string, known []string) string {
	best, least := "", len(unknown)/2+1
	for _, key := range known {
		if d := distance(strings.ToLower(unknown), strings.ToLower(key)); d <= least {
			best, least = key, d-1
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is how many letters must be changed, added or taken out (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// explain takes what a template says with fail out of Helm's words around it.
func explain(err error) error {
	text := err.Error()
	for _, before := range []string{"error calling fail: ", "execution error at ("} {
		_, said, found := strings.Cut(text, before)
		if found && strings.HasSuffix(before, "(") {
			_, said, found = strings.Cut(said, "): ")
		}
		if !found {
			continue
		}
		if key, what, keyed := strings.Cut(said, ": "); keyed && !strings.Contains(key, " ") {
			return Problems{{key, what}}
		}
		return errors.New(said)
	}
	return fmt.Errorf("render the chart: %w", err)
}
