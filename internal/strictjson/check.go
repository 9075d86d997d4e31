package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxDepth is the deepest nesting that is read. Nothing that is asked of the
// signer needs more; readers that recurse are safe with it.
const MaxDepth = 32

// Check reads one JSON value and says whether it is well-formed, no deeper than
// MaxDepth, in UTF-8 and without a name that occurs twice in one object.
func Check(text []byte) error {
	if isFine(text, nil) {
		return nil
	}
	return check(text)
}

// check finds what is wrong, and where.
func check(text []byte) error {
	if !utf8.Valid(text) {
		return wrong("", "the body is not JSON: it is not UTF-8")
	}
	c := checker{json: json.NewDecoder(bytes.NewReader(text))}
	c.json.UseNumber()
	if err := c.value(); err != nil {
		return err
	}
	if _, err := c.json.Token(); !errors.Is(err, io.EOF) {
		return wrong("", "the body has text after its JSON value")
	}
	return nil
}

// checker walks through a value. Where it is becomes a text only for an error:
// made for each element of a list, the text would cost the length of the list
// times that of the names around it.
type checker struct {
	json *json.Decoder
	way  []step // from the whole value to the one that is read
}

// step is the name of a field, or the place in a list.
type step struct {
	name   string
	index  int
	isList bool
}

// at is the JSON Pointer of the value that is read.
func (c *checker) at() string {
	var pointer string
	for _, s := range c.way {
		if s.isList {
			pointer = Index(pointer, s.index)
		} else {
			pointer = Field(pointer, s.name)
		}
	}
	return pointer
}

// inside checks the value behind one more step.
func (c *checker) inside(s step) error {
	c.way = append(c.way, s)
	if err := c.value(); err != nil {
		return err
	}
	c.way = c.way[:len(c.way)-1]
	return nil
}

func (c *checker) value() error {
	token, err := c.json.Token()
	if err != nil {
		return syntaxError(err)
	}
	delim, isDelim := token.(json.Delim)
	if !isDelim {
		return nil
	}
	if len(c.way) == MaxDepth {
		return wrong(c.at(), fmt.Sprintf("is nested more than %d deep", MaxDepth))
	}
	if delim == '[' {
		return c.array()
	}
	return c.object()
}

func (c *checker) array() error {
	for i := 0; c.json.More(); i++ {
		if err := c.inside(step{index: i, isList: true}); err != nil {
			return err
		}
	}
	_, err := c.json.Token()
	return syntaxError(err)
}

func (c *checker) object() error {
	seen := map[string]bool{}
	for c.json.More() {
		token, err := c.json.Token()
		if err != nil {
			return syntaxError(err)
		}
		name, isName := token.(string)
		if !isName {
			return wrong(c.at(), "the body is not JSON: a name must be a text")
		}
		if seen[name] {
			return wrong(Field(c.at(), name), "the name occurs twice in its object")
		}
		seen[name] = true
		if err := c.inside(step{name: name}); err != nil {
			return err
		}
	}
	_, err := c.json.Token()
	return syntaxError(err)
}

// syntaxError says what is wrong without repeating what was sent.
func syntaxError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return wrong("", fmt.Sprintf("the body is not JSON: error at byte %d", syntax.Offset))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return wrong("", "the body is not JSON: it ends too early")
	default:
		return wrong("", "the body is not JSON")
	}
}
