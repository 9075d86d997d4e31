// Package methods is the catalogue of Ethereum and Besu JSON-RPC methods: what
// each one does, where its block parameter stands and what may be kept of its
// answers. It is data with two pure operations: Describe, which turns a request
// into Facts, and ReplaceTags, which writes block numbers in place of tags.
//
// The package does no I/O. What the gateway does with the facts is decided by
// those who read them.
package methods
