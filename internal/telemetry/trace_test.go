package telemetry

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTrace_InAContext(t *testing.T) {
	t.Parallel()

	require.Equal(t, Trace{}, TraceFrom(t.Context()))
	want := Trace{RequestID: "a", Parent: "b", State: "c"}
	ctx := WithTrace(t.Context(), want)
	require.Equal(t, want, TraceFrom(context.WithoutCancel(ctx)), "it outlives the client's wait")
}
