package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/stretchr/testify/require"
)

// Row 7: the node restarts and has forgotten its pool.
func TestRow07_NodeForgetsItsPool(t *testing.T) {
	t.Parallel()
	n := choose(20, 400)
	w := newWorld(t, options{blockTime: manual, onDisk: true})
	r := w.replica(t).start(t)
	w.load(t, 0, n)
	w.waitStatus(t, "submitted", min(n, 2*150)) // a window each
	w.restartChain(t)
	var pending map[string]hexutil.Uint64
	w.rpc(t, w.nodeURL(), &pending, "txpool_status")
	t.Logf("in the pool after the restart: %d", pending["pending"]+pending["queued"])

	w.judge(t, verdict{accepted: n})
	require.GreaterOrEqual(t, r.metric("signer_queue_resends_total", ""), 1.0)
}

// Row 8: the node takes only nonces that are at most 20 above the account's, as
// Besu with --tx-pool-max-future-by-sender=20. A proxy enforces it, with Besu's
// words; go-ethereum has no such limit.
func TestRow08_PoolLimit(t *testing.T) {
	t.Parallel()
	const limit = 20
	var made atomic.Pointer[world]
	var refused atomic.Int64
	besu := func(rw http.ResponseWriter, request []byte, forward func() []byte) bool {
		if !sends(request) {
			return false
		}
		isBatch := request[0] == '['
		var calls []struct {
			ID     json.RawMessage
			Params []hexutil.Bytes
		}
		if !isBatch {
			request = append(append([]byte{'['}, request...), ']')
		}
		if json.Unmarshal(request, &calls) != nil {
			return false
		}
		answers := make([]string, len(calls))
		for i, c := range calls {
			answers[i] = made.Load().besuSend(c.ID, c.Params[0], limit, &refused)
		}
		out := answers[0]
		if isBatch {
			list, _ := json.Marshal(rawList(answers)) // made of JSON
			out = string(list)
		}
		reply(rw, []byte(out))
		return true
	}
	n := choose(200, 2000)
	w := newWorld(t, options{accounts: 1, back: besu})
	made.Store(w)
	w.replica(t).start(t)
	w.load(t, 0, n)
	w.judge(t, verdict{accepted: n, within: choose(patience, 10*patience)})
	t.Logf("the node refused %d offers, no caller saw one", refused.Load())
	require.Positive(t, refused.Load())
}

func rawList(texts []string) []json.RawMessage {
	out := make([]json.RawMessage, len(texts))
	for i, s := range texts {
		out[i] = json.RawMessage(s)
	}
	return out
}

// besuSend offers one transaction to the node if its nonce is near enough.
func (w *world) besuSend(id json.RawMessage, raw []byte, limit uint64, refused *atomic.Int64) string {
	var tx types.Transaction
	if err := tx.UnmarshalBinary(raw); err != nil {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"Invalid params"}}`, id)
	}
	sender, _ := types.Sender(types.LatestSignerForChainID(tx.ChainId()), &tx) // it came from the signer
	var at hexutil.Uint64
	if result, err := w.call(w.nodeURL(), "eth_getTransactionCount", sender, "latest"); err == nil {
		_ = json.Unmarshal(result, &at) // a node that answers
	}
	if tx.Nonce() > uint64(at)+limit {
		refused.Add(1)
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"Transaction nonce is too distant from current sender nonce"}}`, id)
	}
	result, err := w.call(w.nodeURL(), "eth_sendRawTransaction", "0x"+common.Bytes2Hex(raw))
	if err != nil {
		message, _ := json.Marshal(err.Error()) // text
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":%s}}`, id, message)
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
}
