// Package upstreamtest is a scripted node for tests: it shows a small chain
// and can be told to misbehave in every way that nodes do.
package upstreamtest
