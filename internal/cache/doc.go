// Package cache keeps answers, and knows how long each holds.
//
// The policies are pure: they decide from the facts of a request, the finality
// of the chain and the shape of the answer. By default only what can no longer
// change is kept, until memory is short. Policies may keep more, but nothing
// that is not safe: no errors, no null, nothing pending, nothing from a node
// that was behind the block; and what may change carries the block it depends
// on, so that whoever serves it can tell whether it still holds.
//
// The stores never fail a request: whatever is wrong with them is a miss, and
// counted.
package cache
