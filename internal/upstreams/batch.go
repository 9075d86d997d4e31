package upstreams

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// BatchReply is the answer to one element of a batch.
type BatchReply struct {
	Reply
	// IsSettled is false when the element must be asked for alone.
	IsSettled bool
}

// DoBatch sends reads to one node as one JSON-RPC batch, with further
// nodes behind it when it is slow. Elements that come back unsettled, all of
// them when the batch as a whole failed, are the caller's to send alone with
// Do. The replies stand in the order of the requests.
func (p *Pool) DoBatch(ctx context.Context, reqs []Request) []BatchReply {
	unsettled := make([]BatchReply, len(reqs))
	neediest := p.neediest(reqs)
	left := p.candidates(neediest.Facts)
	if len(left) == 0 {
		return unsettled
	}
	if p.needsAgreement(reqs) {
		return unsettled
	}
	ask := p.batchOf(reqs)
	fs := p.failsafes.of(neediest, p.tracker.Head())
	fs.end, fs.number = time.Now().Add(fs.Timeout), 1
	v, _ := p.race(ctx, fs, p.racers(neediest.Facts, fs, left), ask)
	if v.outcome != OutcomeOK {
		return unsettled
	}
	return v.batch
}

// needsAgreement says whether several nodes must be asked for an element.
func (p *Pool) needsAgreement(reqs []Request) bool {
	for _, r := range reqs {
		if r.needsAgreement(p.failsafes.of(r, p.tracker.Head())) {
			return true
		}
	}
	return false
}

// neediest is the request with the newest block: who can serve it can serve
// the others.
func (p *Pool) neediest(reqs []Request) Request {
	best := reqs[0]
	for _, r := range reqs[1:] {
		if r.Facts.Number > best.Facts.Number {
			best = r
		}
	}
	return best
}

func (p *Pool) batchOf(reqs []Request) exchange {
	names := make([]string, len(reqs))
	for i, r := range reqs {
		names[i] = r.Method
	}
	ask := exchange{
		name: "batch",
		ids:  uint64(len(reqs)), methods: names,
		encode: func(id uint64) []byte {
			size := 2
			for _, r := range reqs {
				size += len(r.Params) + len(r.Method) + 72
			}
			body := append(make([]byte, 0, size), '[')
			var digits [20]byte
			for i, r := range reqs {
				if i > 0 {
					body = append(body, ',')
				}
				body = jsonrpc.AppendRequest(body, strconv.AppendUint(digits[:0], id+uint64(i), 10), r.Method, r.Params)
			}
			return append(body, ']')
		},
		judge: func(u *Upstream, id uint64, reply httpReply) verdict {
			return p.classifyBatch(reqs, u, id, reply)
		},
	}
	if p.mayCorroborate {
		ask.corroborate = func(ctx context.Context, u *Upstream, v *verdict) { p.corroborateBatch(ctx, reqs, u, v.batch) }
	}
	return ask
}

// corroborateBatch compares the answers of a batch with their blocks. What is
// wrong is to be asked for alone.
func (p *Pool) corroborateBatch(ctx context.Context, reqs []Request, u *Upstream, replies []BatchReply) {
	ctx, cancel := context.WithTimeout(ctx, lookupBlockTimeout) // for all of them
	defer cancel()
	for i := range replies {
		if !replies[i].IsSettled || replies[i].Result == nil {
			continue
		}
		v := verdict{outcome: OutcomeOK, result: replies[i].Result}
		p.corroborate(ctx, reqs[i], u, &v)
		if v.outcome != OutcomeOK {
			replies[i] = BatchReply{}
		}
	}
}

// classifyBatch judges a batch's answer: the batch is an answer when it is an
// array, and each element with one of our ids is judged like a single one.
// A node may leave elements out or answer in another order.
func (p *Pool) classifyBatch(reqs []Request, u *Upstream, firstID uint64, reply httpReply) verdict {
	if outcome, bad := classifyStatus(reply.status); bad {
		return verdict{outcome: outcome}
	}
	elements, scanErr := jsonrpc.ScanBatch(reply.body, len(reqs))
	if scanErr != nil {
		return verdict{outcome: OutcomeUnsupported} // such as an error object instead of an array
	}
	head := u.Head()
	replies := make([]BatchReply, len(reqs))
	for _, element := range elements {
		response, err := jsonrpc.ScanResponse(element)
		if err != nil {
			continue
		}
		id, err := strconv.ParseUint(string(response.ID), 10, 64)
		if err != nil || id < firstID || id-firstID >= uint64(len(reqs)) {
			continue
		}
		at := id - firstID
		v := classifyResponse(reqs[at].Facts, response)
		p.verify(reqs[at], u, &v)
		observe(p.tracker, reqs[at], u, &v)
		if v.outcome.settles() {
			// A copy: who keeps one answer, as the cache does, must not keep all of them.
			replies[at] = BatchReply{IsSettled: true, Reply: Reply{Result: bytes.Clone(v.result), Error: bytes.Clone(v.errorObj), Upstream: u.id, Head: head}}
		}
	}
	return verdict{outcome: OutcomeOK, batch: replies}
}
