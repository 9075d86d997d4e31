package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// verdict is what the judge is told of a run; the zero value of a field asks
// for nothing special.
type verdict struct {
	// accepted is how many requests were accepted: 0 to accepted-1.
	accepted int
	// stolen are the requests whose nonce somebody else used.
	stolen map[int]bool
	// foreign are transactions of our senders that the signer has not made.
	foreign map[common.Hash]bool
	// within bounds the time from acceptance to the end of the slowest.
	within time.Duration
}

type minedTx struct {
	Hash  common.Hash
	From  common.Address
	Nonce hexutil.Uint64
}

type minedReceipt struct {
	TransactionHash common.Hash
	BlockNumber     hexutil.Uint64
	BlockHash       common.Hash
	Status          hexutil.Uint64
	GasUsed         hexutil.Uint64
}

// history is all the chain holds.
type history struct {
	hits     map[common.Hash]int
	txs      map[common.Address]map[uint64]common.Hash
	receipts map[common.Hash]minedReceipt
}

// readChain reads every block straight from the node.
func (w *world) readChain(t *testing.T) history {
	t.Helper()
	h := history{hits: map[common.Hash]int{}, txs: map[common.Address]map[uint64]common.Hash{}, receipts: map[common.Hash]minedReceipt{}}
	var head hexutil.Uint64
	w.rpc(t, w.nodeURL(), &head, "eth_blockNumber")
	for n := range head + 1 {
		var block struct{ Transactions []minedTx }
		w.rpc(t, w.nodeURL(), &block, "eth_getBlockByNumber", n, true)
		if len(block.Transactions) == 0 {
			continue
		}
		for _, tx := range block.Transactions {
			if h.txs[tx.From] == nil {
				h.txs[tx.From] = map[uint64]common.Hash{}
			}
			h.txs[tx.From][uint64(tx.Nonce)] = tx.Hash
		}
		var receipts []struct {
			minedReceipt
			Logs []struct {
				Address common.Address
				Topics  []common.Hash
			}
		}
		w.rpc(t, w.nodeURL(), &receipts, "eth_getBlockReceipts", n)
		for _, r := range receipts {
			h.receipts[r.TransactionHash] = r.minedReceipt
			for _, l := range r.Logs {
				if l.Address == w.counter && len(l.Topics) == 2 && l.Topics[0] == hitTopic() {
					h.hits[l.Topics[1]]++
				}
			}
		}
	}
	return h
}

// judge waits until everything has ended and holds the database against the
// chain. These are the invariants of every row.
func (w *world) judge(t *testing.T, v verdict) {
	t.Helper()
	w.waitEnded(t, v.accepted)
	h := w.readChain(t)
	w.requireHits(t, v, h)
	w.requireSlots(t, v, h)
	w.requireReceipts(t, v, h)
	w.requireHistory(t, v)
}

// ended is SQL for: nothing follows this status.
const ended = `status in ('confirmed', 'reverted', 'rejected', 'cancelled', 'expired', 'failed')`

func (w *world) waitEnded(t *testing.T, accepted int) {
	t.Helper()
	limit := choose(patience, 10*time.Minute)
	deadline := time.Now().Add(limit)
	for {
		var done, all int
		var last string
		err := w.db.QueryRow(t.Context(), `select count(*) filter (where `+ended+`), count(*) from transactions`).Scan(&done, &all)
		if err == nil {
			require.LessOrEqual(t, all, accepted, "one row for each request")
			if done == accepted {
				return
			}
			last = fmt.Sprintf("%d of %d have ended, %d were accepted", done, all, accepted)
		} else {
			last = err.Error()
		}
		if time.Now().After(deadline) {
			require.FailNow(t, "not everything ended: "+last, w.describe(t))
		}
		w.seal(t)
		pause(t, 5*tick)
	}
}

// describe lists what hangs, for the reader of a failure.
func (w *world) describe(t *testing.T) string {
	t.Helper()
	rows, err := w.db.Query(t.Context(), `
		select status::text || ' ' || coalesce(substatus, '-') || ' nonce ' || coalesce(n.nonce::text, '-') || ' ' || coalesce(
			(select string_agg(a.hash::text || ' sent ' || a.send_count || ' ' || coalesce(a.last_message, ''), '; ') from attempts a
			 where a.chain_id = n.chain_id and a.sender = n.sender and a.nonce = n.nonce), '')
		from transactions t left join nonce_slots n on n.tx_id = t.id where not (`+ended+`) order by t.seq limit 10`)
	if err != nil {
		return err.Error()
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return fmt.Sprint(lines, err)
}

// requireHits: each accepted request was executed once, and nothing else was.
func (w *world) requireHits(t *testing.T, v verdict, h history) {
	t.Helper()
	total := 0
	for n := range v.accepted {
		want := 1
		if v.stolen[n] {
			want = 0
		}
		require.Equal(t, want, h.hits[hitID(n)], "executions of request %d", n)
		total += want
	}
	sum := 0
	for _, n := range h.hits {
		sum += n
	}
	require.Equal(t, total, sum, "executions of anything")
}

// requireSlots: nonces have no gaps, and every transaction of the senders on
// the chain is an attempt that the database holds.
func (w *world) requireSlots(t *testing.T, v verdict, h history) {
	t.Helper()
	for _, sender := range w.senders {
		var slots, first, last, next int64
		err := w.db.QueryRow(t.Context(), `
			select count(n.nonce), coalesce(min(n.nonce), 0), coalesce(max(n.nonce), -1), s.next_nonce
			from senders s left join nonce_slots n on n.chain_id = s.chain_id and n.sender = s.address
			where s.address = $1 group by s.next_nonce`, sender[:]).Scan(&slots, &first, &last, &next)
		require.NoError(t, err)
		require.Zero(t, first, "slots of %s begin at 0", sender)
		require.Equal(t, slots, last+1, "slots of %s have no gap", sender)
		require.Equal(t, slots, next, "next nonce of %s", sender)
		require.Len(t, h.txs[sender], int(slots), "transactions of %s on the chain", sender)
	}
	rows, err := w.db.Query(t.Context(), `select hash from attempts`)
	require.NoError(t, err)
	hashes, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(t, err)
	ours := map[common.Hash]bool{}
	for _, hash := range hashes {
		ours[common.BytesToHash(hash)] = true
	}
	for _, sender := range w.senders {
		for nonce, hash := range h.txs[sender] {
			require.NotEqual(t, ours[hash], v.foreign[hash], "nonce %d of %s: the signer does not know %s", nonce, sender, hash)
		}
	}
}

// requireReceipts: what the database says of a block is what the chain says.
func (w *world) requireReceipts(t *testing.T, v verdict, h history) {
	t.Helper()
	type receipt struct {
		Hash      []byte
		Block     int64
		BlockHash []byte
		Status    int16
		Gas       int64
		Final     bool
	}
	rows, err := w.db.Query(t.Context(), `select hash, block_number, block_hash, status, gas_used, final from receipts`)
	require.NoError(t, err)
	stored, err := pgx.CollectRows(rows, pgx.RowToStructByPos[receipt])
	require.NoError(t, err)
	require.Len(t, stored, v.accepted-len(v.stolen), "receipts")
	for _, r := range stored {
		onChain, isThere := h.receipts[common.BytesToHash(r.Hash)]
		require.True(t, isThere, "%x is in no block", r.Hash)
		require.True(t, r.Final)
		require.EqualValues(t, onChain.BlockNumber, r.Block)
		require.Equal(t, onChain.BlockHash, common.BytesToHash(r.BlockHash))
		require.EqualValues(t, onChain.Status, r.Status)
		require.EqualValues(t, onChain.GasUsed, r.Gas)
	}
}

// requireHistory: every request ended once, as it should, and in time.
func (w *world) requireHistory(t *testing.T, v verdict) {
	t.Helper()
	var confirmed, failed, twice int
	var slowest time.Duration
	err := w.db.QueryRow(t.Context(), `select count(*) filter (where status = 'confirmed'), count(*) filter (where status = 'failed') from transactions`).Scan(&confirmed, &failed)
	require.NoError(t, err)
	require.Equal(t, v.accepted-len(v.stolen), confirmed, "confirmed")
	require.Equal(t, len(v.stolen), failed, "failed")
	err = w.db.QueryRow(t.Context(), `
		select count(*) from (select tx_id from tx_events where type in ('confirmed', 'reverted', 'failed', 'cancelled', 'rejected', 'expired')
			group by tx_id having count(*) > 1) d`).Scan(&twice)
	require.NoError(t, err)
	require.Zero(t, twice, "transactions with more than one end in their history")
	err = w.db.QueryRow(t.Context(), `
		select coalesce(max(e.at - t.created_at), interval '0') from tx_events e join transactions t on t.id = e.tx_id where e.type in ('confirmed', 'failed')`).Scan(&slowest)
	require.NoError(t, err)
	limit := v.within
	if limit == 0 {
		limit = choose(patience, 5*time.Minute)
	}
	require.Less(t, slowest, limit, "the slowest took too long")
	t.Logf("%d accepted, %d confirmed, %d taken by others, each executed as often as it should; slowest %s", v.accepted, confirmed, failed, slowest.Round(time.Millisecond))
}
