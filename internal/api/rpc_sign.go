package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/signing"
)

// ethSign answers eth_sign(address, data): EIP-191, version 0x45, as geth does.
func (s *server) ethSign(ctx context.Context, params []byte, who caller) (any, error) {
	account, err := addressParam(params, 0)
	if err != nil {
		return nil, err
	}
	data, err := dataParam(params, 1)
	if err != nil {
		return nil, err
	}
	// 32 bytes are mostly a hash of something the user has not seen.
	if len(data) == common.HashLength && !s.cfg.AllowHashSigning {
		return nil, &refusedError{"eth_sign of 32 bytes is switched off (api.allowHashSigning): use personal_sign or eth_signTypedData_v4"}
	}
	return s.signDigest(ctx, message(account), accounts.TextHash(data), who)
}

// personalSign answers personal_sign(data, address).
func (s *server) personalSign(ctx context.Context, params []byte, who caller) (any, error) {
	data, err := dataParam(params, 0)
	if err != nil {
		return nil, err
	}
	account, err := addressParam(params, 1)
	if err != nil {
		return nil, err
	}
	return s.signDigest(ctx, message(account), accounts.TextHash(data), who)
}

// message is a message as policies see it: nothing but who signs.
func message(account common.Address) policy.Request {
	return policy.Request{Kind: policy.KindMessage, Sender: account}
}

func dataParam(params []byte, n int) ([]byte, error) {
	var text string
	if err := param(params, n, "data", &text); err != nil {
		return nil, err
	}
	if text == "" {
		return nil, invalid("data: must be 0x and hex digits")
	}
	return hexBytes("data", text)
}

// signTypedData answers eth_signTypedData(address, document), document being an
// object or the same as a text.
func (s *server) signTypedData(ctx context.Context, params []byte, who caller) (any, error) {
	account, err := addressParam(params, 0)
	if err != nil {
		return nil, err
	}
	document := jsonrpc.Element(params, 1)
	if !isObject(document) {
		var text string
		if err := param(params, 1, "typedData", &text); err != nil {
			return nil, err
		}
		document = []byte(text)
	}
	digest, asked, err := typedDataHash(document, s.chainID)
	if err != nil {
		return nil, err
	}
	asked.Sender = account
	return s.signDigest(ctx, asked, digest, who)
}

// refusedError is a call that is understood and not allowed.
type refusedError struct{ detail string }

func (e *refusedError) Error() string { return e.detail }

// signer finds an account's key. An account without one, or another tenant's, is the
// caller's fault.
func (s *server) signer(ctx context.Context, account common.Address) (signing.Signer, error) {
	if err := s.mayUse(ctx, account); err != nil {
		return nil, err
	}
	key, err := s.keys.Signer(account)
	if errors.Is(err, signing.ErrUnknownSigner) {
		return nil, fmt.Errorf("%w %s", queue.ErrUnknownSender, account)
	}
	return key, err
}

// signDigest signs for an account and answers r ‖ s ‖ v with v of 27 or 28, as
// wallets do. What the key made is checked against the account first.
func (s *server) signDigest(ctx context.Context, asked policy.Request, digest []byte, who caller) (any, error) {
	account := asked.Sender
	key, err := s.signer(ctx, account)
	if err != nil {
		return nil, err
	}
	if err := s.permitSignature(ctx, asked); err != nil {
		return nil, err
	}
	if err := s.authorise(ctx, account, who.proof); err != nil {
		return nil, err
	}
	signature, err := key.Sign(ctx, [32]byte(digest))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	public, err := crypto.SigToPub(digest, signature[:])
	if err != nil || crypto.PubkeyToAddress(*public) != account {
		return nil, fmt.Errorf("sign for %s: the signature is another key's", account)
	}
	signature[crypto.RecoveryIDOffset] += 27
	return hexutil.Bytes(signature[:]), nil
}

// signTransaction answers eth_signTransaction: the signed bytes of a complete
// transaction. The queue knows nothing of it, so it is refused while the queue
// gives out nonces of the sender, as POST /v1/sign/transaction is.
func (s *server) signTransaction(ctx context.Context, params []byte, who caller) (any, error) {
	args, r, err := s.transaction(params, "eth_signTransaction")
	if err != nil {
		return nil, err
	}
	switch { // in geth's words
	case r.Gas == 0:
		return nil, &refusedError{"gas not specified"}
	case r.Fees.GasPrice == nil && (r.Fees.MaxFee == nil || r.Fees.MaxTip == nil):
		return nil, &refusedError{"missing gasPrice or maxFeePerGas/maxPriorityFeePerGas"}
	case r.Nonce == nil:
		return nil, &refusedError{"nonce not specified"}
	}
	key, err := s.signer(ctx, r.Sender)
	if err != nil {
		return nil, err
	}
	if err := s.refuseBusy(ctx, r.Sender); err != nil {
		return nil, err
	}
	if err := s.permitTransaction(ctx, r); err != nil {
		return nil, err
	}
	if err := s.authorise(ctx, r.Sender, args.proofOr(who.proof)); err != nil {
		return nil, err
	}
	raw, err := queue.SignOnly(ctx, key, s.chainID, r)
	if err != nil {
		return nil, err
	}
	return hexutil.Bytes(raw), nil
}

// sendArgs is the transaction object of eth_sendTransaction. Fields that
// clients add for themselves are accepted and ignored, as nodes do.
type sendArgs struct {
	txFields
	proof
	Input               *string         `json:"input"`
	Nonce               *quantity       `json:"nonce"`
	ChainID             *quantity       `json:"chainId"`
	Type                *quantity       `json:"type"`
	BlobVersionedHashes json.RawMessage `json:"blobVersionedHashes"`
	IdempotencyKey      string          `json:"idempotencyKey"`
}

// proofOr prefers what the transaction itself carries.
func (a sendArgs) proofOr(p proof) proof {
	if a.proof != (proof{}) {
		return a.proof
	}
	return p
}

// transaction reads the transaction object of a call.
func (s *server) transaction(params []byte, name string) (sendArgs, queue.Request, error) {
	var args sendArgs
	object := jsonrpc.Element(params, 0)
	if !isObject(object) {
		return args, queue.Request{}, invalid(name + " needs one transaction object")
	}
	if err := json.Unmarshal(object, &args); err != nil {
		return args, queue.Request{}, invalid(decodeDetail(err))
	}
	r, err := args.request(s.chainID)
	if err != nil {
		return args, r, err
	}
	return args, r, s.checkAuthorities(r)
}

// checkAuthorities refuses authorizations (EIP-7702) of accounts of ours: the
// chain counts them as transactions of theirs, and the queue would not know.
func (s *server) checkAuthorities(r queue.Request) error {
	for _, a := range r.Authorizations {
		authority, err := a.Authority()
		if err != nil {
			return invalid("authorizationList: a signature is not valid")
		}
		switch _, err := s.keys.Signer(authority); {
		case err == nil:
			return invalid("authorizationList: an account of this signer cannot be an authority, it would use up a nonce")
		case !errors.Is(err, signing.ErrUnknownSigner):
			return err
		}
	}
	return nil
}

func (a sendArgs) request(chainID uint64) (queue.Request, error) {
	switch {
	case a.Nonce != nil && !a.Nonce.v.IsInt64():
		return queue.Request{}, invalid("nonce: out of range")
	case a.ChainID != nil && (!a.ChainID.v.IsUint64() || a.ChainID.v.Uint64() != chainID):
		return queue.Request{}, invalid(fmt.Sprintf("chainId does not match node's (have=%s, want=%d)", a.ChainID.v, chainID))
	case a.Input != nil && a.Data != nil && *a.Input != *a.Data:
		return queue.Request{}, invalid("data and input differ")
	case a.BlobVersionedHashes != nil && string(a.BlobVersionedHashes) != "null",
		a.Type != nil && a.Type.v.IsUint64() && a.Type.v.Uint64() == types.BlobTxType:
		return queue.Request{}, invalid("transaction type not supported: blobs (EIP-4844)")
	case a.Input != nil:
		a.Data = a.Input
	}
	r, err := a.txFields.request()
	if err != nil {
		return r, err
	}
	if a.Nonce != nil {
		n := a.Nonce.v.Uint64()
		r.Nonce = &n
	}
	return r, a.setType(&r)
}

// setType makes a request one of the type that was asked for. Who asks for none
// gets the type that goes with the prices.
func (a sendArgs) setType(r *queue.Request) error {
	if a.Type == nil {
		return nil
	}
	if !a.Type.v.IsUint64() || a.Type.v.Uint64() > types.SetCodeTxType {
		return invalid("transaction type not supported")
	}
	kind := a.Type.v.Uint64()
	isOld := kind == types.LegacyTxType || kind == types.AccessListTxType
	switch {
	case isOld && (r.Fees.MaxFee != nil || r.Fees.MaxTip != nil):
		return invalid("maxFeePerGas and maxPriorityFeePerGas do not go with types 0x0 and 0x1")
	case isOld && len(r.Authorizations) > 0:
		return invalid("authorizationList does not go with types 0x0 and 0x1")
	case !isOld && r.Fees.GasPrice != nil:
		return invalid("gasPrice goes with types 0x0 and 0x1 only")
	case kind == types.SetCodeTxType && len(r.Authorizations) == 0:
		return invalid("type 0x4 needs an authorizationList")
	case kind == types.LegacyTxType && len(r.AccessList) > 0:
		return invalid("accessList does not go with type 0x0")
	case kind == types.LegacyTxType:
		r.AccessList = nil
	case kind == types.AccessListTxType && r.AccessList == nil:
		r.AccessList = types.AccessList{}
	}
	r.Fees.IsGasPrice = isOld && r.Fees.GasPrice == nil
	return nil
}
