package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/devnet"
)

const (
	transactions = 2000
	clients      = 16
)

// Everything that is accepted is executed exactly once: 2,000 transactions of 8
// senders, through REST and JSON-RPC, with repeated requests, while the signer
// is killed twice and one of two upstreams dies.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	accepted := make([]submitted, transactions)
	var count atomic.Int64

	faults := make(chan error, 1)
	go func() {
		at := func(n int64) { waitUntil(t, func() bool { return count.Load() >= n }) }
		at(transactions / 5)
		first := errors.Join(s.signer.kill(), s.signer.start(t))
		at(transactions * 2 / 5)
		s.upstreams[0].Set(devnet.Hang)
		at(transactions * 3 / 5)
		faults <- errors.Join(first, s.signer.kill(), s.signer.start(t))
	}()
	submitAll(t, s, accepted, &count)
	require.NoError(t, <-faults)

	onChain := s.readChain(t)
	waitUntil(t, func() bool { onChain = s.readChain(t); return len(onChain.byMarker) >= transactions })

	for i, sub := range accepted {
		executed := onChain.byMarker[marker(i)]
		require.Len(t, executed, 1, "request %d was executed %d times", i, len(executed))
		require.Equal(t, sub.sender, executed[0].From)
		if sub.hash != (common.Hash{}) {
			require.Equal(t, sub.hash, executed[0].Hash, "request %d: the hash that was answered is not the one on the chain", i)
		}
	}
	require.Len(t, onChain.byMarker, transactions)
	for sender, nonces := range onChain.nonces {
		for n := range uint64(len(nonces)) {
			require.Equal(t, 1, nonces[n], "sender %s, nonce %d", sender, n)
		}
	}
	s.requireConfirmed(t, accepted, onChain)
}

// submitted is what a client knows of a request that was accepted.
type submitted struct {
	sender common.Address
	id     string      // by REST
	hash   common.Hash // by JSON-RPC
}

// marker is the calldata of request i.
func marker(i int) string { return fmt.Sprintf("0x%064x", 0xfeed0000+i) }

func submitAll(t *testing.T, s *system, accepted []submitted, count *atomic.Int64) {
	t.Helper()
	from := senders(t)
	next := make(chan int)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := range next {
				sub := submitted{sender: from[i%len(from)]}
				err := sub.submit(t.Context(), s, i)
				if err == nil && i%5 == 0 { // a client that repeats itself
					err = sub.submit(t.Context(), s, i)
				}
				if err != nil {
					t.Errorf("request %d: %v", i, err)
				}
				accepted[i] = sub
				count.Add(1)
			}
		})
	}
	for i := range transactions {
		next <- i
	}
	close(next)
	wg.Wait()
	require.False(t, t.Failed())
}

// submit sends a request until it is accepted, always with its key.
func (sub *submitted) submit(ctx context.Context, s *system, i int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	key := fmt.Sprintf("request-%d", i)
	tx := fmt.Sprintf(`{"from":"%s","to":"%s","data":"%s"}`, sub.sender.Hex(), common.HexToAddress("0xdead").Hex(), marker(i))
	for {
		var err error
		if i%2 == 0 {
			err = sub.byREST(ctx, s, tx, key)
		} else {
			err = sub.byRPC(ctx, s, tx, key)
		}
		if err == nil || errors.Is(err, errRefused) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

var errRefused = errors.New("refused")

func (sub *submitted) byREST(ctx context.Context, s *system, tx, key string) error {
	status, answer, err := post(ctx, s.client, s.signer.url+"/v1/transactions", tx, key)
	if err != nil {
		return err
	}
	if status == http.StatusServiceUnavailable {
		return errors.New("unavailable")
	}
	var got struct{ ID string }
	if status/100 != 2 || json.Unmarshal(answer, &got) != nil {
		return fmt.Errorf("%w: HTTP %d %s", errRefused, status, answer)
	}
	if sub.id != "" && sub.id != got.ID {
		return fmt.Errorf("%w: the same key gave %s and %s", errRefused, sub.id, got.ID)
	}
	sub.id = got.ID
	return nil
}

func (sub *submitted) byRPC(ctx context.Context, s *system, tx, key string) error {
	_, answer, err := post(ctx, s.client, s.signer.url, `{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction","params":[`+tx+`]}`, key)
	if err != nil {
		return err
	}
	var got struct {
		Result common.Hash
		Error  json.RawMessage
	}
	if err := json.Unmarshal(answer, &got); err != nil || got.Error != nil {
		return fmt.Errorf("%w: %s", errRefused, answer)
	}
	if sub.hash != (common.Hash{}) && sub.hash != got.Result {
		return fmt.Errorf("%w: the same key gave %s and %s", errRefused, sub.hash, got.Result)
	}
	sub.hash = got.Result
	return nil
}

type chainTx struct {
	Hash  common.Hash
	From  common.Address
	Nonce hexutil.Uint64
	Input string
}

// history is all the chain holds.
type history struct {
	byMarker map[string][]chainTx
	nonces   map[common.Address]map[uint64]int
}

// readChain reads every block straight from the node.
func (s *system) readChain(t *testing.T) history {
	t.Helper()
	h := history{byMarker: map[string][]chainTx{}, nonces: map[common.Address]map[uint64]int{}}
	var head hexutil.Uint64
	s.rpc(t, s.chain.HTTPURL(), "eth_blockNumber", "[]", &head)
	for n := range head + 1 {
		var block struct{ Transactions []chainTx }
		s.rpc(t, s.chain.HTTPURL(), "eth_getBlockByNumber", fmt.Sprintf(`["0x%x",true]`, uint64(n)), &block)
		for _, tx := range block.Transactions {
			h.byMarker[tx.Input] = append(h.byMarker[tx.Input], tx)
			if h.nonces[tx.From] == nil {
				h.nonces[tx.From] = map[uint64]int{}
			}
			h.nonces[tx.From][uint64(tx.Nonce)]++
		}
	}
	return h
}

// requireConfirmed compares what the signer says with the chain.
func (s *system) requireConfirmed(t *testing.T, accepted []submitted, onChain history) {
	t.Helper()
	type item struct {
		ID, Status, Hash, Data string
		Nonce                  *uint64
	}
	var items map[string]item
	list := func() bool {
		items = map[string]item{}
		confirmed := 0
		for cursor := ""; ; {
			var page struct {
				Items []item
				Next  string
			}
			resp, err := s.client.Get(s.signer.url + "/v1/transactions?limit=500" + cursor) //nolint:noctx // the client has a timeout
			require.NoError(t, err)
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&page))
			require.NoError(t, resp.Body.Close())
			for _, it := range page.Items {
				items[it.ID] = it
				if it.Status == "confirmed" {
					confirmed++
				}
			}
			if page.Next == "" {
				return confirmed == transactions
			}
			cursor = "&cursor=" + page.Next
		}
	}
	waitUntil(t, list)
	require.Len(t, items, transactions)
	for _, it := range items {
		tx := onChain.byMarker[it.Data][0]
		require.Equal(t, tx.Hash.Hex(), it.Hash)
		require.EqualValues(t, tx.Nonce, *it.Nonce)
	}
	for i, sub := range accepted {
		if sub.id != "" {
			require.Equal(t, marker(i), items[sub.id].Data)
		}
	}
}

func waitUntil(t *testing.T, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			t.Error("not in time")
			return
		}
		select {
		case <-t.Context().Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
