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
	if !utf8.Valid(text) {
		return wrong("", "the body is not JSON: it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := checkValue(d, "", 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return wrong("", "the body has text after its JSON value")
	}
	return nil
}

func checkValue(d *json.Decoder, at string, depth int) error {
	token, err := d.Token()
	if err != nil {
		return syntaxError(err)
	}
	delim, isDelim := token.(json.Delim)
	if !isDelim {
		return nil
	}
	if depth == MaxDepth {
		return wrong(at, fmt.Sprintf("is nested more than %d deep", MaxDepth))
	}
	if delim == '[' {
		return checkArray(d, at, depth)
	}
	return checkObject(d, at, depth)
}

func checkArray(d *json.Decoder, at string, depth int) error {
	for i := 0; d.More(); i++ {
		if err := checkValue(d, Index(at, i), depth+1); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return syntaxError(err)
}

func checkObject(d *json.Decoder, at string, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return syntaxError(err)
		}
		name, isName := token.(string)
		if !isName {
			return wrong(at, "the body is not JSON: a name must be a text")
		}
		if seen[name] {
			return wrong(Field(at, name), "the name occurs twice in its object")
		}
		seen[name] = true
		if err := checkValue(d, Field(at, name), depth+1); err != nil {
			return err
		}
	}
	_, err := d.Token()
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
