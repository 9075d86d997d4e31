// Package cache keeps answers that can no longer change.
//
// The policy is pure: it decides from the facts of a request, the finality of
// the chain and the shape of the answer. What it keeps is kept until memory is
// short; nothing is ever kept that the chain could still take back, so there is
// no expiry and no invalidation. The stores never fail a request: whatever is
// wrong with them is a miss, and counted.
package cache
