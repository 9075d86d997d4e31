//go:build e2e

package pods_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// previewBecomesProduction does what docs/network.md says, while clients read and
// send.
func previewBecomesProduction(t *testing.T, l *load) {
	t.Helper()
	require.Len(t, l.validators(t), 1)
	require.Contains(t, l.fail(t, append([]string{"upgrade"}, with("production")...)...), "[immutable]", "volumes keep their size")

	l.take()
	from := l.height(t)
	stop := l.start(t)
	began := time.Now()
	said := l.run(t, append([]string{"upgrade"}, grown()...)...)
	upgraded := time.Since(began)
	require.Contains(t, said, "slipway network validator add besu-node-validator-1")
	require.Len(t, l.validators(t), 1, "nobody has voted yet")
	requireNoRestarts(t, l)
	findings := l.run(t, "doctor", "--signer-token-file="+l.tokenFile(t))
	for i := 1; i < 4; i++ {
		name := fmt.Sprintf("besu-node-validator-%d", i)
		require.Contains(t, findings, name+"-0 runs as a validator and is not in the chain's set")
		l.run(t, "network", "validator", "add", name, "--timeout=2m")
		// The node that the gateway asks may be a block behind those that were asked.
		require.Eventually(t, func() bool { return len(l.validators(t)) == 1+i }, patience, lookEvery)
	}
	grew := time.Since(began)
	stop()
	_, _, failures := l.take()
	t.Logf("RESULT from preview to production under load: upgrade %.1f s, with votes %.1f s, %d requests failed, %s at most between two blocks",
		upgraded.Seconds(), grew.Seconds(), len(failures), l.longestPause(t, from, l.height(t)))
	for _, failure := range failures[:min(3, len(failures))] {
		t.Log("   ", failure)
	}
	l.requireAllMined(t)
	requireAllIsWell(t, l)
	require.Contains(t, l.run(t, "network", "validator", "add", "besu-node-validator-1"), "is a validator already")
}

// validatorIsTakenOut goes the way back by one, while clients read and send.
func validatorIsTakenOut(t *testing.T, l *load) {
	t.Helper()
	const last = "besu-node-validator-3"
	fewer := append([]string{"upgrade"}, with("production", "--set=global.networkNodes.validatorReplicaCount=3")...)
	refused := l.fail(t, fewer...)
	require.Contains(t, refused, "[quorum] "+last+" would go without being voted out: of 4 validators 3 would be left, and 3 must agree on every block")
	require.Contains(t, refused, "slipway network validator remove "+last)
	require.Contains(t, l.fail(t, "network", "validator", "remove", last), "with 3 validators none may fail")
	l.run(t, "network", "validator", "remove", last, "--timeout=2m", "--accept-no-fault-tolerance")
	// The node that the gateway asks may be a block behind those that were asked.
	require.Eventually(t, func() bool { return len(l.validators(t)) == 3 }, patience, lookEvery)
	rollsWithoutFailure(t, l, fewer...)
	_, err := l.api.CoreV1().Pods(l.namespace).Get(t.Context(), last+"-0", meta.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
	requireAllIsWell(t, l)
}

// requireNoRestarts: a node that starts before the bootstrap has written all that it
// reads waits for it.
func requireNoRestarts(t *testing.T, l *load) {
	t.Helper()
	pods, err := l.api.CoreV1().Pods(l.namespace).List(t.Context(), meta.ListOptions{LabelSelector: "app.kubernetes.io/name in (besu-node-validator, besu-node-rpc)"})
	require.NoError(t, err)
	for _, pod := range pods.Items {
		require.Zero(t, restarts(pod), pod.Name)
	}
}
