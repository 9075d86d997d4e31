// Package ratelimit says whether a request is within its budgets. A budget is a
// list of rules; every rule that matches the method must have room, and a
// request that is denied takes none from any.
//
// Rules count in sliding windows: the requests of the current window, and of the
// one before it the share that still lies within a period of now. With Redis,
// all gateways count together. While Redis is away each gateway counts alone, so
// that together they let through as many times the budget as there are gateways:
// limits protect the nodes, and clients must not lose service for Redis.
package ratelimit
