// Package strictjson reads JSON that somebody wrote to have money moved. What
// encoding/json forgives is refused here, since each of it hides a mistake or
// an attack: a name that is not known (a misspelt field would silently not
// count), a name that occurs twice or in another case (two readers would see two
// different requests), text after the value, and nesting without end.
//
// Every error is an *Error with the JSON Pointer (RFC 6901) of the place, and
// never repeats a value.
package strictjson
