// Package validators changes the set of validators of a running network, by
// the votes of its validators.
//
// A vote lives in one node, which puts it into the blocks that it proposes
// itself. So every validator is asked by its own URL, never through a gateway,
// and more than half must vote the same within one epoch. Before a vote is cast
// the plan (plan.go) refuses what would stop the chain.
package validators
