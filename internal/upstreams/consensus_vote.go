package upstreams

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// needsAgreement says whether several nodes are asked. Writes never are.
func (r Request) needsAgreement(fs Failsafe) bool {
	return fs.Consensus != nil && r.Facts.Method.Kind == methods.Read && !r.SkipConsensus
}

// agree takes a read to several nodes at once and ends as soon as their answers
// decide it; the other attempts are cancelled. A node that gives no answer is
// replaced by the next one.
func (p *Pool) agree(ctx context.Context, req Request, fs Failsafe, left []*Upstream) (Reply, error) {
	c := fs.Consensus
	left = p.misconduct.without(left, c, time.Now())
	ctx, cancel := context.WithCancel(ctx)
	var attempts sync.WaitGroup
	defer attempts.Wait() // bounded: they are cancelled before
	defer cancel()
	answers := make(chan verdict, len(left))
	next := 0
	ask := func() {
		u := left[next]
		next++
		fs := fs
		fs.number = next
		attempts.Go(func() { answers <- p.attempt(ctx, u, fs, p.single(req)) })
	}
	for next < min(c.Participants, len(left)) {
		ask()
	}
	outstanding := next
	var ballots []ballot
	var voters []verdict
	var best verdict
	for asked := 0; outstanding > 0; asked++ {
		v := <-answers // an attempt ends with ctx at the latest
		outstanding--
		if asked == 0 || v.outcome.worth() > best.outcome.worth() {
			best = v
		}
		switch b, isOne := c.ballot(req.Method, v); {
		case isOne:
			ballots, voters = append(ballots, b), append(voters, v)
		case next < len(left) && ctx.Err() == nil:
			ask()
			outstanding++
		}
		if r := c.rule(ballots, outstanding); r.kind != waiting && len(ballots) > 0 {
			return p.conclude(ctx, req, c, ballots, voters, r)
		}
	}
	if best.outcome.passes() {
		return best.reply(), nil
	}
	return Reply{}, &ExhaustedError{Last: best.outcome, Attempts: next}
}

// conclude counts and tells a ruling, and answers with it.
func (p *Pool) conclude(ctx context.Context, req Request, c *Consensus, ballots []ballot, voters []verdict, r ruling) (Reply, error) {
	p.metrics.consensus.WithLabelValues(p.cfg.Project, p.cfg.Network, r.kind.String()).Inc()
	_, count, _ := c.leader(ballots)
	if count < len(ballots) {
		p.log.Log(ctx, c.DisputeLevel, "upstreams disagree", slog.String("method", req.Facts.Method.Label()),
			slog.Int("answers", len(ballots)), slog.Int("agreeing", count), slog.String("ruling", r.kind.String()))
	}
	if r.kind == agreed {
		for i, b := range ballots {
			if b.text != ballots[r.winner].text {
				voters[i].upstream.metrics.disagreed.Inc()
				p.misconduct.note(voters[i].upstream.id, c, time.Now())
			}
		}
	}
	if r.kind == disputed {
		return Reply{}, &DisputeError{Answers: len(ballots), Agreeing: count, Threshold: c.Threshold}
	}
	return voters[r.winner].reply(), nil
}

// ballot makes one of an answer. What is no answer is none.
func (c *Consensus) ballot(method string, v verdict) (ballot, bool) {
	b := ballot{}
	if v.upstream != nil {
		b.head = v.upstream.Head()
	}
	switch v.outcome {
	case OutcomeOK, OutcomeNull:
		b.isEmpty = isEmptyResult(v.result)
		b.text = canonical(v.result, c.IgnoreFields[method])
	case OutcomeClientFault:
		b.text = fmt.Sprint("error ", jsonrpc.DecodeError(v.errorObj).Code) // nodes word their errors differently
	default:
		return b, false
	}
	return b, true
}

func isEmptyResult(result []byte) bool {
	switch string(bytes.TrimSpace(result)) {
	case "null", "[]", "{}", `""`, `"0x"`:
		return true
	default:
		return false
	}
}

// canonical is the same for JSON values that mean the same: the order of
// members and white space do not matter.
func canonical(value []byte, ignored []string) string {
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var decoded any
	if decoder.Decode(&decoded) != nil {
		return "raw " + string(value)
	}
	for _, path := range ignored {
		remove(decoded, strings.Split(path, "."))
	}
	text, err := json.Marshal(decoded)
	if err != nil {
		return "raw " + string(value)
	}
	sum := sha256.Sum256(text)
	return "sha256 " + string(sum[:])
}

// remove deletes a member. "*" is every member or element.
func remove(value any, path []string) {
	switch v := value.(type) {
	case map[string]any:
		if len(path) == 1 && path[0] != "*" {
			delete(v, path[0])
			return
		}
		for name, member := range v {
			if len(path) > 1 && (path[0] == "*" || path[0] == name) {
				remove(member, path[1:])
			}
		}
	case []any:
		if path[0] == "*" && len(path) > 1 {
			path = path[1:]
		}
		for _, element := range v { // a path may leave the "*" of a list out
			remove(element, path)
		}
	}
}

// misconduct remembers which nodes have disagreed lately.
type misconduct struct {
	mu    sync.Mutex
	nodes map[ID]*offender
}

type offender struct {
	disputes []time.Time // at most as many as are punished
	until    time.Time   // sits out
}

func newMisconduct() *misconduct { return &misconduct{nodes: map[ID]*offender{}} }

// note remembers a disagreement.
func (m *misconduct) note(id ID, c *Consensus, now time.Time) {
	if c.Punishment == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.nodes[id]
	if o == nil {
		o = &offender{}
		m.nodes[id] = o
	}
	o.disputes = append(o.disputes, now)
	if len(o.disputes) < c.Punishment.Disputes {
		return
	}
	o.disputes = o.disputes[len(o.disputes)-c.Punishment.Disputes:]
	if now.Sub(o.disputes[0]) <= c.Punishment.Window {
		o.until = now.Add(c.Punishment.SitOut)
		o.disputes = nil
	}
}

// without leaves out the nodes that sit out, unless too few would remain for an
// agreement.
func (m *misconduct) without(list []*Upstream, c *Consensus, now time.Time) []*Upstream {
	if c.Punishment == nil {
		return list
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*Upstream
	for _, u := range list {
		if o := m.nodes[u.id]; o == nil || !now.Before(o.until) {
			out = append(out, u)
		}
	}
	if len(out) < c.Threshold {
		return list
	}
	return out
}
