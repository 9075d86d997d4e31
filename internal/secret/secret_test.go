package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestString_NeverPrintsItsValue(t *testing.T) {
	t.Parallel()

	type holder struct {
		Key    String
		hidden String
	}
	s := New("hunter2")

	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", s, "holder", holder{s, s})
	marshalled, err := json.Marshal(map[string]any{"k": s, "h": holder{s, s}})
	require.NoError(t, err)

	out := log.String() + string(marshalled) + fmt.Sprint(s, holder{s, s}, &s, &holder{s, s}, []any{holder{s, s}}) + fmt.Sprintf("%v %+v %#v %s %q %x", s, holder{s, s}, holder{s, s}, s, s, s)
	require.NotContains(t, out, "hunter2")
	require.NotContains(t, out, fmt.Sprintf("%x", "hunter2"))
	require.Equal(t, "hunter2", s.Reveal())
}

func TestString_ReadsText(t *testing.T) {
	t.Parallel()

	var s String
	require.True(t, s.IsEmpty())
	require.NoError(t, s.UnmarshalText([]byte("abc")))
	require.Equal(t, "abc", s.Reveal())
}
