//go:build failpoints

package failpoint

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()
	points, err := parse("a:1,b:3:stop,c:2:sleep=50ms,d:1:error,e:4:error=2,f:1:sleep=10h")
	require.NoError(t, err)
	require.Len(t, points, 6)
	require.Equal(t, "kill", points["a"].action)
	require.EqualValues(t, 3, points["b"].nth)
	require.Equal(t, 50*time.Millisecond, points["c"].sleep)
	require.EqualValues(t, 2, points["e"].times)
	require.Equal(t, maxSleep, points["f"].sleep)

	for _, bad := range []string{"a", "a:0", "a:x", "a:1:explode", "a:1:sleep=x", "a:1:kill=2", "a:1:b:c"} {
		_, err := parse(bad)
		require.Error(t, err, bad)
	}
}
