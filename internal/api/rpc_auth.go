package api

import (
	"context"
	"net/http"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/wallets"
)

// proof is what a user shows so that his wallet signs. The names of headers
// and fields are those of TxSigner's clients.
type proof struct {
	Response     string `json:"challengeResponse"`
	Challenge    string `json:"challengeId"`
	Verification string `json:"verificationId"`
}

func proofOf(h http.Header) proof {
	return proof{
		Response:     h.Get("X-Auth-Challenge-Response"),
		Challenge:    h.Get("X-Auth-Challenge-Id"),
		Verification: h.Get("X-Auth-Verification-Id"),
	}
}

// proofError says why a wallet does not sign. Its text is made for the client.
type proofError struct{ detail string }

func (e *proofError) Error() string { return e.detail }

// errNoProof says what a client has to send.
func errNoProof() error {
	return &proofError{"this wallet signs only with a challenge response: send the headers x-auth-challenge-response and x-auth-challenge-id (or x-auth-verification-id)"}
}

// prove verifies what comes with requests that the queue is to accept, and says
// whether they may be accepted on that. With nothing shown there is nothing to
// verify: the queue accepts them only while the account has no verification, which
// it looks up itself, in the SQL transaction of the acceptance. The requests are
// those that the queue takes next: repeated by the same caller they need no other
// response.
func (s *server) prove(ctx context.Context, account common.Address, p proof, requests ...queue.Request) (isProven bool, err error) {
	if s.wallets == nil || p.Response == "" {
		return false, nil
	}
	return s.verify(ctx, account, p, requests...)
}

// authorise lets a call sign with an account: at once where the account has no
// verification, otherwise when the response is right. A right response is used
// up, so authorise comes last before what it protects.
func (s *server) authorise(ctx context.Context, account common.Address, p proof) error {
	if s.wallets == nil {
		return nil
	}
	_, err := s.verify(ctx, account, p)
	return err
}

// verify says whether a response was right. It is false, without an error, where
// the account has no verification.
func (s *server) verify(ctx context.Context, account common.Address, p proof, requests ...queue.Request) (isProven bool, err error) {
	if err := s.mayUse(ctx, account); err != nil {
		return false, err // before anything is told of, or used up from, another tenant's wallet
	}
	protected, err := s.wallets.IsProtected(ctx, account)
	if err != nil || !protected {
		return false, err
	}
	target, err := p.target(tenant(ctx), account)
	if err != nil {
		return false, err
	}
	return true, s.wallets.Verify(ctx, target, p.Response, s.repeatable(ctx, requests)...)
}

// repeatable are requests as wallets know them again; none if one of them has no
// idempotency key, and would be another transaction each time.
func (s *server) repeatable(ctx context.Context, requests []queue.Request) []wallets.Request {
	caller, _ := access.From(ctx)
	out := make([]wallets.Request, len(requests))
	for i, r := range requests {
		if r.IdempotencyKey == "" {
			return nil
		}
		out[i] = wallets.Request{IdempotencyKey: r.IdempotencyKey, Hash: r.Fingerprint(s.chainID), Actor: caller.Name}
	}
	return out
}

func (p proof) target(tenant string, account common.Address) (wallets.Target, error) {
	if p.Response == "" || (p.Challenge == "" && p.Verification == "") {
		return wallets.Target{}, errNoProof()
	}
	target := wallets.Target{Tenant: tenant, Address: &account}
	var err1, err2 error
	if p.Challenge != "" {
		target.Challenge, err1 = uuid.Parse(p.Challenge)
	}
	if p.Verification != "" {
		target.Verification, err2 = uuid.Parse(p.Verification)
	}
	if err1 != nil || err2 != nil {
		return wallets.Target{}, &proofError{"the challenge or verification id is not a UUID"}
	}
	return target, nil
}
