package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

func TestRun_Validate(t *testing.T) {
	t.Parallel()
	good, archive := upstreamtest.New(t), upstreamtest.New(t)
	for _, node := range []*upstreamtest.Node{good, archive} {
		node.Answer("eth_getBalance", upstreamtest.Result(`"0x0"`))
		node.Answer("eth_getLogs", upstreamtest.Result(`[]`))
	}
	archive.Answer("web3_clientVersion", upstreamtest.Result(`"besu\u001b[31m/v1"`))
	var stdout, stderr bytes.Buffer

	code := run(t.Context(), []string{"validate", "--upstream", good.URL(), "--upstream", archive.URL(), "--chain-id", "31337"}, noEnv, &stdout, &stderr)

	require.Zero(t, code, stderr.String())
	text := stdout.String()
	require.Contains(t, text, "main/evm/31337\nNODE ")
	require.Contains(t, text, "0 (archive)")
	require.Contains(t, text, "besu[31m/v1", "without the control character")
	require.Contains(t, strings.Join(strings.Fields(text), " "), "eth_getLogs yes yes ibft")
	require.NotContains(t, text, "error")
	require.Empty(t, stderr.String())
}

func TestRun_ValidateTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	good, gone := upstreamtest.New(t), upstreamtest.New(t)
	gone.Stop()
	path := write(t, strings.Replace(goodFile, `[{endpoint: "http://user:hidden@node:8545"}]`,
		`[{id: a, endpoint: "`+good.URL()+`/hidden"}, {id: b, endpoint: "`+strings.Replace(gone.URL(), "//", "//user:hidden@", 1)+`"}]`, 1))
	var stdout, stderr bytes.Buffer

	code := run(t.Context(), []string{"validate", "--config", path}, noEnv, &stdout, &stderr)

	require.Equal(t, 1, code)
	require.Contains(t, stdout.String(), "warning: "+path+":4:3: projects[].userAgentMode")
	require.Contains(t, stdout.String(), "error: b: cannot be reached: dial tcp 127.0.0.1:")
	require.Contains(t, stdout.String(), "warning: a: does not have eth_getLogs\n")
	require.Equal(t, "gateway: 1 of 2 nodes cannot be used\n", stderr.String())

	var asJSON bytes.Buffer
	require.Equal(t, 1, run(t.Context(), []string{"validate", "--config", path, "--json"}, noEnv, &asJSON, &stderr))
	var got findings
	require.NoError(t, json.Unmarshal(asJSON.Bytes(), &got))
	require.False(t, got.OK)
	require.Len(t, got.Warnings, 1)
	require.EqualValues(t, 31337, got.Networks[0].ChainID)
	require.True(t, got.Networks[0].Upstreams[0].Reachable)
	require.NotEmpty(t, got.Networks[0].Upstreams[1].Errors)
	require.NotContains(t, stdout.String()+stderr.String()+asJSON.String(), "hidden")
}

func TestRun_ValidateIsBounded(t *testing.T) {
	t.Parallel()
	slow := upstreamtest.New(t)
	slow.SetFault("", upstreamtest.Hang)
	var stdout, stderr bytes.Buffer

	code := run(t.Context(), []string{"validate", "--upstream", slow.URL(), "--timeout", "50ms"}, noEnv, &stdout, &stderr)

	require.Equal(t, 1, code)
	require.Contains(t, stdout.String(), "does not answer in time")
}

func TestRun_ValidateWantsNodes(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, 1, run(t.Context(), []string{"validate"}, noEnv, &stdout, &stderr))
	require.Equal(t, "gateway: configuration: project \"main\": upstreams: at least one is needed\n", stderr.String())
}
