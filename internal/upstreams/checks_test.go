package upstreams

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
)

const (
	anAddress = `"0x00000000000000000000000000000000000000Aa"`
	noneRoot  = `"0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"`
)

// requestOf is a request for something of block 16.
func requestOf(method string) Request {
	params := `["0x10",true]`
	switch method {
	case "eth_getLogs":
		params = `[{"fromBlock":"0x10","toBlock":"0x12"}]`
	case "eth_getTransactionReceipt", "eth_getTransactionByHash":
		params = `[` + oneHash + `]`
	}
	return Request{Method: method, Params: []byte(params), Facts: methods.New().Describe(method, []byte(params))}
}

func TestChecks_OfTheAnswerAlone(t *testing.T) {
	t.Parallel()

	const (
		block, receipts, receipt, logs = "eth_getBlockByNumber", "eth_getBlockReceipts", "eth_getTransactionReceipt", "eth_getLogs"
		none                           = Checks(0)
	)
	fullBloom, emptyBloom := `"0x`+strings.Repeat("ab", 256)+`"`, `"0x`+strings.Repeat("00", 256)+`"`
	cases := map[string]struct {
		method, result string
		fails          Checks
	}{
		"a block without transactions":    {block, `{"transactionsRoot":` + noneRoot + `,"transactions":[]}`, none},
		"zeros as the root of none":       {block, `{"transactionsRoot":"0x` + strings.Repeat("0", 64) + `","transactions":[]}`, none},
		"transactions left out of a list": {block, `{"transactionsRoot":` + oneHash + `,"transactions":[]}`, CheckSet(CheckTransactionsPresent, CheckTransactionsRoot)},
		"no list of transactions":         {block, `{"transactionsRoot":` + oneHash + `}`, none},
		"sizes of a header":               {block, `{"hash":` + oneHash + `,"logsBloom":` + emptyBloom + `,"parentHash":null}`, none},
		"a short hash":                    {block, `{"stateRoot":"0xab"}`, CheckSet(CheckHeaderFields)},
		"letters that are no digits":      {block, `{"receiptsRoot":"0x` + strings.Repeat("zz", 32) + `"}`, CheckSet(CheckHeaderFields)},
		"a short filter":                  {block, `{"logsBloom":"0x00"}`, CheckSet(CheckHeaderFields)},
		"transactions as hashes":          {block, `{"transactions":[` + oneHash + `,` + otherHash + `]}`, none},
		"a hash twice":                    {block, `{"transactions":[` + oneHash + `,` + lowerHash + `]}`, CheckSet(CheckTransactionFields)},
		"a whole one twice":               {block, `{"transactions":[{"hash":` + oneHash + `},{"hash":` + oneHash + `}]}`, CheckSet(CheckTransactionFields)},
		"a short hash of one":             {block, `{"transactions":["0xab"]}`, CheckSet(CheckTransactionFields)},
		"transactions of the block": {block, `{"hash":` + oneHash + `,"number":"0x10","transactions":[{"blockHash":` + lowerHash +
			`,"blockNumber":"0x10","transactionIndex":"0x0"}]}`, none},
		"a transaction of another block":  {block, `{"hash":` + oneHash + `,"transactions":[{"blockHash":` + otherHash + `}]}`, CheckSet(CheckTransactionBlock)},
		"a transaction of another number": {block, `{"number":"0x10","transactions":[{"blockNumber":"0x11"}]}`, CheckSet(CheckTransactionBlock)},
		"a transaction at another place":  {block, `{"transactions":[{"transactionIndex":"0x1"}]}`, CheckSet(CheckTransactionBlock)},
		"hash of no header":               {block, `{"hash":` + oneHash + `}`, none},

		"no receipts":                  {receipts, `[]`, none},
		"receipts of two blocks":       {receipts, `[{"blockHash":` + oneHash + `},{"blockHash":` + otherHash + `}]`, CheckSet(CheckSameBlock)},
		"receipts of two numbers":      {receipts, `[{"blockNumber":"0x10"},{"blockNumber":"0x11"}]`, CheckSet(CheckSameBlock)},
		"one block in two spellings":   {receipts, `[{"blockHash":` + oneHash + `},{"blockHash":` + lowerHash + `}]`, none},
		"two receipts for one":         {receipts, `[{"transactionHash":` + oneHash + `},{"transactionHash":` + lowerHash + `}]`, CheckSet(CheckTransactionUnique)},
		"a receipt left out":           {receipts, `[{"transactionIndex":"0x0"},{"transactionIndex":"0x2"}]`, CheckSet(CheckTransactionIndex)},
		"receipts in order":            {receipts, `[{"transactionIndex":"0x0"},{"transactionIndex":"0x1"}]`, none},
		"a contract was made":          {receipt, `{"to":null,"contractAddress":` + anAddress + `}`, none},
		"its address is left out":      {receipt, `{"to":null,"contractAddress":null}`, CheckSet(CheckContractCreation)},
		"its address is short":         {receipt, `{"to":null,"contractAddress":"0xaa"}`, CheckSet(CheckContractCreation)},
		"a contract that was not made": {receipts, `[{"to":` + anAddress + `,"contractAddress":` + anAddress + `}]`, CheckSet(CheckContractCreation)},
		"none was made":                {receipts, `[{"to":` + anAddress + `,"contractAddress":null},{"to":` + anAddress + `}]`, none},
		"logs of the receipt": {receipt, `{"blockHash":` + oneHash + `,"logs":[{"blockHash":` + lowerHash + `,"address":` + anAddress +
			`,"topics":[` + oneHash + `,` + oneHash + `,` + oneHash + `,` + oneHash + `],"logIndex":"0x7"}]}`, none},
		"five topics":                  {receipt, `{"logs":[{"topics":[` + strings.Repeat(oneHash+",", 4) + oneHash + `]}]}`, CheckSet(CheckLogFields)},
		"a short topic":                {logs, `[{"topics":["0xab"]}]`, CheckSet(CheckLogFields)},
		"a short address":              {logs, `[{"address":"0xab"}]`, CheckSet(CheckLogFields)},
		"a log of another transaction": {receipts, `[{"transactionHash":` + oneHash + `,"logs":[{"transactionHash":` + otherHash + `}]}]`, CheckSet(CheckLogFields)},
		"a log of another place":       {receipts, `[{"transactionIndex":"0x0","logs":[{"transactionIndex":"0x1"}]}]`, CheckSet(CheckLogFields)},
		"logs counted through a block": {receipts, `[{"logs":[{"logIndex":"0x0"},{"logIndex":"0x1"}]},{"logs":[]},{"logs":[{"logIndex":"0x2"}]}]`, none},
		"a log left out":               {receipts, `[{"logs":[{"logIndex":"0x0"},{"logIndex":"0x2"}]}]`, CheckSet(CheckLogOrder)},
		"the first log left out":       {receipts, `[{"logs":[{"logIndex":"0x1"}]}]`, CheckSet(CheckLogOrder)},
		"a receipt's logs":             {receipt, `{"logs":[{"logIndex":"0x5"},{"logIndex":"0x6"}]}`, none},
		"a receipt's log left out":     {receipt, `{"logs":[{"logIndex":"0x5"},{"logIndex":"0x7"}]}`, CheckSet(CheckLogOrder)},
		"logs of a search":             {logs, `[{"blockNumber":"0x10","logIndex":"0x1"},{"blockNumber":"0x10","logIndex":"0x5"},{"blockNumber":"0x11","logIndex":"0x0"}]`, none},
		"a log twice":                  {logs, `[{"blockNumber":"0x10","logIndex":"0x1"},{"blockNumber":"0x10","logIndex":"0x1"}]`, CheckSet(CheckLogOrder)},
		"a log from before":            {logs, `[{"blockNumber":"0x11","logIndex":"0x1"},{"blockNumber":"0x10","logIndex":"0x2"},{"blockNumber":"0x12","logIndex":"0x2"}]`, CheckSet(CheckLogOrder)},
		"a filter without logs":        {receipt, `{"logsBloom":` + fullBloom + `,"logs":[]}`, CheckSet(CheckBloomEmptiness, CheckLogsBloom)},
		"logs without a filter":        {receipts, `[{"logsBloom":` + emptyBloom + `,"logs":[{"address":` + anAddress + `}]}]`, CheckSet(CheckBloomEmptiness, CheckLogsBloom)},
		"neither":                      {receipts, `[{"logsBloom":` + emptyBloom + `,"logs":[]}]`, none},
		"every log is looked at":       {logs, `[{"blockNumber":"0x10"},{"blockNumber":"0x99"},{"blockNumber":"0x12"}]`, CheckSet(CheckLogFilter)},
	}
	c := newChecker()
	for name, tc := range cases {
		req, result := requestOf(tc.method), []byte(tc.result)
		require.Equal(t, tc.fails.List(), c.failures(IntrinsicChecks(), req, result).List(), name)
		require.Zero(t, c.failures(IntrinsicChecks().Without(tc.fails), req, result), "%s: switched off", name)
	}
}

func TestChecks_TheSender(t *testing.T) {
	t.Parallel()

	key, err := crypto.GenerateKey()
	require.NoError(t, err)
	chainID := big.NewInt(31337)
	for name, signed := range map[string]*types.Transaction{
		"with a fee for the block": types.MustSignNewTx(key, types.LatestSignerForChainID(chainID), &types.DynamicFeeTx{ChainID: chainID, To: &common.Address{1}}),
		"legacy":                   types.MustSignNewTx(key, types.LatestSignerForChainID(chainID), &types.LegacyTx{To: &common.Address{1}}),
		"before EIP-155":           types.MustSignNewTx(key, types.HomesteadSigner{}, &types.LegacyTx{To: &common.Address{1}}),
	} {
		text := func(from common.Address, change string, to any) []byte {
			plain, err := json.Marshal(signed)
			require.NoError(t, err)
			var members map[string]any
			require.NoError(t, json.Unmarshal(plain, &members))
			members["from"] = from
			if change != "" {
				members[change] = to
			}
			plain, err = json.Marshal(members)
			require.NoError(t, err)
			return plain
		}
		sender := crypto.PubkeyToAddress(key.PublicKey)
		require.True(t, isSender(text(sender, "", nil)), name)
		require.False(t, isSender(text(common.Address{7}, "", nil)), name)
		require.True(t, isSender(text(common.Address{7}, "nonce", "0x99")), "%s: what does not make the hash is not understood", name)
	}
	require.True(t, isSender([]byte(oneHash)))
}

func TestCorroboration_OfReceipts(t *testing.T) {
	t.Parallel()

	list := types.Receipts{
		{Type: types.DynamicFeeTxType, Status: 1, CumulativeGasUsed: 21000, TxHash: common.Hash{1}, GasUsed: 21000, Logs: []*types.Log{}},
		{
			Type: types.LegacyTxType, Status: 0, CumulativeGasUsed: 50000, TxHash: common.Hash{2}, GasUsed: 29000, TransactionIndex: 1,
			Logs: []*types.Log{{Address: common.Address{3}, Topics: []common.Hash{{4}}, Data: []byte{5}, TxHash: common.Hash{2}}},
		},
	}
	list[1].Bloom = types.CreateBloom(list[1])
	text := func(list types.Receipts) []byte {
		out, err := json.Marshal(list)
		require.NoError(t, err)
		return out
	}
	block := blockSummary{receiptsRoot: types.DeriveSha(list, trie.NewStackTrie(nil)), transactions: []common.Hash{{1}, {2}}}
	both := CorroboratedChecks()
	refutes := func(method string, result []byte, block blockSummary) []Check {
		req := requestOf(method)
		c, ok := corroborationOf(req, result)
		require.True(t, ok)
		return c.refutes(both, block).List()
	}

	changed := *list[1]
	changed.Status = 1
	require.Empty(t, refutes("eth_getBlockReceipts", text(list), block))
	require.Equal(t, []Check{CheckReceiptsRoot}, refutes("eth_getBlockReceipts", text(types.Receipts{list[0], &changed}), block), "a status")
	require.Equal(t, both.List(), refutes("eth_getBlockReceipts", text(list[:1]), block), "a receipt is missing")
	require.Equal(t, both.List(), refutes("eth_getBlockReceipts", []byte(`[]`), block), "all are missing")
	require.Empty(t, refutes("eth_getBlockReceipts", []byte(`[]`), blockSummary{receiptsRoot: types.EmptyReceiptsHash, transactions: []common.Hash{}}))
	require.Equal(t, []Check{CheckReceiptTransactions}, refutes("eth_getBlockReceipts", text(list), blockSummary{receiptsRoot: block.receiptsRoot, transactions: []common.Hash{{1}, {9}}}))
	require.Empty(t, refutes("eth_getBlockReceipts", text(list), blockSummary{receiptsRoot: block.receiptsRoot}), "unknown transactions prove nothing")
	future := strings.Replace(string(text(list)), `"type":"0x2"`, `"type":"0x63"`, 1)
	require.Empty(t, refutes("eth_getBlockReceipts", []byte(future), block), "a type to come is not judged")

	receipt := `{"blockHash":` + oneHash + `,"transactionHash":"` + common.Hash{2}.Hex() + `","transactionIndex":"%s"}`
	require.Empty(t, refutes("eth_getTransactionReceipt", []byte(strings.Replace(receipt, "%s", "0x1", 1)), block))
	require.Equal(t, []Check{CheckReceiptTransactions}, refutes("eth_getTransactionReceipt", []byte(strings.Replace(receipt, "%s", "0x0", 1)), block))
	require.Equal(t, []Check{CheckReceiptTransactions}, refutes("eth_getTransactionReceipt", []byte(strings.Replace(receipt, "%s", "0x2", 1)), block), "behind the end")
}

func TestCorroborationOf_WhichBlock(t *testing.T) {
	t.Parallel()

	cases := map[string]struct{ method, params, result, want string }{
		"the hash of the receipts": {"eth_getBlockReceipts", `["0x10"]`, `[{"blockHash":` + oneHash + `}]`, `eth_getBlockByHash[` + lowerHash + `,false]`},
		"none, by hash":            {"eth_getBlockReceipts", `[` + oneHash + `]`, `[]`, `eth_getBlockByHash[` + lowerHash + `,false]`},
		"none, by number":          {"eth_getBlockReceipts", `["0x10"]`, `[]`, `eth_getBlockByNumber["0x10",false]`},
		"none, of the newest":      {"eth_getBlockReceipts", `["latest"]`, `[]`, ``},
		"a receipt":                {"eth_getTransactionReceipt", `[` + otherHash + `]`, `{"blockHash":` + oneHash + `}`, `eth_getBlockByHash[` + lowerHash + `,false]`},
		"a receipt without block":  {"eth_getTransactionReceipt", `[` + otherHash + `]`, `{}`, ``},
		"something else":           {"eth_getBalance", `[` + anAddress + `,"0x10"]`, `"0x0"`, ``},
	}
	for name, c := range cases {
		got, ok := corroborationOf(Request{Params: []byte(c.params), Facts: methods.New().Describe(c.method, []byte(c.params))}, []byte(c.result))
		require.Equal(t, c.want != "", ok, name)
		require.Equal(t, c.want, got.request.Method+string(got.request.Params), name)
	}
}

func TestSummaries_TheOldestMakesWay(t *testing.T) {
	t.Parallel()

	var s summaries
	for i := range rememberedBlocks + 1 {
		s.add(common.Hash{byte(i), byte(i >> 8)}.Hex(), blockSummary{})
		s.add(common.Hash{byte(i), byte(i >> 8)}.Hex(), blockSummary{})
	}
	_, isKnown := s.of(common.Hash{0}.Hex())
	require.False(t, isKnown)
	_, isKnown = s.of(common.Hash{1}.Hex())
	require.True(t, isKnown)
	require.Len(t, s.byHash, rememberedBlocks)
}
