package telemetry

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNewLogger_LeavesOutWhatIsTooOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, err := NewLogger(&out, LogConfig{})
		require.NoError(t, err)
		for i := range 100 {
			log.With("component", "a").Warn("trouble", "n", i)
			log.Error("trouble")
			log.Info("news")
		}
		require.Equal(t, sampleLines, strings.Count(out.String(), `"level":"WARN","msg":"trouble","component":"a"`))
		require.Equal(t, sampleLines, strings.Count(out.String(), `"level":"ERROR"`))
		require.Equal(t, 100, strings.Count(out.String(), `"msg":"news"`))
		require.NotContains(t, out.String(), "left_out")

		<-time.After(sampleWindow)
		out.Reset()
		log.Warn("trouble")
		log.Warn("trouble")
		require.Equal(t, 1, strings.Count(out.String(), `"left_out":80`), out.String())
		require.Equal(t, 2, strings.Count(out.String(), "trouble"))
	})
}

func TestSampler_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := &samplerState{kinds: map[sampleKind]*sample{}}
	for i := range 10 * sampleKinds {
		passes, _ := s.take(sampleKind{message: fmt.Sprint(i)}, time.Unix(0, 0))
		require.True(t, passes)
		require.LessOrEqual(t, len(s.kinds), sampleKinds)
	}
}
