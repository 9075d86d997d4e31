package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// checker holds a file's tree against the schema: unknown keys and values of
// the wrong kind are problems, keys without effect are warnings.
type checker struct {
	schema schema
	report *report
}

// spot is where the checker is.
type spot struct {
	path  string // with numbers: projects[0].networks[0]
	key   string // without: projects[].networks[]
	quiet bool   // below a key without effect: no more warnings
}

func (s spot) field(name string) spot {
	if s.path == "" {
		return spot{name, name, s.quiet}
	}
	return spot{s.path + "." + name, s.key + "." + name, s.quiet}
}

func (s spot) item(i int) spot {
	return spot{s.path + "[" + strconv.Itoa(i) + "]", s.key + "[]", s.quiet}
}

// section checks the keys of a block.
func (c *checker) section(n *node, blockName string, at spot) {
	for _, f := range n.fields {
		k, ok := c.schema.find(blockName, f.key)
		if !ok {
			c.unknown(f, blockName, at)
			continue
		}
		below := at.field(f.key)
		c.report.places[below.path] = f.at
		below.quiet = below.quiet || k.use != read
		if k.use != read && !at.quiet && !k.isNatural(f.value) {
			c.withoutEffect(k, f, below)
		}
		c.value(f.value, f.at, k.kind, below)
	}
}

// withoutEffect speaks of a key that does nothing: as an error where leaving it
// out would open what it was to close.
func (c *checker) withoutEffect(k key, f field, at spot) {
	if k.use == refused {
		c.report.failAt(f.at, at.key+": "+k.instead)
		return
	}
	c.report.warn(at.key, f.at, remark(k))
}

func remark(k key) string {
	if k.use == checked {
		return "read, but not applied yet, " + k.instead
	}
	return "not supported yet, " + k.instead
}

// isNatural says whether a value asks for nothing that does not happen anyway.
func (k key) isNatural(n *node) bool {
	return n.form == empty || n.form == scalar && k.natural != "" && n.text == k.natural ||
		n.form == section && len(n.fields) == 0 || n.form == list && len(n.items) == 0
}

// unknown reports a key nobody knows. The one it was meant to be is then not
// reported as missing.
func (c *checker) unknown(f field, blockName string, at spot) {
	text := strings.TrimSpace("unknown key " + quoted(f.key))
	if near := nearest(f.key, c.schema.names(blockName)); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
		c.report.wrong[at.field(near).path] = true
	}
	c.report.failAt(f.at, text)
}

// value checks what stands at a key.
func (c *checker) value(n *node, keyAt place, k kind, at spot) {
	switch {
	case n.form == empty || k.base == "any":
	case k.byName:
		if c.isForm(n, keyAt, section, at) {
			c.named(n, k, at)
		}
	case k.list && n.form == list:
		one := k
		one.list = false
		for i, item := range n.items {
			below := at.item(i)
			c.report.places[below.path] = item.at
			c.value(item, item.at, one, below)
		}
	case k.list && !k.orOne && (k.block || n.form != scalar):
		c.isForm(n, keyAt, list, at)
	case k.block:
		c.block(n, keyAt, k, at)
	case c.isForm(n, keyAt, scalar, at):
		c.scalar(n, k.base, at)
	}
}

func (c *checker) named(n *node, k kind, at spot) {
	one := k
	one.byName = false
	for _, f := range n.fields {
		c.report.places[at.field(f.key).path] = f.at
		c.value(f.value, f.at, one, at.field(f.key))
	}
}

func (c *checker) block(n *node, keyAt place, k kind, at spot) {
	if alone := c.schema[k.base].scalar; n.form == scalar && alone != "" {
		c.scalar(n, alone, at)
		return
	}
	if c.isForm(n, keyAt, section, at) {
		c.section(n, k.base, at)
	}
}

func (c *checker) isForm(n *node, keyAt place, want form, at spot) bool {
	if n.form == want {
		return true
	}
	where := n.at
	if n.form != scalar {
		where = keyAt
	}
	c.report.failValue(at.path, where, fmt.Sprintf("must be %s, is %s", want, n.form))
	return false
}

func (c *checker) scalar(n *node, base string, at spot) {
	if err := checkScalar(base, n.text); err != nil {
		c.report.failValue(at.path, n.at, err.Error())
	}
}

// checkScalar says whether a text is of a kind. Its errors do not repeat it.
func checkScalar(base, text string) error {
	switch base {
	case "bool":
		_, err := parseBool(text)
		return err
	case "int":
		_, err := parseInt(text)
		return err
	case "number":
		_, err := parseNumber(text)
		return err
	case "duration":
		_, err := parseDuration(text)
		return err
	case "size":
		var b ByteSize
		return b.UnmarshalText([]byte(text))
	default:
		return nil
	}
}

func parseBool(text string) (bool, error) {
	switch text {
	case "true", "True", "TRUE":
		return true, nil
	case "false", "False", "FALSE":
		return false, nil
	default:
		return false, errors.New("must be true or false")
	}
}

func parseInt(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		return 0, errors.New("must be a whole number")
	}
	return n, nil
}

func parseNumber(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n != n || n > 1e300 || n < -1e300 {
		return 0, errors.New("must be a number")
	}
	return n, nil
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New("must be a duration with its unit, such as 500ms or 30s")
	}
	if d < 0 {
		return 0, errors.New("must not be negative")
	}
	return d, nil
}
