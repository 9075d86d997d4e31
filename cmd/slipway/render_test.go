package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/slipwayhq/slipway/internal/cli"
)

// TestRender_CallsCommandsThatThereAre reads the arguments of every container
// that runs slipway as slipway does.
func TestRender_CallsCommandsThatThereAre(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"render", "--set", "global.labels.team=chain"}, &out, &errs), errs.String())
	seen := make(map[string]bool)
	for text := range strings.SplitSeq(out.String(), "\n---\n") {
		var object map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &object))
		eachContainer(object, func(container map[string]any) {
			command, _ := container["command"].([]any)
			if len(command) == 0 || command[0] != "slipway" {
				return
			}
			var args []string
			for _, arg := range container["args"].([]any) { //nolint:forcetypeassert // slipway always has arguments
				args = append(args, arg.(string)) //nolint:forcetypeassert // and they are texts
			}
			var c grammar
			var problem bytes.Buffer
			program := cli.Program{Name: "slipway", Stdout: io.Discard, Stderr: &problem}
			require.Zero(t, program.Run(&c, args, func(command string) error {
				seen[strings.Fields(command)[0]] = true
				return nil
			}), problem.String())
		})
	}
	require.Equal(t, map[string]bool{"bootstrap": true, "wait": true, "compile-genesis": true, "download-abi": true, "hasura-actions": true}, seen)
}

func eachContainer(value any, visit func(map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		if _, isContainer := value["image"]; isContainer {
			visit(value)
		}
		for _, inner := range value {
			eachContainer(inner, visit)
		}
	case []any:
		for _, inner := range value {
			eachContainer(inner, visit)
		}
	}
}

func TestRender_WritesAFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var out, errs bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"render", "--profile=preview", "--namespace=bank", "--output-dir", folder}, &out, &errs), errs.String())
	require.Empty(t, out.String())
	text, err := os.ReadFile(filepath.Join(folder, "slipway/charts/gateway/templates/gateway.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(text), "namespace: bank")
	require.Contains(t, string(text), "replicas: 1")
}

func TestRender_TellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	require.Equal(t, 1, run(t.Context(), []string{"render", "--set", "gateway.replicsa=3"}, &out, &errs))
	require.Equal(t, "slipway: gateway.replicsa: there is no such key; did you mean replicas?\n", errs.String())
	require.Empty(t, out.String())
}
