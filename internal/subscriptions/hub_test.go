package subscriptions

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// world is a hub in front of a model, in a bubble.
type world struct {
	t      *testing.T
	net    *fakeNetwork
	hub    *Hub
	client *Client
	got    *collected
	tip    *fakeBlock
	salt   int
}

func inWorld(t *testing.T, change func(*Config), body func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		genesis := newFakeBlock(nil, 0)
		w := &world{t: t, tip: newFakeBlock(genesis, 1)}
		w.net = newFakeNetwork(w.tip, 2)
		w.hub = newTestHub(t, w.net, change)
		stop := run(t.Context(), w.hub)
		w.client = w.hub.NewClient()
		var wait func()
		w.got, wait = collect(t.Context(), w.client)
		body(w)
		w.client.Close()
		wait()
		stop()
	})
}

// mine appends a block that all nodes show.
func (w *world) mine(logs ...fakeLog) *fakeBlock {
	w.salt++
	w.tip = newFakeBlock(w.tip, w.salt+100, logs...)
	w.net.show(w.tip)
	return w.tip
}

func TestHub_HeadsByPolling(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		id := subscribe(t, w.client, `["newHeads"]`)
		whole := subscribe(t, w.client, `["newHeads",{"includeTransactions":true}]`)
		var want []string
		for range 3 {
			for range 4 { // several at a time: a gap
				want = append(want, w.mine().hash.Hex())
			}
			pause(t.Context(), time.Minute) // and long quiet
			synctest.Wait()
		}
		require.Equal(t, want, hashesOf(w.got.of(id)))
		require.NotContains(t, w.got.of(id)[0], "transactions")
		require.Contains(t, w.got.of(whole)[0], `"transactions":["0x01"]`)
	})
}

func TestHub_AsksNothingWithoutSubscribers(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		pause(t.Context(), time.Minute)
		require.Empty(t, w.net.calls)
		id := subscribe(t, w.client, `["newHeads"]`)
		require.True(t, w.client.Unsubscribe(id))
		require.False(t, w.client.Unsubscribe(id))
		pause(t.Context(), time.Minute)
		before := w.net.count("eth_blockNumber")
		pause(t.Context(), time.Minute)
		require.Equal(t, before, w.net.count("eth_blockNumber"))
	})
}

func TestHub_FollowsANodeAndLeavesOneThatHangs(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		w.net.set(func() { w.net.canFollow = true })
		id := subscribe(t, w.client, `["newHeads"]`)
		synctest.Wait()
		polls := w.net.count("eth_blockNumber")

		// A push alone is enough, although no poller has seen the block.
		b := newFakeBlock(w.tip, 7)
		w.net.set(func() { w.net.heads[0] = b })
		w.tip = b
		w.net.push(b.json())
		synctest.Wait()
		require.Len(t, w.got.of(id), 1)

		// Quiet for long is no stall.
		pause(t.Context(), 10*time.Minute)
		require.Equal(t, 1, w.net.opened)
		require.Equal(t, polls, w.net.count("eth_blockNumber"), "a followed node is not polled")

		// Silent about a block that others show is one; nothing is lost by it.
		w.mine()
		pause(t.Context(), settle)
		require.Equal(t, 2, w.net.opened)
		require.Len(t, w.got.of(id), 2)
	})
}

func TestHub_LogsAreReadOnceAndFilteredHere(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		a, b := common.Address{0xa}, common.Address{0xb}
		x, y := common.Hash{0x1}, common.Hash{0x2}
		all := subscribe(t, w.client, `["logs",{}]`)
		ofA := subscribe(t, w.client, fmt.Sprintf(`["logs",{"address":%q}]`, a))
		ofY := subscribe(t, w.client, fmt.Sprintf(`["logs",{"topics":[null,[%q,%q]]}]`, y, common.Hash{9}))
		w.mine(fakeLog{a, []common.Hash{x}}, fakeLog{b, []common.Hash{x, y}})
		pause(t.Context(), settle)
		require.Len(t, w.got.of(all), 2)
		require.Len(t, w.got.of(ofA), 1)
		require.Equal(t, "0x0", member(w.got.of(ofA)[0], "logIndex"))
		require.Len(t, w.got.of(ofY), 1)
		require.Equal(t, 1, w.net.count("eth_getLogs"))

		w.mine()
		pause(t.Context(), settle)
		require.Equal(t, 1, w.net.count("eth_getLogs"), "the header says that there are none")

		require.True(t, w.client.Unsubscribe(all))
		w.mine(fakeLog{b, nil})
		pause(t.Context(), settle)
		require.Equal(t, 1, w.net.count("eth_getLogs"), "the header says that nobody wants them")
	})
}

func TestHub_LogsThatAreNotAllAreReadAgain(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		id := subscribe(t, w.client, `["logs"]`)
		tries := 0
		w.net.set(func() {
			w.net.answers["eth_getLogs"] = func(string) string {
				if tries++; tries < 4 {
					return "[]" // a node that lags
				}
				return string(w.tip.logsJSON())
			}
		})
		w.mine(fakeLog{address: common.Address{1}})
		pause(t.Context(), settle)
		require.Len(t, w.got.of(id), 1)
	})
}

func TestHub_ReorganisationTakesLogsBack(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		heads, logs := subscribe(t, w.client, `["newHeads"]`), subscribe(t, w.client, `["logs"]`)
		base := w.tip
		old := w.mine(fakeLog{address: common.Address{1}})
		pause(t.Context(), settle)
		late := subscribe(t, w.client, `["logs"]`)

		w.tip = base
		first := w.mine(fakeLog{address: common.Address{2}})
		pause(t.Context(), settle)
		require.Equal(t, []string{old.hash.Hex()}, hashesOf(w.got.of(heads)), "a branch of the same length changes nothing")

		second := w.mine()
		pause(t.Context(), settle)
		require.Equal(t, []string{old.hash.Hex(), first.hash.Hex(), second.hash.Hex()}, hashesOf(w.got.of(heads)))
		events := w.got.of(logs)
		require.Len(t, events, 3)
		require.Equal(t, []string{"false", "true", "false"}, []string{member(events[0], "removed"), member(events[1], "removed"), member(events[2], "removed")})
		require.Equal(t, old.hash.Hex(), member(events[1], "blockHash"))
		require.Len(t, w.got.of(late), 1, "who was not told a log is not told that it is gone")
	})
}

func TestHub_AFinalChainIsNotReplaced(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		w.net.finality = chain.Instant
		id := subscribe(t, w.client, `["newHeads"]`)
		base := w.tip
		kept := w.mine()
		pause(t.Context(), settle)

		fork := newFakeBlock(newFakeBlock(base, 500), 501)
		w.net.show(fork) // a node of another network, perhaps
		pause(t.Context(), settle)
		require.Equal(t, []string{kept.hash.Hex()}, hashesOf(w.got.of(id)))

		w.tip = kept
		w.mine()
		w.mine()
		pause(t.Context(), settle)
		require.Len(t, w.got.of(id), 3)
	})
}

func TestHub_OutageIsInvisible(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		heads, logs := subscribe(t, w.client, `["newHeads"]`), subscribe(t, w.client, `["logs"]`)
		w.net.set(func() { w.net.pick = func() int { return -1 } })
		pause(t.Context(), time.Minute)
		for range 500 {
			w.mine(fakeLog{address: common.Address{1}})
		}
		pause(t.Context(), time.Minute)
		require.Empty(t, w.got.of(heads))
		w.net.set(func() { w.net.pick = func() int { return 0 } })
		pause(t.Context(), settle)
		require.Len(t, w.got.of(heads), 500)
		require.Len(t, w.got.of(logs), 500)
	})
}

func TestHub_ATooLargeGapIsTold(t *testing.T) {
	t.Parallel()
	inWorld(t, func(c *Config) { c.MaxGap = 10 }, func(w *world) {
		t := w.t
		subscribe(t, w.client, `["newHeads"]`)
		for range 20 {
			w.mine()
		}
		pause(t.Context(), settle)
		require.ErrorIs(t, w.got.ended(), ErrLostTrack)

		again := w.hub.NewClient()
		defer again.Close()
		subscribe(t, again, `["newHeads"]`)
		b := w.mine()
		n, err := again.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, b.hash.Hex(), member(string(n.Result), "hash"))
	})
}

func TestHub_AnInventedHeadChangesNothing(t *testing.T) {
	t.Parallel()
	inWorld(t, func(c *Config) { c.MaxGap = 10 }, func(w *world) {
		t := w.t
		w.net.set(func() { w.net.canFollow = true })
		id := subscribe(t, w.client, `["newHeads"]`)
		synctest.Wait()
		for _, push := range []string{`{"number":"0xffffffff"}`, `{"number":"0x3"}`, `{"number":7}`, `null`, `[]`} {
			w.net.push([]byte(push))
			synctest.Wait()
		}
		b := w.mine()
		w.net.push(b.json())
		w.net.push(b.json())
		synctest.Wait()
		require.Equal(t, []string{b.hash.Hex()}, hashesOf(w.got.of(id)))
		require.NoError(t, w.got.ended())
	})
}

func TestHub_ASlowClientIsLetGoAlone(t *testing.T) {
	t.Parallel()
	inWorld(t, func(c *Config) { c.MaxQueuedEvents = 5 }, func(w *world) {
		t := w.t
		id := subscribe(t, w.client, `["newHeads"]`)
		slow := w.hub.NewClient()
		defer slow.Close()
		subscribe(t, slow, `["newHeads"]`)
		for range 6 {
			w.mine()
			pause(t.Context(), settle)
		}
		require.Len(t, w.got.of(id), 6)
		_, err := slow.Next(t.Context())
		require.ErrorIs(t, err, ErrSlow)
	})
}

func TestHub_NothingIsToldBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		id, err := w.client.Subscribe(t.Context(), []byte(`["newHeads"]`))
		require.NoError(t, err)
		w.mine()
		pause(t.Context(), settle)
		require.Empty(t, w.got.of(id))
		w.client.Announced()
		synctest.Wait()
		require.Len(t, w.got.of(id), 1)
	})
}

func TestHub_AnotherPoolTakesOver(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		w.net.set(func() { w.net.canFollow = true })
		id := subscribe(t, w.client, `["newHeads"]`)
		w.mine()
		pause(t.Context(), settle)

		old := w.net
		w.net = newFakeNetwork(w.tip, 1)
		w.hub.Use(w.net)
		synctest.Wait()
		require.Nil(t, old.stream)
		before := old.count("eth_getBlockByNumber")
		w.mine()
		pause(t.Context(), settle)
		require.Len(t, w.got.of(id), 2)
		require.Equal(t, before, old.count("eth_getBlockByNumber"))
	})
}

func TestHub_PendingTransactions(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		tx := func(i int) string { return fmt.Sprintf(`"0x%064x"`, i) }
		filter, changes := "", ""
		w.net.set(func() {
			w.net.canFollow = true
			w.net.answers["eth_newPendingTransactionFilter"] = func(string) string { return filter }
			w.net.answers["eth_getFilterChanges"] = func(string) string { defer func() { changes = "[]" }(); return changes }
			w.net.answers["eth_uninstallFilter"] = func(string) string { return "true" }
			w.net.answers["eth_getTransactionByHash"] = func(params string) string {
				return `{"hash":` + string(jsonrpc.Element([]byte(params), 0)) + `}`
			}
		})
		hashes := subscribe(t, w.client, `["newPendingTransactions"]`)
		whole := subscribe(t, w.client, `["newPendingTransactions",true]`)
		for _, i := range []int{1, 2, 1} {
			w.net.push([]byte(tx(i)))
		}
		// The node breaks; a filter at another one takes over and shows one again.
		w.net.set(func() { w.net.canFollow, filter, changes = false, `"0xf"`, "["+tx(2)+","+tx(3)+"]" })
		w.net.breakStream()
		pause(t.Context(), settle)
		require.Equal(t, []string{tx(1), tx(2), tx(3)}, w.got.of(hashes))
		require.ElementsMatch(t, []string{`{"hash":` + tx(1) + `}`, `{"hash":` + tx(2) + `}`, `{"hash":` + tx(3) + `}`}, w.got.of(whole))
	})
}

func TestHub_Syncing(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		status := "false"
		w.net.set(func() { w.net.answers["eth_syncing"] = func(string) string { return status } })
		id := subscribe(t, w.client, `["syncing"]`)
		pause(t.Context(), settle)
		require.Empty(t, w.got.of(id))
		w.net.set(func() { status = `{"currentBlock":"0x1"}` })
		pause(t.Context(), settle)
		w.net.set(func() { status = "false" })
		pause(t.Context(), settle)
		require.Equal(t, []string{`{"syncing":true,"status":{"currentBlock":"0x1"}}`, "false"}, w.got.of(id))
	})
}

func TestHub_Refusals(t *testing.T) {
	t.Parallel()
	inWorld(t, func(c *Config) { c.MaxPerClient = 1 }, func(w *world) {
		t := w.t
		for _, params := range []string{``, `[]`, `["other"]`, `["logs",[]]`, `["logs",{"address":"0x1"}]`, `["logs",{"topics":"0x1"}]`, `["logs",{"topics":[1]}]`, `["logs",{"topics":[null,null,null,null,null]}]`, `["logs",{"blockHash":"0x1"}]`} {
			_, err := w.client.Subscribe(t.Context(), []byte(params))
			var problem *jsonrpc.Error
			require.ErrorAs(t, err, &problem, params)
			require.Equal(t, jsonrpc.CodeInvalidParams, problem.Code)
		}
		subscribe(t, w.client, `["newHeads"]`)
		_, err := w.client.Subscribe(t.Context(), []byte(`["newHeads"]`))
		var problem *jsonrpc.Error
		require.ErrorAs(t, err, &problem)
		require.Equal(t, jsonrpc.CodeLimitExceeded, problem.Code)
	})
}

func TestHub_NoFeedInTime(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		t := w.t
		w.net.set(func() { w.net.pick = func() int { return -1 } })
		_, err := w.client.Subscribe(t.Context(), []byte(`["newHeads"]`))
		require.ErrorIs(t, err, ErrUnavailable)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = w.client.Subscribe(ctx, []byte(`["newHeads"]`))
		require.ErrorIs(t, err, context.Canceled)

		w.net.set(func() { w.net.pick = func() int { return 0 } })
		subscribe(t, w.client, `["newHeads"]`)
	})
}
