// Package api is the signer's face: the REST resources under /v1 and the
// JSON-RPC front on /, which answers what needs a key and passes everything
// else on to the gateway as it came.
//
// It is the only package that knows the HTTP framework. A Go error becomes a
// problem document in problem.go and a JSON-RPC error in rpc_errors.go, and
// nowhere else.
package api
