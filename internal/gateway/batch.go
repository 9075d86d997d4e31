package gateway

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// element is one element of a batch and what became of it.
type element struct {
	request jsonrpc.Request
	call    Call
	invalid *jsonrpc.Error // the element is no request
	result  *Result
	err     error
}

// isMiss says whether the element goes on: what went before has not ended it.
func (e *element) isMiss() bool {
	return e.err == errMiss //nolint:errorlint // never wrapped, and compared several times an element
}

// serveBatch answers a batch. Its elements go to the cache one after the other
// without goroutines; what must be forwarded follows, the reads as one batch.
func (h *Gateway) serveBatch(ctx context.Context, x *exchange, body []byte) {
	texts, problem := jsonrpc.ScanBatch(body, h.cfg.MaxBatch)
	if problem != nil {
		h.writeError(x, http.StatusBadRequest, nil, problem)
		return
	}
	elements, took := h.answerBatch(ctx, x.network, texts, &x.caller)
	h.origin.batch(x, elements, took)
	h.writeBatch(x, elements)
}

// answerBatch answers the elements of a batch, and says how long that took.
func (h *Gateway) answerBatch(ctx context.Context, n *Network, texts [][]byte, from *caller) ([]element, time.Duration) {
	n.metrics.batches.Inc()
	from.trace.Span.Name("batch")
	from.trace.Span.SetInt("slipway.batch_size", len(texts))
	start := time.Now()
	elements := make([]element, len(texts))
	admitted := make([]*element, 0, len(texts))
	for i, text := range texts {
		e := &elements[i]
		if e.request, e.invalid = jsonrpc.ScanRequest(text); e.invalid != nil {
			continue
		}
		e.call = from.newCall(e.request)
		if e.result, e.err = n.pipeline.admit(ctx, &e.call); e.isMiss() {
			admitted = append(admitted, e)
		}
	}
	n.pipeline.limit.checkAll(ctx, admitted)
	misses := admitted[:0]
	for _, e := range admitted {
		if !e.isMiss() {
			continue // beyond a budget
		}
		if e.result, e.err = n.pipeline.front(ctx, &e.call); e.isMiss() {
			misses = append(misses, e)
		}
	}
	if len(misses) > 0 {
		h.forwardMisses(ctx, n, misses)
	}
	took := time.Since(start)
	for i := range elements {
		if e := &elements[i]; e.invalid == nil {
			e.call.Took = took
			n.record.note(ctx, &e.call, e.result, e.err)
		}
	}
	return elements, took
}

// forwardMisses sends reads as one batch and everything else, as well as what
// the batch did not settle, alone.
func (h *Gateway) forwardMisses(ctx context.Context, n *Network, misses []*element) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.RequestTimeout, errRequestTimeout)
	defer cancel()
	var reads, alone []*element
	for _, e := range misses {
		if e.call.Facts.Method.Kind == methods.Read && e.call.Directives.UseUpstream == "" && !n.pipeline.goesAlone(&e.call) {
			reads = append(reads, e)
		} else {
			alone = append(alone, e)
		}
	}
	if len(reads) > 1 {
		reads = n.forwardBatch(ctx, reads)
	}
	alone = append(alone, reads...)
	if len(alone) == 0 {
		return
	}
	var group errgroup.Group
	group.SetLimit(h.cfg.BatchConcurrency)
	for _, e := range alone {
		group.Go(func() error {
			defer h.recoveredElement(ctx, e)
			result, err := n.pipeline.back(ctx, &e.call)
			n.settle(ctx, e, result, err)
			return nil
		})
	}
	_ = group.Wait() // the errors are the elements'
}

// forwardBatch returns the elements that the batch did not settle.
func (n *Network) forwardBatch(ctx context.Context, reads []*element) []*element {
	reqs := make([]upstreams.Request, len(reads))
	for i, e := range reads {
		reqs[i] = e.call.request()
	}
	var unsettled []*element
	for i, reply := range n.pool.DoBatch(reads[0].call.traced(ctx), reqs) {
		if !reply.IsSettled {
			unsettled = append(unsettled, reads[i])
			continue
		}
		n.settle(ctx, reads[i], resultOf(reply.Reply), nil)
	}
	return unsettled
}

// settle notes an element's answer and offers it to the cache.
func (n *Network) settle(ctx context.Context, e *element, result *Result, err error) {
	e.result, e.err = result, err
	if err == nil {
		n.keep(ctx, &e.call, result)
	}
}

// writeBatch writes the answers. A batch of nothing but notifications is
// answered with an empty body.
func (h *Gateway) writeBatch(x *exchange, elements []element) {
	buffer := h.take()
	defer h.give(buffer)
	var cuts cuts
	*buffer = appendBatch((*buffer)[:0], elements, &cuts)
	if len(*buffer) == 0 {
		x.w.WriteHeader(http.StatusNoContent)
		return
	}
	h.send(x, http.StatusOK, cuts.parts(*buffer)...)
}

// cuts are places in an answer into which large values go that are written from
// where they are, so that no answer is held twice.
type cuts []cut

type cut struct {
	at    int
	value []byte
}

// parts is the answer with the values in their places.
func (c cuts) parts(text []byte) [][]byte {
	out := make([][]byte, 0, 2*len(c)+1)
	from := 0
	for _, cut := range c {
		out = append(out, text[from:cut.at], cut.value)
		from = cut.at
	}
	return append(out, text[from:])
}

// appendBatch appends the answers in the order of the requests. Notifications
// have none; for nothing else, nothing is appended. Large values become cuts;
// without those they are appended, too.
func appendBatch(dst []byte, elements []element, cuts *cuts) []byte {
	out := append(dst, '[')
	for i := range elements {
		e := &elements[i]
		if e.invalid == nil && e.request.IsNotification() {
			continue
		}
		if len(out) > len(dst)+1 {
			out = append(out, ',')
		}
		out = appendElement(out, e, cuts)
	}
	if len(out) == len(dst)+1 {
		return dst
	}
	return append(out, ']')
}

func appendElement(out []byte, e *element, cuts *cuts) []byte {
	switch {
	case cuts != nil && e.invalid == nil && e.err == nil && e.result.isLarge():
		out = jsonrpc.AppendResult(out, e.request.ID, nil)
		end := len(out) - 1
		for _, part := range append([][]byte{e.result.Value}, e.result.Parts...) {
			*cuts = append(*cuts, cut{end, part})
		}
		return out
	case e.invalid != nil:
		return jsonrpc.AppendError(out, e.request.ID, e.invalid)
	case e.err != nil:
		wire, _, _ := toWire(e.err)
		return jsonrpc.AppendError(out, e.request.ID, wire)
	default:
		return appendResult(out, e.request.ID, e.result)
	}
}
