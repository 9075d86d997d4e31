package api

// problemCode names a kind of problem for ever: clients decide by it.
type problemCode string

const (
	problemInvalid    problemCode = "invalid_request"
	problemTooLarge   problemCode = "body_too_large"
	problemForeign    problemCode = "foreign_origin"
	problemSender     problemCode = "unknown_sender"
	problemMismatch   problemCode = "idempotency_mismatch"
	problemProof      problemCode = "verification_required"
	problemIndex      problemCode = "wallet_index_taken"
	problemNotFound   problemCode = "not_found"
	problemNoReceipt  problemCode = "no_receipt"
	problemStatus     problemCode = "wrong_status"
	problemBusy       problemCode = "sender_busy"
	problemDraining   problemCode = "sender_draining"
	problemFull       problemCode = "queue_full"
	problemOtherChain problemCode = "other_chain"
	problemResource   problemCode = "no_such_resource"
	problemMethod     problemCode = "method_not_allowed"
	problemAbsent     problemCode = "not_available"
	problemDatabase   problemCode = "database_unavailable"
	problemGateway    problemCode = "gateway_unavailable"
	problemKeyAway    problemCode = "signer_unavailable"
	problemKeyRefuses problemCode = "signer_refused"
	problemInternal   problemCode = "internal"

	problemUnknown   problemCode = "unauthenticated"
	problemForbidden problemCode = "forbidden"
	problemDenied    problemCode = "policy_denied"
	problemApprover  problemCode = "not_an_approver"
	problemKeyExists problemCode = "api_key_exists"
	problemLimit     problemCode = "policy_limit"
	problemRate      problemCode = "rate_limited"
	problemHooks     problemCode = "too_many_webhooks"
	problemSecrets   problemCode = "webhook_secrets"
	problemPending   problemCode = "delivery_pending"
	problemStreams   problemCode = "too_many_streams"
	problemStopping  problemCode = "stopping"
)

// ProblemURN is what the type of every problem begins with.
const ProblemURN = "urn:slipway:problem:"

// ProblemType is one row of the table of problems, which docs/errors.md shows.
type ProblemType struct {
	Code   problemCode
	Status int
	Title  string
	// Cause and Remedy are for the reader of the documentation.
	Cause, Remedy string
}

const (
	remedyCorrect = "Correct the request. It changed nothing."
	remedyRepeat  = "Repeat it later, with the same idempotency key."
)

// ProblemTypes lists every kind of problem.
func ProblemTypes() []ProblemType {
	return []ProblemType{
		{problemInvalid, 400, "The request is not valid", "The body, a parameter or a header cannot be read or must not be sent as it is; `pointer` names the place in the body.", remedyCorrect},
		{problemUnknown, 401, "The caller is not known", "The request shows no API key, token or client certificate, or a wrong one.", "Show one; see docs/security.md."},
		{problemForbidden, 403, "The caller may not do this", "It has none of the roles that are needed, which `detail` names.", "Ask an operator for the role."},
		{problemDenied, 403, "The policy refuses this", "A rule denies it, or none allows it; `detail` names the rules.", "See docs/policy.md. Repeating does not help."},
		{problemApprover, 403, "The caller cannot approve this transaction", "It submitted it, or the rules name other approvers.", "Somebody else has to."},
		{problemForeign, 403, "A web page, or a host name that could be somebody else's, is not let in without credentials", "A web page of another origin, or a name that only points to this machine, is behind the request.", "Without authentication call from the same machine, under `localhost` or a loopback address. Where `access.networks` lets in, leave `Origin` out and list the name under `access.hosts`; or show a key."},
		{problemProof, 403, "The wallet signs only with a right challenge response", "The wallet is protected, and the response is missing, wrong, or used up; or there were too many wrong ones.", "Ask for a new challenge and send its response in the `X-Auth-Challenge-…` headers."},
		{problemNotFound, 404, "There is no such thing", "No transaction, sender, key, wallet, webhook or delivery has this name.", "Check the name. A transaction that was accepted is found until it has been over for longer than `queue.retention`, and without that for ever."},
		{problemNoReceipt, 404, "The transaction has no receipt", "It is in no block: not yet, or it ended before it had a nonce.", "Read its status, or wait with `wait=mined`."},
		{problemResource, 404, "There is no such resource", "The path is wrong.", "See `/docs`."},
		{problemMethod, 405, "The resource does not know this method", "The path is right, the HTTP method is not.", "See `/docs`."},
		{problemMismatch, 409, "The idempotency key was used with another request", "The key belongs to an earlier request that asked for something else.", "Use a new key for another request. The first one stands."},
		{problemStatus, 409, "The status does not allow this", "The transaction has gone on, or has ended; `detail` tells its status.", "Read the transaction again. Nothing was changed."},
		{problemBusy, 409, "The queue gives out the nonces of this sender", "A transaction signed for another way to the chain would take the nonce of one that was accepted.", "Pause the sender first, or use a key of its own."},
		{problemDraining, 409, "The sender takes no new transactions", "An operator is draining it.", "Use another sender, or resume it."},
		{problemIndex, 409, "The wallet index is taken", "A wallet has this index, or had it.", "Use another index, or none."},
		{problemKeyExists, 409, "The caller has keys already", "A name has one set of roles and two active keys at most.", "Rotate the key that is there, or revoke one."},
		{problemHooks, 409, "The tenant has as many webhooks as it may", "The limit is `webhooks.maxPerTenant`.", "Delete one that is not needed."},
		{problemSecrets, 409, "A webhook has at least one secret and at most two", "A third one was to be added, or the last one to be removed.", "Remove the old one, or add the new one, first."},
		{problemPending, 409, "The delivery is still pending", "It is repeated by itself.", "Wait for it."},
		{problemTooLarge, 413, "The request body is too large", "The body is above `api.maxBody`.", "Send fewer transactions at a time."},
		{problemSender, 422, "The signer has no key for the sender", "No key that signs now belongs to `from`.", "Use one of `GET /v1/keys`."},
		{problemOtherChain, 422, "The signer works on another chain", "`chainId`, or the domain of typed data, names another chain.", remedyCorrect},
		{problemKeyRefuses, 422, "The key does not sign", "The key is disabled, deleted, or forbidden to the signer; or making it is.", "Enable or allow it where it lives. Repeating alone does not help."},
		{problemFull, 429, "Too many transactions are waiting", "The sender's or the tenant's queue is at its limit (`queue.maxQueuedPerSender`, `queue.maxQueuedPerTenant`).", "Repeat it after `Retry-After`, with the same idempotency key."},
		{problemLimit, 429, "A limit of the policy is reached", "The window of a rule has no room now.", "Repeat it after `Retry-After`, with the same idempotency key."},
		{problemRate, 429, "Too many requests", "The tenant's or the sender's rate is at its limit (`rateLimit`).", "Repeat it after `Retry-After`, with the same idempotency key."},
		{problemInternal, 500, "Internal error", "A fault of the signer; its log has the rest.", remedyRepeat},
		{problemAbsent, 501, "This signer does not have it", "The function is not configured, or the source of keys cannot make any; `detail` tells.", "See docs/configuration.md and, for keys, docs/keys.md."},
		{problemDatabase, 503, "The database cannot be reached", "What was asked may have been accepted or not.", remedyRepeat},
		{problemStreams, 503, "Too many clients listen to events", "The limit of a replica is `events.maxStreams`.", "Try again later, or use a webhook."},
		{problemStopping, 503, "The signer is stopping", "The replica is about to end.", "Connect again; another one answers."},
		{problemGateway, 503, "The gateway cannot be reached", "What was asked needs the chain.", remedyRepeat},
		{problemKeyAway, 503, "The key cannot sign now", "Its key service is sealed, away, or overloaded; or another request is making the key.", remedyRepeat},
	}
}

// problemTypeOf finds a row.
func problemTypeOf(code problemCode) ProblemType {
	for _, t := range ProblemTypes() {
		if t.Code == code {
			return t
		}
	}
	return ProblemType{Code: problemInternal, Status: 500, Title: "Internal error"}
}
