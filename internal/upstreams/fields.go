package upstreams

import "context"

// Field is a header field of a client's request that goes on to the nodes. Its
// name is in canonical form.
type Field struct{ Name, Value string }

// fieldsKey is the key of fields in a context.
type fieldsKey struct{}

// WithFields returns a context under which requests to nodes carry header fields
// of a client. A node for which the configuration has a field of that name gets
// the configured one. The fields must not be changed any more.
func WithFields(ctx context.Context, fields []Field) context.Context {
	return context.WithValue(ctx, fieldsKey{}, fields)
}

func fieldsFrom(ctx context.Context) []Field {
	fields, _ := ctx.Value(fieldsKey{}).([]Field)
	return fields
}
