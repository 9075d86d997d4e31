// Package jsonrpc is the JSON-RPC 2.0 wire: requests, responses, batches and
// errors as bytes.
//
// The scanner checks that a text is well-formed JSON and finds the members of
// the envelope; it never decodes params, results or ids. What a client wrote as
// id, params or result therefore passes byte for byte: a 20-digit id keeps its
// digits, a result keeps its key order and its white space.
//
// Rejected here: text that is not JSON, requests that are not UTF-8 (an id would
// come back in an answer that is none either), values nested deeper than [MaxDepth],
// envelopes with a member twice (two readers of one message must not see two
// methods), ids that are not a string, a number or null, params that are
// neither an array nor an object, and a "jsonrpc" member other than "2.0".
// An absent "jsonrpc" member is accepted, because JSON-RPC 1.0 clients of
// Ethereum nodes leave it out and nodes answer them.
//
// The package does no I/O and knows nothing of Ethereum.
package jsonrpc
