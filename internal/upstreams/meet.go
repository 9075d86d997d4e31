package upstreams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// An address may lead to another chain from one connection to the next: a node is
// restarted with other data, or another one takes its place, perhaps while the old
// one still answers behind a Service. A request that needs a new connection asks
// for the chain over that connection first, so that no answer of another chain
// gets through between two looks of the poller. That costs nothing on kept
// connections.
//
// A node that ends every connection after one answer cannot be asked so. With TLS,
// whose connections are net/http's, the poller alone sees to it.

// introduce sets what a node is asked over new connections.
func (p *Pool) introduce(u *Upstream) {
	if t, ok := u.transport.(*http1Transport); ok {
		t.meet = func(ctx context.Context, over asker) error { return p.meet(ctx, u, over) }
	}
}

// meet asks a node for its chain over a new connection, unless no chain is known
// yet. A node with another chain is not asked any more.
func (p *Pool) meet(ctx context.Context, u *Upstream, over asker) error {
	if p.Identity().ChainID == 0 {
		return nil
	}
	found, err := identify(withoutRequest(ctx), over)
	if err != nil {
		return err
	}
	if err := p.admit(found); err != nil {
		u.otherChain.Store(found.ChainID)
		if State(u.state.Swap(uint32(Quarantined))) == Serving {
			u.metrics.serving.Set(0)
			u.wake()
		}
		return fmt.Errorf("%w: %w", errRefused, err) // it has not seen the request
	}
	return nil
}

// withoutRequest keeps a client's trace and header fields out of the gateway's own
// questions, as they are not in those of the poller.
func withoutRequest(ctx context.Context) context.Context {
	return WithFields(telemetry.WithTrace(ctx, telemetry.Trace{}), nil)
}

// overConn asks over one connection, before it is used for what it was opened for.
type overConn struct {
	transport *http1Transport
	conn      *http1Conn
}

var errNoMore = errors.New("the node ends the connection after one answer")

func (o *overConn) roundTrip(ctx context.Context, _ time.Time, body []byte) (httpReply, error) {
	reply, isReusable, err := o.transport.converse(ctx, o.conn, body)
	if err == nil && !isReusable {
		err = errNoMore
	}
	return reply, err
}

// refusal turns why a node could not be asked for its chain into what becomes of
// the request: a status, such as that of throttling, is the answer to it as well.
func (o *overConn) refusal(err error) (httpReply, error) {
	var status *statusError
	if errors.As(err, &status) {
		return httpReply{status: status.status}, nil
	}
	return httpReply{}, fmt.Errorf("ask for the chain over a new connection: %w", err)
}
