package config

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

const checkedFile = `
projects:
  - id: main
    networks:
      - architecture: evm
        evm:
          chainId: 1
          getLogsMaxAllowedRange: 100
          getLogsMaxAllowedAddresses: 5
          getLogsMaxAllowedTopics: 6
          getLogsSplitOnError: false
          getLogsSplitConcurrency: 3
          traceFilterSplitOnError: false
          traceFilterSplitConcurrency: 2
          broadcastTransactions: 2
          integrity: { enforceGetLogsBlockRange: false }
        integrity: { level: intrinsic }
        staticResponses:
          - method: eth_gasPrice
            response: { result: "0x0" }
          - method: eth_call
            params: [{ to: "0x1" }, 5, true, null]
            response: { error: { code: 3, message: "no", data: "0x08" } }
        failsafe:
          - matchMethod: eth_getBlockByNumber
            consensus:
              maxParticipants: 4
              agreementThreshold: 3
              disputeBehavior: onlyBlockHeadLeader
              lowParticipantsBehavior: returnError
              preferNonEmpty: false
              disputeLogLevel: info
              ignoreFields: { eth_getBlockByNumber: [size, "transactions.*.v"] }
              punishMisbehavior: { disputeThreshold: 2, disputeWindow: 1m, sitOutPenalty: 30m }
    upstreams:
      - { id: a, endpoint: "http://a", evm: { getLogsAutoSplittingRangeThreshold: 800, traceFilterAutoSplittingRangeThreshold: -1 } }
      - { id: b, endpoint: "http://b", evm: { traceFilterAutoSplittingRangeThreshold: 0 } }
`

func TestLoadGateway_ChecksOfAnswers(t *testing.T) {
	t.Parallel()

	g, err := parseGateway("f.yaml", []byte(checkedFile), func(string) string { return "" })
	require.NoError(t, err)
	require.Empty(t, g.Warnings)
	network := g.App.Projects[0].Networks[0]
	require.Equal(t, gateway.Search{
		MaxRange: 100, MaxAddresses: 5, MaxTopics: 6, MaxBytes: gateway.DefaultSearch().MaxBytes,
		Logs: gateway.Splitting{Chunk: 800, Concurrency: 3}, Traces: gateway.Splitting{Concurrency: 2},
	}, network.Search)
	require.Equal(t, 2, network.Pool.Broadcast)
	require.Equal(t, upstreams.Integrity{Checks: upstreams.IntrinsicChecks(), MaxLookups: 16}, network.Pool.Integrity)
	require.Equal(t, []gateway.StaticResponse{
		{Method: "eth_gasPrice", Result: []byte(`"0x0"`)},
		{Method: "eth_call", Params: []byte(`[{"to":"0x1"},5,true,null]`), Error: &jsonrpc.Error{Code: 3, Message: "no", Data: []byte(`"0x08"`)}},
	}, network.Static)
	consensus := upstreams.DefaultConsensus()
	consensus.Participants, consensus.Threshold, consensus.PreferNonEmpty, consensus.DisputeLevel = 4, 3, false, 0
	consensus.OnDispute, consensus.OnLow = upstreams.OnlyBlockHeadLeader, upstreams.ReturnError
	consensus.IgnoreFields = map[string][]string{"eth_getBlockByNumber": {"size", "transactions.*.v"}}
	consensus.Punishment = &upstreams.Punishment{Disputes: 2, Window: time.Minute, SitOut: 30 * time.Minute}
	require.Equal(t, &consensus, network.Pool.Rules[0].Consensus)
	require.NoError(t, g.App.Validate())

	// What is printed says the same.
	text, err := g.YAML()
	require.NoError(t, err)
	text = bytes.ReplaceAll(text, []byte("[redacted]"), []byte("http://a"))
	again, err := parseGateway("f.yaml", text, func(string) string { return "" })
	require.NoError(t, err, string(text))
	require.Equal(t, network.Search, again.App.Projects[0].Networks[0].Search)
	require.Equal(t, network.Static, again.App.Projects[0].Networks[0].Static)
	require.Equal(t, network.Pool.Rules, again.App.Projects[0].Networks[0].Pool.Rules)
}

func TestLoadGateway_WhichChecksAreMade(t *testing.T) {
	t.Parallel()

	some := upstreams.CheckSet
	byDefault := some(upstreams.CheckTransactionsPresent)
	all := upstreams.IntrinsicChecks() | upstreams.CorroboratedChecks()
	cases := map[string]struct {
		project, network string
		want             upstreams.Integrity
	}{
		"nothing is said":        {"", "", upstreams.Integrity{Checks: byDefault}},
		"off":                    {"", "integrity: { level: off }", upstreams.Integrity{Checks: byDefault}},
		"what needs the answer":  {"", "integrity: { level: corroborated }", upstreams.Integrity{Checks: upstreams.IntrinsicChecks()}},
		"everything":             {"", "integrity: { level: authoritative }", upstreams.Integrity{Checks: all}},
		"for all networks":       {"integrity: { level: authoritative, observeOnly: true },", "", upstreams.Integrity{Checks: all, Observed: all}},
		"the network's own wins": {"integrity: { level: authoritative, budget: { maxConcurrent: 3 } },", "integrity: { level: off }", upstreams.Integrity{Checks: byDefault, MaxLookups: 3}},
		"no root at all":         {"", "directiveDefaults: { validateTransactionsRoot: false }", upstreams.Integrity{}},
		"the root":               {"", "directiveDefaults: { validateTransactionsRoot: true }", upstreams.Integrity{Checks: byDefault | some(upstreams.CheckTransactionsRoot)}},
		"every directive": {
			"", "directiveDefaults: { validateHeaderFieldLengths: true, validateTransactionFields: true, validateTransactionBlockInfo: true, enforceLogIndexStrictIncrements: true, " +
				"validateTxHashUniqueness: true, validateTransactionIndex: true, validateLogFields: true, validateLogsBloomEmptiness: true, validateLogsBloomMatch: true, validateReceiptTransactionMatch: true, validateContractCreation: true }",
			upstreams.Integrity{Checks: byDefault | some(upstreams.CheckHeaderFields, upstreams.CheckTransactionFields, upstreams.CheckTransactionBlock, upstreams.CheckLogOrder,
				upstreams.CheckTransactionUnique, upstreams.CheckTransactionIndex, upstreams.CheckLogFields, upstreams.CheckBloomEmptiness, upstreams.CheckLogsBloom,
				upstreams.CheckReceiptTransactions, upstreams.CheckContractCreation)},
		},
		"single checks": {
			"", "integrity: { checks: { receiptsRootRecompute: { enabled: true }, bloomMatch: { enabled: true, onFailure: soft-flag }, transactionsRootConsistency: { onFailure: off } } }",
			upstreams.Integrity{Checks: some(upstreams.CheckReceiptsRoot, upstreams.CheckLogsBloom), Observed: some(upstreams.CheckLogsBloom)},
		},
		"one less": {
			"", "integrity: { level: intrinsic, checks: { senderRecovery: { enabled: false } } }",
			upstreams.Integrity{Checks: upstreams.IntrinsicChecks().Without(some(upstreams.CheckSender))},
		},
	}
	for name, c := range cases {
		file := "projects: [{ id: a, " + c.project + " networks: [{ evm: { chainId: 1 }, " + c.network + " }], upstreams: [{ endpoint: 'http://a' }] }]"
		g, err := parseGateway("f.yaml", []byte(file), func(string) string { return "" })
		require.NoError(t, err, name)
		require.Empty(t, g.Warnings, name)
		if c.want.MaxLookups == 0 {
			c.want.MaxLookups = upstreams.DefaultIntegrity().MaxLookups
		}
		require.Equal(t, c.want, g.App.Projects[0].Networks[0].Pool.Integrity, name)
	}
}

func TestLoadGateway_ChecksOfOneNode(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]upstreams.Checks{
		"enabled: true":                                       upstreams.CheckSet(upstreams.CheckLogOrder, upstreams.CheckLogsBloom),
		"enabled: true, checkLogsBloom: false":                upstreams.CheckSet(upstreams.CheckLogOrder),
		"enabled: true, checkLogIndexStrictIncrements: false": upstreams.CheckSet(upstreams.CheckLogsBloom),
		"checkLogsBloom: true":                                0,
	} {
		file := "projects: [{ id: a, networks: [{ evm: { chainId: 1 } }], upstreams: [{ endpoint: 'http://a', evm: { integrity: { eth_getBlockReceipts: { " + text + " } } } }] }]"
		g, err := parseGateway("f.yaml", []byte(file), func(string) string { return "" })
		require.NoError(t, err, text)
		require.Equal(t, want, g.App.Projects[0].Networks[0].Pool.Upstreams[0].ReceiptChecks, text)
	}
}

func TestReference_NamesEveryCheck(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile("integrity.go")
	require.NoError(t, err)
	for _, c := range (upstreams.IntrinsicChecks() | upstreams.CorroboratedChecks()).List() {
		require.Contains(t, string(text), c.String())
		again, isKnown := upstreams.CheckNamed(c.String())
		require.True(t, isKnown)
		require.Equal(t, c, again)
	}
}

func TestLoadGateway_AnUnknownCheckIsAWarning(t *testing.T) {
	t.Parallel()

	file := "projects: [{ id: a, networks: [{ evm: { chainId: 1 }, integrity: { checks: { reorgDepth: { enabled: true } } } }], upstreams: [{ endpoint: 'http://a' }] }]"
	g, err := parseGateway("f.yaml", []byte(file), func(string) string { return "" })
	require.NoError(t, err)
	require.Len(t, g.Warnings, 1)
	require.Contains(t, g.Warnings[0], "the gateway has no such check")
}

func TestLeastChunk(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		thresholds []*int
		want       uint64
	}{
		"nobody says anything":   {[]*int{nil, nil}, 5000},
		"more than the default":  {[]*int{ptr(9000)}, 9000},
		"one has the default":    {[]*int{ptr(9000), nil}, 5000},
		"the least":              {[]*int{ptr(700), ptr(600), ptr(800)}, 600},
		"one has no bound":       {[]*int{ptr(0), ptr(600)}, 600},
		"the other has no bound": {[]*int{ptr(600), ptr(-1)}, 600},
		"none has a bound":       {[]*int{ptr(0), ptr(0)}, 0},
	}
	for name, c := range cases {
		var chunk uint64
		for i, threshold := range c.thresholds {
			leastChunk(&chunk, threshold, 5000, i == 0)
		}
		require.Equal(t, c.want, chunk, name)
	}
}

func TestLoadGateway_ChecksThatMakeNoSense(t *testing.T) {
	t.Parallel()

	for text, problem := range map[string]string{
		"integrity: { level: much }":                                                "integrity.level: must be off",
		"integrity: { budget: { maxConcurrent: -1 } }":                              "integrity.budget.maxConcurrent: must be at least 0",
		"integrity: { checks: { bloomMatch: { onFailure: panic } } }":               "onFailure: must be reject, soft-flag or off",
		"staticResponses: [{ method: m, response: {} }]":                            "staticResponses[0].response: must have a result or an error",
		"staticResponses: [{ method: '', response: { result: 1 } }]":                "staticResponses[0].method: is needed",
		"failsafe: [{ consensus: { agreementThreshold: 9 } }]":                      "consensus.agreementThreshold: must be between 1 and maxParticipants",
		"failsafe: [{ consensus: { disputeBehavior: guess } }]":                     "consensus.disputeBehavior: must be returnError",
		"failsafe: [{ consensus: { punishMisbehavior: { disputeThreshold: 1 } } }]": "consensus.punishMisbehavior: disputeThreshold",
	} {
		file := "projects: [{ id: a, networks: [{ evm: { chainId: 1 }, " + text + " }], upstreams: [{ endpoint: 'http://a' }] }]"
		_, err := parseGateway("f.yaml", []byte(file), func(string) string { return "" })
		require.ErrorContains(t, err, problem)
	}
}
