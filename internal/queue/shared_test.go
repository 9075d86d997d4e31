package queue

import (
	"context"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/nodeclient"
)

func TestClaimBatch_EachGetsItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	var ids []uuid.UUID
	for i := range 6 {
		a, err := q.Enqueue(t.Context(), b.request(i%2, "x"))
		require.NoError(t, err)
		ids = append(ids, a.ID)
	}
	list := []*claim{{sender: b.sender(1), most: 10}, {sender: b.sender(2), most: 10}, {sender: b.sender(0), most: 2}}
	q.store.claimBatch(t.Context(), list)
	var got [3][]uuid.UUID
	for i, c := range list {
		require.NoError(t, c.err)
		for _, one := range c.list {
			got[i] = append(got[i], one.id)
		}
	}
	require.Equal(t, [3][]uuid.UUID{{ids[1], ids[3], ids[5]}, nil, {ids[0], ids[2]}}, got)

	b.pool.Close()
	list = []*claim{{sender: b.sender(0), most: 1}, {sender: b.sender(1), most: 1}}
	q.store.claimBatch(t.Context(), list)
	for _, c := range list {
		require.ErrorIs(t, c.err, ErrUnavailable)
	}
}

// slowNode answers once it is let to, and remembers how it was asked.
type slowNode struct {
	Node
	let chan struct{}

	mu      sync.Mutex
	batches []int
}

func (n *slowNode) note(ctx context.Context, calls int) {
	n.mu.Lock()
	n.batches = append(n.batches, calls)
	n.mu.Unlock()
	select {
	case <-n.let:
	case <-ctx.Done():
	}
}

func (n *slowNode) EstimateGas(ctx context.Context, msgs []nodeclient.CallMsg) []nodeclient.Estimate {
	n.note(ctx, len(msgs))
	out := make([]nodeclient.Estimate, len(msgs))
	for i, m := range msgs {
		out[i].Gas = uint64(m.Data[0])
	}
	return out
}

func (n *slowNode) SendRaw(ctx context.Context, raws [][]byte, hashes []common.Hash) []nodeclient.SendResult {
	n.note(ctx, len(raws))
	out := make([]nodeclient.SendResult, len(raws))
	for i := range raws {
		out[i] = nodeclient.SendResult{Code: int(raws[i][0]) + int(hashes[i][0])}
	}
	return out
}

func (n *slowNode) asked() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.batches)
}

// Everybody gets the answers to his own calls, whoever they were joined with.
func TestSharedNode_GivesEachHisAnswers(t *testing.T) {
	t.Parallel()
	slow := &slowNode{let: make(chan struct{})}
	node := newSharedNode(slow)
	const callers = 60
	var group sync.WaitGroup
	for i := range byte(callers) {
		group.Go(func() {
			got := node.EstimateGas(t.Context(), []nodeclient.CallMsg{{Data: []byte{i}}, {Data: []byte{i + 100}}})
			if len(got) != 2 || got[0].Gas != uint64(i) || got[1].Gas != uint64(i)+100 {
				t.Errorf("estimates of %d: %v", i, got)
			}
			sent := node.SendRaw(t.Context(), [][]byte{{i}}, []common.Hash{{i}})
			if len(sent) != 1 || sent[0].Code != 2*int(i) {
				t.Errorf("sends of %d: %v", i, sent)
			}
		})
	}
	require.Eventually(t, func() bool { return slow.asked() == nodeCallsAtOnce }, patience, 1)
	close(slow.let)
	group.Wait()
	require.Less(t, slow.asked(), 2*callers)
}

// Who is told to stop does not wait for the node, and knows nothing of what
// became of his calls.
func TestSharedNode_WhoStopsGetsNoAnswer(t *testing.T) {
	t.Parallel()
	slow := &slowNode{let: make(chan struct{})}
	defer close(slow.let)
	node := newSharedNode(slow)
	for range nodeCallsAtOnce {
		go node.EstimateGas(t.Context(), []nodeclient.CallMsg{{Data: []byte{1}}})
		go node.SendRaw(t.Context(), [][]byte{{1}}, []common.Hash{{1}})
	}
	require.Eventually(t, func() bool { return slow.asked() == 2*nodeCallsAtOnce }, patience, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	estimates := node.EstimateGas(ctx, []nodeclient.CallMsg{{Data: []byte{1}}, {Data: []byte{2}}})
	require.Len(t, estimates, 2)
	require.ErrorIs(t, estimates[1].Err, nodeclient.ErrUnreachable)
	sent := node.SendRaw(ctx, [][]byte{{1}}, []common.Hash{{1}})
	require.Equal(t, nodeclient.SendAmbiguous, sent[0].Outcome)
}
