package upstreams

import (
	"context"
	"strconv"
	"time"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Request is one call. Params may be changed by the caller once Do has returned.
type Request struct {
	Method string
	Params []byte
	Facts  methods.Facts
	// SkipConsensus takes one node's answer where several would be asked.
	SkipConsensus bool
	// Selector chooses nodes by patterns of ids and tags, joined by & and |, with
	// ! and parentheses; empty chooses all.
	Selector string
	// RetryEmpty asks every node when one says null; otherwise those that are
	// further ahead are asked, and one more that is as far.
	RetryEmpty bool
	// RetryPending asks every node for a transaction when one has not seen it in a block.
	RetryPending bool
}

// Reply is the answer to a request: exactly one of Result and Error is set.
type Reply struct {
	Result []byte // a JSON value; not to be changed
	Error  []byte // the node's error object, to be passed on as it is
	// IsTooLarge says that Error is a node's limit on searches: a smaller piece
	// of the search may be answered.
	IsTooLarge bool
	// Upstream is the node that answered.
	Upstream ID
	// Head is the newest block that node had shown.
	Head uint64
	// Attempts is how many attempts there were until it answered, hedges among
	// them; 0 for an element of a batch.
	Attempts int

	// isInDoubt says that a node which did not answer may have taken the request.
	isInDoubt bool
}

// Do takes a request through the attempt loop, as its failsafe says. It ends
// with the first answer that settles the request; else with the best of what
// the nodes said; else with ErrNoUpstream, an ExhaustedError, an OversizedError, a
// DisputeError, a SelectorError, or the cause of ctx's end.
func (p *Pool) Do(ctx context.Context, req Request) (Reply, error) {
	left, err := p.choose(req)
	if err != nil {
		return Reply{}, err
	}
	if len(left) == 0 {
		return Reply{}, ErrNoUpstream
	}
	fs := p.failsafes.of(req, p.tracker.Head())
	fs.end = time.Now().Add(fs.Timeout)
	if req.Facts.Method.Kind == methods.Send {
		return p.send(ctx, req, fs, left)
	}
	asking := ctx
	if !req.Facts.Repeatable() {
		asking = sendOnce(ctx)
	}
	take := p.loop
	if req.needsAgreement(fs) {
		take = p.agree
	}
	reply, err := take(asking, req, fs, left)
	if err != nil && ctx.Err() != nil {
		return Reply{}, context.Cause(ctx)
	}
	return reply, err
}

// loop asks one node after the other, round by round.
func (p *Pool) loop(ctx context.Context, req Request, fs Failsafe, left []*Upstream) (Reply, error) {
	var best, last verdict
	attempts, nulls, isInDoubt := 0, 0, false
	again := another{round: 1, mayWait: true}
	for len(left) > 0 {
		var used int
		fs.number = attempts + 1
		last, used = p.next(ctx, req, fs, left)
		attempts += used
		if last.outcome.settles() {
			reply := last.reply()
			reply.isInDoubt, reply.Attempts = isInDoubt, attempts
			return reply, nil
		}
		if ctx.Err() != nil || fs.isOver() {
			return Reply{}, &ExhaustedError{Last: OutcomeTimeout, Attempts: attempts}
		}
		isInDoubt = isInDoubt || last.outcome.isInDoubt()
		if attempts > used && best.outcome == OutcomeOversized && last.outcome == OutcomeOversized {
			break // two nodes agree that the answer is that large
		}
		if attempts == used || last.outcome.worth() > best.outcome.worth() {
			best = last
		}
		if !req.Facts.Repeatable() && !last.outcome.isUnseen() {
			break
		}
		nulls += p.credibleNulls(last, req.Facts)
		left = p.whoMayKnowMore(left[used:], req, last, nulls)
		if len(left) == 0 {
			left = p.askAgain(ctx, req, fs, best, &again)
		}
	}
	if best.outcome == OutcomeOversized {
		return Reply{}, &OversizedError{Limit: p.cfg.MaxResponseBytes}
	}
	if best.outcome.passes() {
		reply := best.reply()
		reply.isInDoubt = isInDoubt
		return reply, nil
	}
	return Reply{}, &ExhaustedError{Last: last.outcome, Attempts: attempts}
}

// another is what may still be done when all nodes have been asked.
type another struct {
	round   int
	mayWait bool
}

// askAgain gives the nodes to ask when all have been asked: after a block that
// is due has come, or in another round.
func (p *Pool) askAgain(ctx context.Context, req Request, fs Failsafe, best verdict, again *another) []*Upstream {
	if again.mayWait && p.awaitBlock(ctx, req, best) {
		again.mayWait = false
		if list, _ := p.choose(req); len(list) > 0 { // the selector was read before
			return list
		}
	}
	if again.round >= fs.Rounds {
		return nil
	}
	again.round++
	return p.nextRound(ctx, req, best, min(fs.pause(again.round), time.Until(fs.end)))
}

// nextRound gives the nodes of another round when all have been asked: none
// when asking again brings nothing, or there is no time.
func (p *Pool) nextRound(ctx context.Context, req Request, best verdict, after time.Duration) []*Upstream {
	if best.outcome.worth() > 0 || !req.Facts.Repeatable() || !pause(ctx, after) {
		return nil
	}
	list, _ := p.choose(req) // the selector was read before
	return list
}

// next asks the first candidate, and further ones as well when it is slow and
// the request is a read. It says how many it has asked.
func (p *Pool) next(ctx context.Context, req Request, fs Failsafe, left []*Upstream) (verdict, int) {
	if req.Facts.Method.Kind == methods.Send {
		fs.AttemptTimeout = p.cfg.SendTimeout
		v := p.attempt(ctx, left[0], fs, p.single(req))
		return p.settleSend(ctx, req, v), 1
	}
	return p.race(ctx, fs, p.racers(req.Facts, fs, left), p.single(req))
}

// exchange is one question in a form that can be put to any node.
type exchange struct {
	// name is the method, or "batch".
	name string
	// isHedge says that another node was asked first and is slow.
	isHedge bool
	// encode writes the body for a node; its ids begin at id.
	encode func(id uint64) []byte
	// judge classifies the answer to a body with these ids.
	judge func(u *Upstream, id uint64, reply httpReply) verdict
	// corroborate compares an answer that was judged with its block; nil does not.
	corroborate func(ctx context.Context, u *Upstream, v *verdict)
	// ids is how many ids the body takes.
	ids uint64
	// method and facts of the request; without them for a batch.
	method string
	facts  methods.Facts
	// methods are those of the requests of a batch.
	methods []string
}

// single is the exchange of one request.
func (p *Pool) single(req Request) exchange {
	ask := exchange{
		name: req.Facts.Method.Label(),
		ids:  1, method: req.Method, facts: req.Facts,
		encode: func(id uint64) []byte {
			body := make([]byte, 0, len(req.Params)+len(req.Method)+72)
			var digits [20]byte
			return jsonrpc.AppendRequest(body, strconv.AppendUint(digits[:0], id, 10), req.Method, req.Params)
		},
		judge: func(u *Upstream, id uint64, reply httpReply) verdict {
			var digits [20]byte
			v := classifyReply(req.Facts, strconv.AppendUint(digits[:0], id, 10), reply)
			p.verify(req, u, &v)
			observe(p.tracker, req, u, &v)
			if v.outcome == OutcomeOK && req.isPending(v.result) {
				v.outcome = OutcomePending
			}
			return v
		},
	}
	if p.mayCorroborate {
		ask.corroborate = func(ctx context.Context, u *Upstream, v *verdict) { p.corroborate(ctx, req, u, v) }
	}
	return ask
}

// try puts a question to one node once and notes what became of it.
func (p *Pool) try(ctx context.Context, u *Upstream, fs Failsafe, ask exchange) verdict {
	ctx, span := telemetry.StartAttempt(ctx, ask.name, string(u.id), ask.isHedge)
	id := u.nextID.Add(ask.ids) - ask.ids + 1

	start := time.Now()
	reply, err := u.transport.roundTrip(ctx, fs.deadline(start), ask.encode(id))
	var v verdict
	if err != nil {
		v.outcome = classifyFailure(ctx, err)
	} else {
		v = ask.judge(u, id, reply)
	}
	v.upstream = u
	now := time.Now()
	if ask.corroborate != nil {
		bounded, cancel := context.WithDeadline(ctx, fs.end)
		ask.corroborate(bounded, u, &v)
		cancel()
	}
	span.End(v.outcome.String(), v.outcome.blamesNode())
	u.record(now, now.Sub(start), v.outcome, fs.number, ask.facts.Method)
	switch v.outcome {
	case OutcomeRefused:
		u.loseSight()
	case OutcomeRateLimited:
		u.spare(p.now(), retryAfter(reply.retryAfter, now))
	case OutcomeUnsupported:
		if ask.facts.Method != nil {
			u.refused.note(question{method: ask.method, facts: ask.facts, now: p.now()}, v.errorObj)
		}
	default:
	}
	return v
}

func (v verdict) reply() Reply {
	return Reply{Result: v.result, Error: v.errorObj, IsTooLarge: v.outcome == OutcomeTooLarge, Upstream: v.upstream.id, Head: v.upstream.Head()}
}

// pause waits, and says false when ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// isPending says whether an answer is a transaction without a block that the
// request wants to see in one.
func (r Request) isPending(result []byte) bool {
	return r.RetryPending && r.Facts.Method.Name == "eth_getTransactionByHash" &&
		string(jsonrpc.Member(result, "blockNumber")) == "null"
}
