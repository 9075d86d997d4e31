package deploy

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServiceNames(t *testing.T) {
	t.Parallel()
	services := []service{{name: "gateway"}, {name: "validator-0", isHeadless: true, ready: 1}, {name: "validator-1", isHeadless: true}}
	require.Equal(t, []string{"gateway.atk.svc.k8s.example.", "validator-0.atk.svc.k8s.example."}, serviceNames(services, "atk", "svc.k8s.example"))
	require.Equal(t, []string{"gateway.atk.svc.cluster.local."}, serviceNames(services[:1], "atk", ""))
}

// A name server that never answers costs one limit, however many names there are.
func TestResolveAll_EndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		silent := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		began := time.Now()
		found := resolveAll(t.Context(), silent, []string{"a.example.", "b.example.", "c.example."})
		require.LessOrEqual(t, time.Since(began), lookUpWithin)
		require.Len(t, found, 3)
		for _, one := range found {
			require.Error(t, one.err)
		}
	})
}
