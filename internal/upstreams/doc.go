// Package upstreams sends requests to the nodes behind the gateway and judges
// their answers.
//
// A Pool holds the nodes of one network. A poller per node checks that it shows
// the right chain, follows its head and tells its health; Do takes a request
// through the attempt loop:
//
//	candidates   healthy first, then those that have the block, then by score
//	attempt      one node, one timeout, the answer classified once
//	hedge        a read that takes too long is started on the next node as well
//	next         whatever does not settle the request leads to the next node
//
// The answer of a node is never decoded unless the judgement needs it.
package upstreams
