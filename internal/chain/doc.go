// Package chain knows where one network stands: its newest block, which blocks
// can no longer change, and what the block tags therefore mean.
//
// Besu networks with QBFT or IBFT2 consensus never take a block back: every
// block is final when it is imported, but their nodes answer the tags "safe"
// and "finalized" with error -39001. The mode of finality says which kind of
// network this is.
package chain
