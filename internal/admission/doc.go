// Package admission stands before everything the signer signs: it knows the
// caller of a request, holds the request against rate limits, senders of tenants
// and the policy, and writes down what it refuses. What it lets through becomes
// part of the acceptance: the queue keeps windows, approvals and audit rows in
// its own SQL transaction.
package admission
