package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/deploy"
)

// nowhere is a kubeconfig of a cluster that is not there.
func nowhere(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"c",
"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}],"contexts":[{"name":"c","context":{"cluster":"c"}}]}`), 0o600))
	return path
}

func TestRelease_ClusterThatIsAway(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"plan", "install", "upgrade", "rollback", "status", "uninstall", "doctor"} {
		code, _, failed := slipway(t, verb, "--kubeconfig", nowhere(t))
		require.Equal(t, 1, code, verb)
		require.Contains(t, failed, "the cluster cannot be reached at https://127.0.0.1:1", verb)
		require.Contains(t, failed, "check --kubeconfig, --context and the network", verb)
	}
}

func TestRelease_NoCluster(t *testing.T) {
	t.Parallel()
	code, _, failed := slipway(t, "status", "--kubeconfig", filepath.Join(t.TempDir(), "none"))
	require.Equal(t, 1, code)
	require.Contains(t, failed, "--kubeconfig")
}

func TestRelease_ProgressAsLinesOrJSON(t *testing.T) {
	t.Parallel()
	event := deploy.Event{Step: "wait", Object: "Deployment gateway", Text: "0 of 2 pods are ready"}
	var lines, objects bytes.Buffer
	releaseFlags{Output: "text"}.tell(&lines)(event)
	require.Equal(t, "wait      Deployment gateway 0 of 2 pods are ready\n", lines.String())
	releaseFlags{Output: "json"}.tell(&objects)(event)
	var read deploy.Event
	require.NoError(t, json.Unmarshal(objects.Bytes(), &read))
	require.Equal(t, event, read)
}
