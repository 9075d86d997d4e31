// Package gateway is the HTTP handler and the way of a request through it:
//
//	record     one place counts and logs
//	admit      refused methods and operator namespaces end here
//	limit      budgets of the client, the project and the network
//	static     what the operator has fixed
//	subscribe  subscriptions, where the connection is a WebSocket
//	own        what the gateway knows itself: chain id, its version
//	describe   the facts of the request; safe and finalized become numbers
//	cache      answers that can no longer change
//	split      a search over many blocks is asked for in pieces
//	coalesce   equal reads in flight share one answer
//	forward    the pool of upstreams
//
// The order matters: nothing is described that is not admitted, nothing is
// looked up that is not described, and only what missed the cache may wait for
// another request. The pieces of a search go from describe on like calls of their
// own. A batch takes its elements through the same stages up to
// the cache, asks each budget once for all of them, and forwards the reads among
// the misses as one batch.
//
// A WebSocket is served on the same paths. Its messages take the same way; what
// its client has subscribed to comes from the network's hub.
package gateway
