//go:build !failpoints

package failpoint

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is shipped cannot be stopped by its environment.
func TestOff_TheEnvironmentDoesNothing(t *testing.T) {
	t.Setenv("SIGNER_FAILPOINT", "here:1,there:1:error")
	t.Setenv("SIGNER_CLOCK", "1h")

	Hit("here")

	require.NoError(t, Error("there"))
	require.Equal(t, t.Context(), OnWritten(t.Context(), "here"))
	require.WithinDuration(t, time.Now(), Now(), time.Minute)
	require.False(t, Enabled)
}
