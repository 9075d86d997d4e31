package embedpg

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestServer_StopWhileStartingIsNoFailure(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Dir: tempDir(t)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	require.NoError(t, s.Run(ctx, func() { t.Error("must not become ready") }))
}
