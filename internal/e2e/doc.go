// Package e2e holds tests of the whole: an embedded chain, upstreams that die,
// the gateway, and the signer as a process of its own that is killed. They
// speak to it as clients do and believe only the chain.
package e2e
