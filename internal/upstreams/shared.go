package upstreams

import "github.com/slipwayhq/slipway/internal/chain"

// ObserveShared takes over how far other gateways have seen the network come, so
// that a client who is sent from one to another is not shown an older chain. A
// head that is too far away to be believed is left out, as one of a node's is.
func (p *Pool) ObserveShared(latest, finalized uint64) {
	known := p.tracker.Head()
	if !known.IsKnown || leaps(known, latest) {
		return
	}
	p.tracker.ObserveExisting(latest)
	if p.tracker.Finality().Mode == chain.ByTag && finalized <= p.tracker.Head().Latest {
		p.tracker.ObserveFinalized(finalized)
	}
}
