package nodeclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/secret"
)

// One row for each line of the table, in the node's own words.
func TestClassifySend(t *testing.T) {
	t.Parallel()

	cases := []struct {
		code    int
		message string
		want    SendOutcome
	}{
		{-32000, "already known", SendKnown},                                                                             // geth
		{-32000, "Known transaction", SendKnown},                                                                         // Besu
		{-32003, "transaction already imported", SendKnown},                                                              // anvil
		{-32010, "Transaction with the same hash was already imported", SendKnown},                                       // OpenEthereum
		{-32010, "AlreadyKnown", SendKnown},                                                                              // Nethermind
		{-32000, "Replacement transaction underpriced", SendUnderpriced},                                                 // Besu
		{-32000, "replacement transaction underpriced: tip needed 2", SendUnderpriced},                                   // geth
		{-32003, "insufficient gas price to replace existing transaction", SendUnderpriced},                              // anvil
		{-32000, "future transaction tries to replace pending", SendUnderpriced},                                         // geth
		{-32000, "Transaction nonce is too distant from current sender nonce", SendTooFarAhead},                          // Besu
		{-32000, "Transaction nonce it too distant from current sender nonce", SendTooFarAhead},                          // Besu 22.10
		{-32000, "account limit exceeded", SendTooFarAhead},                                                              // geth
		{-32001, "Nonce too low", SendNonceUsed},                                                                         // Besu
		{-32000, "nonce too low: next nonce 5, tx nonce 4", SendNonceUsed},                                               // geth
		{-32010, "OldNonce, Current nonce: 5, nonce of rejected tx: 4", SendNonceUsed},                                   // Nethermind
		{-32001, "NONCE", SendNonceUsed},                                                                                 // Besu, by its code
		{-32006, "Nonce too high", SendGap},                                                                              // Besu
		{-32000, "nonce too high", SendGap},                                                                              // geth
		{-32010, "NonceGap, Future nonce. Expected nonce: 5", SendGap},                                                   // Nethermind
		{-32000, "tx nonce exceeds next nonce", SendGap},                                                                 // Nethermind
		{-32000, "An invalid transaction with a lower nonce exists", SendGap},                                            // Besu
		{-32004, "Upfront cost exceeds account balance (transaction up-front cost 0x1 exceeds…)", SendInsufficientFunds}, // Besu
		{-32000, "insufficient funds for gas * price + value", SendInsufficientFunds},                                    // geth
		{-32009, "Gas price below configured minimum gas price", SendUnderpriced},                                        // Besu
		{-32009, "Gas price below current base fee", SendUnderpriced},                                                    // Besu
		{-32000, "transaction underpriced", SendUnderpriced},                                                             // geth
		{-32000, "max fee per gas less than block base fee", SendUnderpriced},                                            // geth, anvil
		{-32010, "FeeTooLow, MaxFeePerGas too low", SendUnderpriced},                                                     // Nethermind
		{-32000, "Max priority fee per gas exceeds max fee per gas", SendRefused},                                        // Besu
		{-32000, "max priority fee per gas higher than max fee per gas", SendRefused},                                    // geth
		{-32000, "Transaction fee cap exceeded", SendRefused},                                                            // Besu
		{-32000, "tx fee (2.00 ether) exceeds the configured cap (1.00 ether)", SendRefused},                             // geth
		{-32005, "Transaction gas limit exceeds block gas limit", SendRefused},                                           // Besu: no throttling
		{-32005, "Transaction gas limit cap exceeded", SendRefused},                                                      // Besu, EIP-7825
		{-32000, "exceeds block gas limit", SendRefused},                                                                 // geth
		{-32003, "Intrinsic gas exceeds gas limit", SendRefused},                                                         // Besu
		{-32000, "intrinsic gas too low", SendRefused},                                                                   // geth
		{-32007, "Sender account not authorized to send transactions", SendRefused},                                      // Besu
		{-32000, "sender not an eoa", SendRefused},                                                                       // geth
		{-32000, "Wrong chainId", SendRefused},                                                                           // Besu
		{-32000, "invalid chain id for signer: have 1 want 2", SendRefused},                                              // geth
		{-32000, "invalid sender", SendRefused},                                                                          // geth
		{-32002, "Invalid signature", SendRefused},                                                                       // Besu
		{-32002, "Transaction pool not enabled", SendNodeBusy},                                                           // Besu, the same code
		{-32008, "Initial sync is still in progress", SendNodeBusy},                                                      // Besu
		{-32602, "Invalid block param (block not found)", SendRefused},                                                   // Besu, of undecodable bytes
		{-32602, "Invalid transaction type", SendRefused},                                                                // Besu
		{-32000, "Plugin has marked the transaction as invalid: denied", SendRefused},                                    // Besu
		{-32000, "txpool is full", SendNodeBusy},                                                                         // geth
		{-32000, "queue full", SendNodeBusy},
		{-32000, "sequencer pending tx pool full, please try again", SendNodeBusy},
		{-32000, "address already reserved", SendNodeBusy},                             // geth
		{-32000, "authority already reserved", SendNodeBusy},                           // geth
		{-32000, "oversized data: transaction size 200000, limit 131072", SendRefused}, // geth
		{-32005, "Too many requests", SendNodeBusy},
		{429, "rate limit exceeded", SendNodeBusy},
		{-32603, "Internal error", SendAmbiguous}, // Besu of reasons it has no code for
		{-32603, "Timeout expired", SendAmbiguous},
		{-32000, "something nobody has ever said", SendAmbiguous},
	}
	used := map[SendOutcome]bool{SendAccepted: true}
	for _, c := range cases {
		require.Equal(t, c.want, ClassifySend(c.code, c.message), "%d %s", c.code, c.message)
		used[c.want] = true
	}
	for o := range sendOutcomes {
		require.True(t, used[o], "no row for %s", o)
	}
	for i, r := range sendRules() {
		hit := false
		for _, c := range cases {
			hit = hit || (r.code == 0 || r.code == c.code) && strings.Contains(strings.ToLower(c.message), r.text)
		}
		require.True(t, hit, "rule %d (%q) has no row", i, r.text)
	}
}

// What says nothing of the call must not end a transaction.
func TestFailure_TellsTheNodesTroubleFromTheCalls(t *testing.T) {
	t.Parallel()

	cases := []struct {
		code      jsonrpc.Code
		message   string
		transient bool
	}{
		{-32002, "no upstream can serve this request now", true},
		{-32015, "no upstream answered in time", true},
		{-32005, "every upstream limits the rate of requests now", true},
		{-32603, "Timeout expired", true},
		{-32603, "Internal error", true},
		{-32008, "Initial sync is still in progress", true},
		{429, "slow down", true},
		{-32000, "execution aborted (timeout = 5s)", true},
		{-32000, "request timed out", true},
		{-32000, "Too Many Requests", true},
		{-32000, "project rate limit reached", true},
		{-32000, "header not found", true},
		{-39001, "Unknown block", true},
		{-32000, "missing trie node 0xab", true},
		{-32000, "World state unavailable", true},
		{-32000, "the sync is still in progress", true},
		{3, "execution reverted: no", false},
		{-32000, "insufficient funds for gas * price + value", false},
		{-32004, "Upfront cost exceeds account balance", false},
		{-32602, "Invalid params", false},
		{-32601, "Method not found", false},
		{-32000, "gas required exceeds allowance (21000)", false},
	}
	for _, c := range cases {
		err := reply{rpcErr: jsonrpc.NewError(c.code, c.message)}.failure()
		require.Equal(t, c.transient, errors.Is(err, ErrUnreachable), "%d %s", c.code, c.message)
		var rpc *jsonrpc.Error
		require.ErrorAs(t, err, &rpc)
	}
}

// serve answers each JSON-RPC call with what answer returns: the members of a
// response after the id.
func serve(t *testing.T, answer func(method string, params string) string) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		one := func(text []byte) string {
			req, err := jsonrpc.ScanRequest(text)
			if err != nil {
				return err.Message
			}
			return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, req.ID, answer(req.Method, string(req.Params)))
		}
		if !jsonrpc.IsBatch(body) {
			fmt.Fprint(w, one(body))
			return
		}
		elements := jsonrpc.Elements(body)
		out := make([]string, len(elements))
		for i, e := range elements {
			out[len(out)-1-i] = one(e) // the order of a batch's answers is free
		}
		fmt.Fprint(w, "["+strings.Join(out, ",")+"]")
	}))
	t.Cleanup(server.Close)
	return client(t, server.URL)
}

func client(t *testing.T, url string) *Client {
	t.Helper()
	c, err := New(Config{URL: secret.New(url), Timeout: 2 * time.Second, MaxResponse: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestClient_ReadsWhatNodesWrite(t *testing.T) {
	t.Parallel()

	c := serve(t, func(method, params string) string {
		switch method {
		case "eth_chainId":
			return `"result":"0xc85115a2b"`
		case "eth_gasPrice", "eth_maxPriorityFeePerGas":
			return `"result":"0x0"`
		case "eth_blockNumber":
			return `"result":"0x10"`
		case "eth_getBlockByNumber":
			return `"result":{"number":"0x10","hash":"0x` + strings.Repeat("ab", 32) + `","gasLimit":"0x1fffffffffffff","baseFeePerGas":"0x7"}`
		case "eth_getTransactionCount":
			if strings.Contains(params, "pending") {
				return `"result":"0x9"`
			}
			return `"result":"0x5"`
		case "eth_estimateGas":
			if strings.Contains(params, `"to"`) {
				return `"result":"0x5208"`
			}
			return `"error":{"code":3,"message":"execution reverted","data":"0x"}`
		case "eth_getTransactionByHash":
			return `"result":null`
		default:
			return `"error":{"code":-32601,"message":"no"}`
		}
	})
	ctx := t.Context()

	id, err := c.ChainID(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 0xc85115a2b, id)
	head, err := c.Head(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1<<53-1, head.GasLimit)
	require.Equal(t, big.NewInt(7), head.BaseFee)
	price, err := c.GasPrice(ctx)
	require.NoError(t, err)
	require.Zero(t, price.Sign())
	nonces := c.Nonces(ctx, make([]common.Address, 150)) // three HTTP requests
	require.Len(t, nonces, 150)
	require.Equal(t, Nonces{Latest: 5, Pending: 9}, nonces[149])
	require.EqualValues(t, 5, c.LatestNonces(ctx, make([]common.Address, 1))[0].Latest)
	to := common.HexToAddress("0x1")
	estimates := c.EstimateGas(ctx, []CallMsg{{To: &to, Value: big.NewInt(1)}, {Data: []byte{1}}})
	require.EqualValues(t, 21000, estimates[0].Gas)
	var rpc *jsonrpc.Error
	require.ErrorAs(t, estimates[1].Err, &rpc)
	require.Equal(t, jsonrpc.CodeReverted, rpc.Code)
	knows, err := c.Knows(ctx, common.Hash{})
	require.NoError(t, err)
	require.False(t, knows)
	_, err = c.BlockReceipts(ctx, 1)
	require.ErrorAs(t, err, &rpc)
	require.NotErrorIs(t, err, ErrUnreachable)
}

func receiptJSON(hash common.Hash, block int) string {
	return fmt.Sprintf(`{"transactionHash":"%s","blockNumber":"0x%x","blockHash":"%s","status":"0x1","gasUsed":"0x5208","contractAddress":null}`, hash, block, hash)
}

func TestClient_DistrustsReceiptsOfOthers(t *testing.T) {
	t.Parallel()

	mine, other := common.HexToHash("0x1"), common.HexToHash("0x2")
	c := serve(t, func(method, params string) string {
		switch {
		case method == "eth_getBlockReceipts" && strings.Contains(params, "0x7"):
			return `"result":[` + receiptJSON(mine, 7) + `]`
		case method == "eth_getBlockReceipts":
			return `"result":[` + receiptJSON(mine, 9) + `]`
		case strings.Contains(params, mine.Hex()):
			return `"result":` + receiptJSON(mine, 7)
		case strings.Contains(params, other.Hex()):
			return `"result":` + receiptJSON(mine, 7)
		default:
			return `"result":null`
		}
	})

	receipts, err := c.Receipts(t.Context(), []common.Hash{mine, {}})
	require.NoError(t, err)
	require.True(t, receipts[0].Success)
	require.Nil(t, receipts[1])
	_, err = c.Receipts(t.Context(), []common.Hash{other})
	require.ErrorIs(t, err, ErrUnreachable)
	block, err := c.BlockReceipts(t.Context(), 7)
	require.NoError(t, err)
	require.Len(t, block, 1)
	_, err = c.BlockReceipts(t.Context(), 8)
	require.ErrorIs(t, err, ErrUnreachable)
}

// Besu under load was seen answering a send with the hash of another one.
func TestClient_SendRawBelievesOnlyItsOwnHash(t *testing.T) {
	t.Parallel()

	mine, other := common.HexToHash("0x1"), common.HexToHash("0x2")
	c := serve(t, func(_, params string) string {
		switch params {
		case `["0x01"]`:
			return fmt.Sprintf(`"result":"%s"`, mine)
		case `["0x02"]`:
			return fmt.Sprintf(`"result":"%s"`, other)
		default:
			return `"error":{"code":-32001,"message":"Nonce too low"}`
		}
	})

	got := c.SendRaw(t.Context(), [][]byte{{1}, {2}, {3}}, []common.Hash{mine, mine, mine})

	require.Equal(t, SendAccepted, got[0].Outcome)
	require.Equal(t, SendAmbiguous, got[1].Outcome)
	require.Equal(t, SendResult{Outcome: SendNonceUsed, Code: -32001, Message: "Nonce too low"}, got[2])
}

func TestClient_EveryBrokenAnswerIsAmbiguous(t *testing.T) {
	t.Parallel()

	for name, handler := range map[string]http.HandlerFunc{
		"html": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(502)
			fmt.Fprint(w, "<html>bad gateway</html>")
		},
		"cut":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[{"jsonrpc":"2.0","id":0,"result":"0x`) },
		"reset": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"one for all": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"id":null,"error":{"code":-32005,"message":"Number of requests exceeds max batch size"}}`)
		},
		"missing answer": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[]`) },
		"foreign ids": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `[{"id":"x","result":1},{"id":7,"result":1},5]`)
		},
		"too large": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 2<<20)) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)

			got := client(t, server.URL).SendRaw(t.Context(), [][]byte{{1}}, []common.Hash{{}})

			require.Equal(t, SendAmbiguous, got[0].Outcome)
			require.NotEmpty(t, got[0].Message)
		})
	}
}

func TestClient_NeverShowsItsURL(t *testing.T) {
	t.Parallel()

	_, err := New(Config{URL: secret.New("://user:hunter2@x")})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
	_, err = New(Config{URL: secret.New("ftp://hunter2.example")})
	require.ErrorContains(t, err, "http or https")

	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c := client(t, strings.Replace(server.URL, "http://", "http://user:hunter2@", 1)+"/key-hunter2")
	_, err = c.ChainID(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	require.NotContains(t, err.Error(), "hunter2")
	require.NotContains(t, fmt.Sprint(c), "hunter2")
}

func TestCallMsg_Params(t *testing.T) {
	t.Parallel()

	to := common.HexToAddress("0x1")
	var got []map[string]any
	require.NoError(t, json.Unmarshal(CallMsg{From: to, To: &to, Value: big.NewInt(255), Data: []byte{0xab}}.params(), &got))
	require.Equal(t, "0xff", got[0]["value"])
	require.Equal(t, "0xab", got[0]["input"])
}

// A gateway in between must not answer from what it has kept of another chain.
func TestGenesisHash_IsAskedOfANode(t *testing.T) {
	t.Parallel()
	var skips string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		skips = r.Header.Get("X-Erpc-Skip-Cache-Read")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":{"number":"0x0","hash":"%s"}}`, common.HexToHash("0x07"))
	}))
	t.Cleanup(server.Close)
	c, err := New(Config{URL: secret.New(server.URL)})
	require.NoError(t, err)

	genesis, err := c.GenesisHash(t.Context())

	require.NoError(t, err)
	require.Equal(t, common.HexToHash("0x07"), genesis)
	require.Equal(t, "true", skips)
}
