package strictjson

import (
	"strconv"
	"strings"
)

// Error says what is wrong at which place.
type Error struct {
	// Pointer is the JSON Pointer of the place; "" is the whole value.
	Pointer string
	// Reason is made for the one who wrote the JSON.
	Reason string
}

func (e *Error) Error() string {
	if e.Pointer == "" {
		return e.Reason
	}
	return e.Pointer + ": " + e.Reason
}

func wrong(pointer, reason string) *Error { return &Error{Pointer: pointer, Reason: reason} }

// longestStep bounds what a pointer repeats of a name, in bytes: names are a
// client's, and the pointer of each value inside repeats them.
const longestStep = 128

// Field appends a name to a JSON Pointer. A very long name is cut.
func Field(pointer, name string) string {
	if len(name) > longestStep {
		name = strings.ToValidUTF8(name[:longestStep], "") + "…"
	}
	return pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// Index appends a place in an array to a JSON Pointer.
func Index(pointer string, i int) string { return pointer + "/" + strconv.Itoa(i) }
