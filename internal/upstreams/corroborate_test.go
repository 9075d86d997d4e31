package upstreams_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// realBlock is an embedded chain with one block of three transactions, each of
// which makes a contract and two logs.
func realBlock(t *testing.T) (*devnet.Chain, *ethclient.Client) {
	t.Helper()
	key, err := crypto.GenerateKey()
	require.NoError(t, err)
	from := crypto.PubkeyToAddress(key.PublicKey)
	c, err := devnet.New(devnet.Config{ChainID: upstreamtest.ChainID, BlockTime: devnet.Manual, HTTPAddr: "127.0.0.1:0", Alloc: map[common.Address]*big.Int{from: big.NewInt(1e18)}})
	require.NoError(t, err)
	lifecycletest.Start(t, c.Run)
	client, err := ethclient.DialContext(t.Context(), c.HTTPURL())
	require.NoError(t, err)
	t.Cleanup(client.Close)
	for nonce := range uint64(3) {
		// Init code that does LOG1(0, 0, nonce) twice and returns nothing.
		code := []byte{0x60, byte(nonce), 0x60, 0, 0x60, 0, 0xa1, 0x60, byte(nonce), 0x60, 0, 0x60, 0, 0xa1, 0}
		tx := types.MustSignNewTx(key, types.LatestSignerForChainID(big.NewInt(upstreamtest.ChainID)), &types.LegacyTx{Nonce: nonce, Gas: 200_000, GasPrice: new(big.Int), Data: code})
		require.NoError(t, client.SendTransaction(t.Context(), tx))
	}
	_, err = c.Commit()
	require.NoError(t, err)
	return c, client
}

// mirror is a node that answers as a real one does, but for what change does to it.
func mirror(t *testing.T, c *devnet.Chain, client *ethclient.Client, change func(method, result string) string) *upstreamtest.Node {
	t.Helper()
	node := upstreamtest.New(t)
	node.SetChain(upstreamtest.ChainID, strings.ToLower(c.Genesis().Hex()))
	node.SetHead(1)
	for _, method := range []string{"eth_getBlockByHash", "eth_getBlockByNumber", "eth_getBlockReceipts", "eth_getTransactionReceipt", "eth_getLogs", "eth_getTransactionByHash"} {
		node.AnswerFunc(method, func(params string) upstreamtest.Answer {
			var args []any
			var result json.RawMessage
			if json.Unmarshal([]byte(params), &args) != nil || client.Client().Call(&result, method, args...) != nil {
				return upstreamtest.Error(-32000, "not to be had")
			}
			return upstreamtest.Result(change(method, string(result)))
		})
	}
	return node
}

func TestDo_WhatDoesNotFitItsBlockIsAskedForElsewhere(t *testing.T) {
	t.Parallel()

	chain, client := realBlock(t)
	block, err := client.BlockByNumber(t.Context(), big.NewInt(1))
	require.NoError(t, err)
	require.Len(t, block.Transactions(), 3)
	hash, third := block.Hash().Hex(), block.Transactions()[2].Hash().Hex()
	replace := func(old, by string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, by, 1) }
	}
	same := func(s string) string { return s }

	cases := map[string]struct {
		method, params string
		lie            func(string) string
		check          string
	}{
		"the receipts as they are": {"eth_getBlockReceipts", `["0x1"]`, same, ""},
		"by hash":                  {"eth_getBlockReceipts", `["` + hash + `"]`, same, ""},
		"a block as it is":         {"eth_getBlockByNumber", `["0x1",true]`, same, ""},
		"its logs":                 {"eth_getLogs", `[{"fromBlock":"0x0","toBlock":"0x1"}]`, same, ""},
		"a transaction":            {"eth_getTransactionByHash", `["` + third + `"]`, same, ""},
		"a receipt":                {"eth_getTransactionReceipt", `["` + third + `"]`, same, ""},
		"another status":           {"eth_getBlockReceipts", `["0x1"]`, replace(`"status":"0x1"`, `"status":"0x0"`), "receiptsRootRecompute"},
		"no receipts":              {"eth_getBlockReceipts", `["0x1"]`, func(string) string { return `[]` }, "receiptsRootRecompute"},
		"no receipts by hash":      {"eth_getBlockReceipts", `["` + hash + `"]`, func(string) string { return `[]` }, "receiptTransactionMatch"},
		"receipts of others":       {"eth_getBlockReceipts", `["0x1"]`, func(s string) string { return strings.ReplaceAll(s, third, hash) }, "receiptTransactionMatch"},
		"a receipt of another place": {"eth_getTransactionReceipt", `["` + third + `"]`, func(s string) string {
			return strings.ReplaceAll(s, `"transactionIndex":"0x2"`, `"transactionIndex":"0x1"`)
		}, "receiptTransactionMatch"},
		"another value": {"eth_getBlockByNumber", `["0x1",true]`, replace(`"value":"0x0"`, `"value":"0x1"`), "transactionsRootRecompute"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liar := mirror(t, chain, client, func(method, result string) string {
				if method == c.method {
					return c.lie(result)
				}
				return result
			})
			cfg := configFor(liar)
			cfg.Upstreams = append(cfg.Upstreams, upstreams.Endpoint{ID: "honest", URL: secret.New(chain.HTTPURL())})
			cfg.Integrity.Checks = upstreams.IntrinsicChecks() | upstreams.CorroboratedChecks()
			cfg.Failsafe.MaxHedges = 0
			f := newFixture(t, cfg)

			reply, err := f.do(c.method, c.params)

			require.NoError(t, err)
			var want json.RawMessage
			var args []any
			require.NoError(t, json.Unmarshal([]byte(c.params), &args))
			require.NoError(t, client.Client().Call(&want, c.method, args...))
			require.JSONEq(t, string(want), string(reply.Result))
			if c.check == "" {
				require.EqualValues(t, "node-0", reply.Upstream, "nothing was wrong")
				return
			}
			require.EqualValues(t, "honest", reply.Upstream)
			require.GreaterOrEqual(t, f.counter(t, "gateway_integrity_violations_total", map[string]string{"upstream": "node-0", "check": c.check}), 1)

			// As an element of a batch it is not settled, or by the honest one.
			for _, r := range f.DoBatch(t.Context(), []upstreams.Request{f.request(c.method, c.params)}) {
				if r.IsSettled {
					require.JSONEq(t, string(want), string(r.Result))
				}
			}
		})
	}
}

func TestDo_WhatIsOnlyObservedPasses(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	for _, n := range []*upstreamtest.Node{a, b} {
		n.Answer("eth_getTransactionReceipt", upstreamtest.Result(`{"transactionHash":"`+hash+`","to":null,"contractAddress":null}`))
	}
	cfg := configFor(a, b)
	cfg.Integrity.Checks = upstreams.CheckSet(upstreams.CheckContractCreation)
	cfg.Integrity.Observed = cfg.Integrity.Checks
	f := newFixture(t, cfg)

	_, err := f.do("eth_getTransactionReceipt", `["`+hash+`"]`)

	require.NoError(t, err)
	require.Equal(t, 1, f.counter(t, "gateway_integrity_violations_total", map[string]string{"check": "contractCreation"}))
}

func TestDo_ANodesOwnChecksOfReceipts(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	a.Answer("eth_getBlockReceipts", upstreamtest.Result(`[{"logs":[{"logIndex":"0x1"}]}]`))
	b.Answer("eth_getBlockReceipts", upstreamtest.Result(`[{"logs":[{"logIndex":"0x0"}]}]`))
	cfg := configFor(a, b)
	cfg.Upstreams[0].ReceiptChecks = upstreams.CheckSet(upstreams.CheckLogOrder)
	f := newFixture(t, cfg)

	reply, err := f.do("eth_getBlockReceipts", `["0x10"]`)

	require.NoError(t, err)
	require.EqualValues(t, "node-1", reply.Upstream)
}

func TestDo_ABlockThatIsNotToBeHadProvesNothing(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	for _, n := range []*upstreamtest.Node{a, b} {
		n.Answer("eth_getTransactionReceipt", upstreamtest.Result(`{"transactionHash":"`+hash+`","blockHash":"`+hash+`","transactionIndex":"0x0"}`))
	}
	cfg := configFor(a, b)
	cfg.Integrity.Checks = upstreams.CorroboratedChecks()
	cfg.Failsafe.Rounds = 1
	f := newFixture(t, cfg)

	_, err := f.do("eth_getTransactionReceipt", `["`+hash+`"]`)

	require.NoError(t, err)
	require.Equal(t, 1, f.counter(t, "gateway_integrity_lookups_total", map[string]string{"outcome": "failed"}))
}

func TestDo_ALookupEndsWithTheCall(t *testing.T) {
	t.Parallel()

	a := upstreamtest.New(t)
	a.Answer("eth_getTransactionReceipt", upstreamtest.Result(`{"transactionHash":"`+hash+`","blockHash":"`+hash+`","transactionIndex":"0x0"}`))
	a.SetFault("eth_getBlockByHash", upstreamtest.Hang)
	cfg := configFor(a)
	cfg.Integrity.Checks = upstreams.CorroboratedChecks()
	receipts, err := methods.ParsePattern("eth_getTransactionReceipt")
	require.NoError(t, err)
	timeout := 300 * time.Millisecond
	cfg.Rules = []upstreams.Rule{{Methods: receipts, Timeout: &timeout}}
	f := newFixture(t, cfg)

	begin := time.Now()
	_, err = f.do("eth_getTransactionReceipt", `["`+hash+`"]`)

	require.NoError(t, err)
	require.Less(t, time.Since(begin), 1500*time.Millisecond)
}
