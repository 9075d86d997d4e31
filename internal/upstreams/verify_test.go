package upstreams

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
)

const (
	oneHash   = `"0x00000000000000000000000000000000000000000000000000000000000000Aa"`
	lowerHash = `"0x00000000000000000000000000000000000000000000000000000000000000aa"`
	otherHash = `"0x00000000000000000000000000000000000000000000000000000000000000bb"`
)

func TestVerify_TheAnswerIsAboutWhatWasAsked(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		method, params, result string
		want                   Outcome
	}{
		"block by number":              {"eth_getBlockByNumber", `["0x10",false]`, `{"number":"0x10"}`, OutcomeOK},
		"another number":               {"eth_getBlockByNumber", `["0x10",false]`, `{"number":"0x11"}`, OutcomeWrong},
		"a tag says no number":         {"eth_getBlockByNumber", `["latest",false]`, `{"number":"0x11"}`, OutcomeOK},
		"block by hash":                {"eth_getBlockByHash", `[` + oneHash + `,false]`, `{"hash":` + lowerHash + `}`, OutcomeOK},
		"another hash":                 {"eth_getBlockByHash", `[` + oneHash + `,false]`, `{"hash":` + otherHash + `}`, OutcomeWrong},
		"transaction":                  {"eth_getTransactionByHash", `[` + oneHash + `]`, `{"hash":` + oneHash + `}`, OutcomeOK},
		"another transaction":          {"eth_getTransactionByHash", `[` + oneHash + `]`, `{"hash":` + otherHash + `}`, OutcomeWrong},
		"receipt":                      {"eth_getTransactionReceipt", `[` + oneHash + `]`, `{"transactionHash":` + oneHash + `}`, OutcomeOK},
		"another receipt":              {"eth_getTransactionReceipt", `[` + oneHash + `]`, `{"transactionHash":` + otherHash + `}`, OutcomeWrong},
		"receipts of another block":    {"eth_getBlockReceipts", `["0x10"]`, `[{"blockNumber":"0x12"}]`, OutcomeWrong},
		"receipts by hash":             {"eth_getBlockReceipts", `[` + oneHash + `]`, `[{"blockHash":` + lowerHash + `}]`, OutcomeOK},
		"receipts of another hash":     {"eth_getBlockReceipts", `[` + oneHash + `]`, `[{"blockHash":` + otherHash + `}]`, OutcomeWrong},
		"receipts of an object's hash": {"eth_getBlockReceipts", `[{"blockHash":` + oneHash + `}]`, `[{"blockHash":` + otherHash + `}]`, OutcomeWrong},
		"transaction by place":         {"eth_getTransactionByBlockNumberAndIndex", `["0x10","0x1"]`, `{"blockNumber":"0x10","transactionIndex":"0x1"}`, OutcomeOK},
		"another place":                {"eth_getTransactionByBlockNumberAndIndex", `["0x10","0x1"]`, `{"blockNumber":"0x10","transactionIndex":"0x2"}`, OutcomeWrong},
		"another place by hash":        {"eth_getTransactionByBlockHashAndIndex", `[` + oneHash + `,"0x1"]`, `{"blockHash":` + oneHash + `,"transactionIndex":"0x2"}`, OutcomeWrong},
		"a member left out":            {"eth_getTransactionByHash", `[` + oneHash + `]`, `{}`, OutcomeOK},
		"no logs":                      {"eth_getLogs", `[{"fromBlock":"0x10","toBlock":"0x12"}]`, `[]`, OutcomeOK},
		"logs inside":                  {"eth_getLogs", `[{"fromBlock":"0x10","toBlock":"0x12"}]`, `[{"blockNumber":"0x10"},{"blockNumber":"0x12"}]`, OutcomeOK},
		"first log before":             {"eth_getLogs", `[{"fromBlock":"0x10","toBlock":"0x12"}]`, `[{"blockNumber":"0xf"},{"blockNumber":"0x12"}]`, OutcomeWrong},
		"last log behind":              {"eth_getLogs", `[{"fromBlock":"0x10","toBlock":"0x12"}]`, `[{"blockNumber":"0x10"},{"blockNumber":"0x13"}]`, OutcomeWrong},
		"log of another address":       {"eth_getLogs", `[{"address":["0xab","0xac"]}]`, `[{"address":"0xad"}]`, OutcomeWrong},
		"address in another case":      {"eth_getLogs", `[{"address":"0xAB"}]`, `[{"address":"0xab"}]`, OutcomeOK},
		"log of another topic":         {"eth_getLogs", `[{"topics":["0x1"]}]`, `[{"topics":["0x2"]}]`, OutcomeWrong},
		"any topic":                    {"eth_getLogs", `[{"topics":[null,"0x1"]}]`, `[{"topics":["0x2"]}]`, OutcomeOK},
		"log of another block by hash": {"eth_getLogs", `[{"blockHash":` + oneHash + `}]`, `[{"blockHash":` + otherHash + `}]`, OutcomeWrong},
	}
	catalogue := methods.New()
	for name, c := range cases {
		req := Request{Method: c.method, Params: []byte(c.params), Facts: catalogue.Describe(c.method, []byte(c.params))}
		require.Equal(t, c.want == OutcomeOK, isAbout(req, []byte(c.result)), name)
	}
}

// blockText is a block as nodes write it.
func blockText(t *testing.T, header *types.Header, hash common.Hash, transactions any) []byte {
	t.Helper()
	text, err := json.Marshal(header)
	require.NoError(t, err)
	var members map[string]any
	require.NoError(t, json.Unmarshal(text, &members))
	members["hash"], members["transactions"] = hash, transactions
	text, err = json.Marshal(members)
	require.NoError(t, err)
	return text
}

func bftExtra(t *testing.T, items ...any) []byte {
	t.Helper()
	text, err := rlp.EncodeToBytes(items)
	require.NoError(t, err)
	return text
}

func TestIsHeaderHash(t *testing.T) {
	t.Parallel()

	vanity, validators, seals := make([]byte, 32), []common.Address{{1}, {2}}, [][]byte{make([]byte, 65), make([]byte, 65)}
	empty := []any{}
	header := types.Header{Number: big.NewInt(7), Difficulty: big.NewInt(1), BaseFee: new(big.Int), Extra: []byte("x")}
	require.True(t, isHeaderHash(blockText(t, &header, header.Hash(), nil)), "hashed as it stands")
	require.False(t, isHeaderHash(blockText(t, &header, common.Hash{1}, nil)))
	require.True(t, isHeaderHash([]byte(`{"hash":"0x1"}`)), "what cannot be read is not judged")

	// QBFT: hashed with round 0 and no seals; shown with both.
	header.Extra = bftExtra(t, vanity, validators, empty, uint(0), empty)
	hash := header.Hash()
	header.Extra = bftExtra(t, vanity, validators, empty, uint(3), seals)
	require.True(t, isHeaderHash(blockText(t, &header, hash, nil)), "QBFT")
	header.GasUsed = 5
	require.False(t, isHeaderHash(blockText(t, &header, hash, nil)), "a changed header")

	// IBFT2: hashed without both; the round has four bytes, no vote is no list.
	header.Extra = bftExtra(t, vanity, validators, []byte{})
	hash = header.Hash()
	header.Extra = bftExtra(t, vanity, validators, []byte{}, []byte{0, 0, 0, 3}, seals)
	require.True(t, isHeaderHash(blockText(t, &header, hash, nil)), "IBFT2")
	header.Extra = bftExtra(t, vanity, []common.Address{{9}}, []byte{}, []byte{0, 0, 0, 3}, seals)
	require.False(t, isHeaderHash(blockText(t, &header, hash, nil)), "other validators")
}

func TestIsTransactionsRoot(t *testing.T) {
	t.Parallel()

	key, err := crypto.GenerateKey()
	require.NoError(t, err)
	signer := types.LatestSignerForChainID(big.NewInt(31337))
	var list types.Transactions
	for nonce := range uint64(3) {
		list = append(list, types.MustSignNewTx(key, signer, &types.DynamicFeeTx{ChainID: big.NewInt(31337), Nonce: nonce, Gas: 21000, To: &common.Address{1}}))
	}
	header := types.Header{Number: big.NewInt(7), Difficulty: new(big.Int), TxHash: types.DeriveSha(list, trie.NewStackTrie(nil))}
	require.True(t, isTransactionsRoot(blockText(t, &header, common.Hash{}, list)))
	require.False(t, isTransactionsRoot(blockText(t, &header, common.Hash{}, list[:2])))
	require.True(t, isTransactionsRoot(blockText(t, &header, common.Hash{}, []string{"0xab"})), "hashes only")
}

func TestIsReceiptBloom(t *testing.T) {
	t.Parallel()

	log := &types.Log{Address: common.Address{1}, Topics: []common.Hash{{2}}}
	bloom := types.CreateBloom(&types.Receipt{Logs: []*types.Log{log}})
	text := func(bloom types.Bloom) []byte {
		out, err := json.Marshal(map[string]any{"logsBloom": bloom, "logs": []any{log}})
		require.NoError(t, err)
		return out
	}
	require.True(t, isReceiptBloom(text(bloom)))
	require.False(t, isReceiptBloom(text(types.Bloom{})))
	require.True(t, isReceiptBloom([]byte(`{}`)))
}
