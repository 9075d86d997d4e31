package chaos

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/local"
)

// Row 9: blocks that held transactions are thrown away and others take their
// place. The node forgets the transactions of the lost blocks: they have to be
// sent again.
func TestRow09_Reorganisation(t *testing.T) {
	t.Parallel()
	depths := choose([]uint64{1, 3}, []uint64{1, 2, 3, 4, 5})
	for _, depth := range depths {
		t.Run(fmt.Sprintf("depth %d", depth), func(t *testing.T) {
			t.Parallel()
			n := choose(8, 40)
			w := newWorld(t, options{blockTime: manual, finalityDepth: 8, queue: map[string]any{"confirmations": 7}})
			w.replica(t).start(t)
			for range 10 { // blocks below which nothing is lost
				w.seal(t)
			}
			w.load(t, 0, n)
			w.waitStatus(t, "submitted", n)
			for range depth {
				w.seal(t)
			}
			w.waitStatus(t, "mined", n)
			before := w.readChain(t)

			var head hexutil.Uint64
			w.rpc(t, w.nodeURL(), &head, "eth_blockNumber")
			var nothing any
			w.rpc(t, w.nodeURL(), &nothing, "debug_setHead", head-hexutil.Uint64(depth))
			require.Empty(t, w.readChain(t).hits, "the blocks are gone")
			w.judge(t, verdict{accepted: n}) // makes blocks until all is over

			after := w.readChain(t)
			require.NotEqual(t, before.receipts, after.receipts, "other blocks hold them now")
		})
	}
}

// Row 10: the chain is replaced by another one with the same chain id.
func TestRow10_ChainReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	r := w.replica(t).start(t)
	w.load(t, 0, 6)
	w.judge(t, verdict{accepted: 6})

	address := strings.TrimPrefix(w.chain.HTTPURL(), "http://")
	w.stop()
	w.startChain(t, map[common.Address]*big.Int{{1}: big.NewInt(1)}, address) // makes it another genesis block
	w.load(t, 6, 4)                                                           // accepting goes on
	pause(t, time.Second)
	// The gateway remembers the old chain as well and does not use the node any
	// more. A new one remembers nothing.
	w.stopGateway()
	w.startGateway(t)
	w.eventually(t, "the senders are halted", func() bool { return w.count(t, `select count(*) from senders where state = 'halted'`) == 2 })

	// Nothing is executed, and a replica that is started now does not begin.
	r.kill()
	r.start(t)
	w.eventually(t, "it ends by itself", func() bool { return r.hasEnded() })
	for _, sender := range w.senders {
		require.Empty(t, w.readChain(t).txs[sender])
	}
	require.Equal(t, 4, w.count(t, `select count(*) from transactions where not (`+ended+`)`))
}

// Row 11: somebody else uses the key in the middle of a burst. Exactly the
// transaction that had the nonce fails; the others go on.
func TestRow11_ExternalUse(t *testing.T) {
	t.Parallel()
	n := choose(12, 200)
	const at = 5
	w := newWorld(t, options{accounts: 1, blockTime: manual})
	signers, err := local.Accounts(local.Config{Mnemonic: secret.New(phrase), Accounts: 1})
	require.NoError(t, err)
	foreign := signBy(t, signers[0], &types.LegacyTx{Nonce: at, To: &common.Address{1}, Gas: 21_000, GasPrice: big.NewInt(1e9)})
	hash := w.sendRaw(t, w.nodeURL(), foreign) // waits in the pool for the nonces before it

	w.replica(t).start(t).ready(t)
	for i := range n { // one after the other, so that request 5 gets nonce 5
		w.load(t, i, 1)
	}
	w.judge(t, verdict{accepted: n, stolen: map[int]bool{at: true}, foreign: map[common.Hash]bool{hash: true}})
}

func signBy(t *testing.T, key signing.Signer, data types.TxData) []byte {
	t.Helper()
	chain := types.LatestSignerForChainID(big.NewInt(chainID))
	tx := types.NewTx(data)
	signature, err := key.Sign(t.Context(), chain.Hash(tx))
	require.NoError(t, err)
	tx, err = tx.WithSignature(chain, signature[:])
	require.NoError(t, err)
	raw, err := tx.MarshalBinary()
	require.NoError(t, err)
	require.Equal(t, tx.Hash(), crypto.Keccak256Hash(raw))
	return raw
}
