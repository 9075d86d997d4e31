// Package nodeclient is the few calls the queue and the API need from a node,
// made over the gateway's URL, and the one place where a node's answer to a
// raw transaction becomes a SendOutcome (send_rules.go).
//
// Every call has a timeout. Errors never contain the URL, which may carry a key.
package nodeclient
