package upstreams_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// reborn is an address behind which one node follows another. Each connection
// leads to the node that was there when it was opened.
type reborn struct {
	*httptest.Server
	now atomic.Pointer[upstreamtest.Node]
}

type nodeKey struct{}

func newReborn(t *testing.T, first *upstreamtest.Node) *reborn {
	t.Helper()
	r := &reborn{}
	r.now.Store(first)
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		q.Context().Value(nodeKey{}).(*upstreamtest.Node).ServeHTTP(w, q) //nolint:forcetypeassert // set below
	}))
	r.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, nodeKey{}, r.now.Load())
	}
	r.Start()
	t.Cleanup(r.Close)
	return r
}

// die ends the node, and another one takes its place at once.
func (r *reborn) die(next *upstreamtest.Node) {
	r.now.Store(next)
	r.CloseClientConnections()
}

// rebornPool is a pool of a node that will die and one that stays.
func rebornPool(t *testing.T) (*fixture, *reborn) {
	t.Helper()
	first, stays := two(t)
	first.Answer(gasPrice, upstreamtest.Result(`"0x1"`))
	stays.Answer(gasPrice, upstreamtest.Result(`"0x1"`))
	r := newReborn(t, first)
	cfg := configFor(first, stays)
	cfg.Upstreams[0].URL = secret.New(r.URL)
	cfg.PollInterval = time.Hour // what is seen is seen by requests
	return newFixture(t, cfg), r
}

func TestMeet_ANodeThatComesBackAsAnotherChainAnswersNothing(t *testing.T) {
	t.Parallel()

	for name, genesis := range map[string]string{"another chain id": upstreamtest.Genesis, "another genesis": "0x" + strings.Repeat("01", 32)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			f, r := rebornPool(t)
			foreign := upstreamtest.New(t)
			id := uint64(upstreamtest.ChainID)
			if genesis == upstreamtest.Genesis {
				id = 7
			}
			foreign.SetChain(id, genesis)
			foreign.Answer(gasPrice, upstreamtest.Result(`"0xbad"`))

			var wrong, right atomic.Int64
			var clients sync.WaitGroup
			ask := func() {
				reply, err := f.do(gasPrice, "[]")
				if err != nil || string(reply.Result) != `"0x1"` {
					wrong.Add(1)
				} else {
					right.Add(1)
				}
			}
			for range 8 {
				clients.Go(func() {
					for range 100 {
						ask()
					}
				})
			}
			require.Eventually(t, func() bool { return right.Load() > 100 }, 10*time.Second, time.Millisecond)
			r.die(foreign)
			clients.Wait()
			ask()

			require.Zero(t, wrong.Load())
			require.Zero(t, foreign.Calls(gasPrice), "it was not even asked")
			require.Equal(t, upstreams.Quarantined, f.Upstreams()[0].State())
		})
	}
}

func TestMeet_ANodeThatComesBackAsItselfIsUsedAtOnce(t *testing.T) {
	t.Parallel()

	f, r := rebornPool(t)
	require.Equal(t, upstreams.ID("node-0"), f.answeredBy(gasPrice, "[]"))
	again := upstreamtest.New(t)
	again.Answer(gasPrice, upstreamtest.Result(`"0x1"`))
	r.die(again)
	for range 5 {
		require.Equal(t, upstreams.ID("node-0"), f.answeredBy(gasPrice, "[]"))
	}
	require.Equal(t, 5, again.Calls(gasPrice))
	require.Equal(t, 1, again.Calls("eth_chainId"), "asked once over the new connection, and never over a kept one")
}

func TestMeet_ANodeThatEndsEveryConnectionIsUsed(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	node.Answer(gasPrice, upstreamtest.Result(`"0x1"`))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		node.ServeHTTP(w, r)
	}))
	defer server.Close()
	cfg := configFor(node)
	cfg.Upstreams[0].URL = secret.New(server.URL)
	cfg.PollInterval = time.Hour
	f := newFixture(t, cfg)
	for range 3 {
		require.Equal(t, upstreams.ID("node-0"), f.answeredBy(gasPrice, "[]"))
	}
	require.Equal(t, 3, node.Calls(gasPrice))
}

// The poller notices by its own connection as well, at its next look and not at
// the next time it would ask for the chain anyway.
func TestPoller_AsksForTheChainWhenItsConnectionEnded(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	r := newReborn(t, node)
	cfg := configFor(node)
	cfg.Upstreams[0].URL = secret.New(r.URL)
	cfg.PollInterval = 100 * time.Millisecond
	f := newFixture(t, cfg)
	foreign := upstreamtest.New(t)
	foreign.SetChain(7, upstreamtest.Genesis)
	foreign.SetHead(upstreamtest.Head)
	r.die(foreign)
	f.until("it is found out", func() bool { return f.Upstreams()[0].State() == upstreams.Quarantined })
	require.LessOrEqual(t, foreign.Calls("eth_blockNumber"), 1, "no second look believed it")
}
