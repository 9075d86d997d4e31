package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The table of keys and the structs say the same: what is read has a field, and
// what has a field is read.
func TestKeyTable_AgreesWithTheStructs(t *testing.T) {
	t.Parallel()
	compareBlock(t, parseSchema(keyTable), "Config", reflect.TypeFor[GatewayFile]())
}

func compareBlock(t *testing.T, s schema, blockName string, kind reflect.Type) {
	t.Helper()
	fields := map[string]reflect.Type{}
	for i := range kind.NumField() {
		name, _, _ := strings.Cut(kind.Field(i).Tag.Get("yaml"), ",")
		fields[name] = kind.Field(i).Type
	}
	for _, name := range s.names(blockName) {
		k, _ := s.find(blockName, name)
		_, has := fields[name]
		require.Equal(t, has, k.use != ignored && k.use != refused, "%s.%s", blockName, name)
	}
	for name, of := range fields {
		k, ok := s.find(blockName, name)
		require.True(t, ok, "%s.%s", blockName, name)
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
			of = of.Elem()
		}
		if k.kind.block && of != reflect.TypeFor[Inherited]() {
			compareBlock(t, s, k.kind.base, of)
		}
	}
}

// A key that can be warned about says what happens instead, and every block
// that a key names is there.
func TestKeyTable_IsWhole(t *testing.T) {
	t.Parallel()
	s := parseSchema(keyTable)
	for name, b := range s {
		reached := false
		for _, k := range b.keys {
			reached = reached || k.use != ignored
			if k.kind.block {
				require.Contains(t, s, k.kind.base, "%s.%s", name, k.name)
			} else {
				require.Contains(t, []string{"string", "bool", "int", "number", "duration", "size", "any"}, k.kind.base, "%s.%s", name, k.name)
			}
		}
		for _, k := range b.keys {
			require.Equal(t, reached && k.use != read || name == "LegacyProjectFields", k.instead != "", "%s.%s", name, k.name)
		}
		for _, other := range b.others {
			require.Contains(t, s, other)
		}
	}
	require.Greater(t, len(s), 80)
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"endpoint", "evm", "id", "failsafe", "httpPort", "httpPortV4"}
	for typed, want := range map[string]string{
		"endpiont": "endpoint", "Endpoint": "endpoint", "failSafe": "failsafe", "htpPort": "httpPort",
		"ev": "evm", "colour": "", "x": "", "": "",
	} {
		require.Equal(t, want, nearest(typed, names), typed)
	}
}
