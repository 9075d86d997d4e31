// Package subscriptions serves eth_subscribe for one network from one feed that
// all clients share.
//
//	triggers   a node's pushed heads, or polling where no node can be followed
//	heads      the exact sequence of blocks, derived from the triggers
//	logs       of each block, read once, checked to be complete, filtered here
//	clients    each with a bounded queue; who does not read is let go
//
// A trigger only says that there may be something new. What clients see is read
// through the pool, block by block, and each block must follow the one before
// it by its parent hash. So it does not matter which node the triggers come
// from, whether they are late, doubled or lost, or how often the node changes:
// no head or log is lost or repeated.
//
// A branch replaces another one only when it is longer. The logs of blocks that
// were taken back are sent again with removed set, as nodes do.
//
// Without subscribers nothing is asked of the nodes.
package subscriptions
