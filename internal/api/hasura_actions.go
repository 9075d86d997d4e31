package api

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/strictjson"
)

// hasuraSendInput is SendTransactionInput of actions.graphql.
type hasuraSendInput struct {
	IdempotencyKey    string          `json:"idempotencyKey"`
	From              *string         `json:"from"`
	To                *string         `json:"to"`
	Value             json.RawMessage `json:"value"`
	Data              *string         `json:"data"`
	ABI               json.RawMessage `json:"abi"`
	Method            *string         `json:"method"`
	Arguments         json.RawMessage `json:"arguments"`
	Bytecode          *string         `json:"bytecode"`
	Gas               json.RawMessage `json:"gas"`
	GasPrice          json.RawMessage `json:"gasPrice"`
	MaxFee            json.RawMessage `json:"maxFeePerGas"`
	MaxTip            json.RawMessage `json:"maxPriorityFeePerGas"`
	Reference         string          `json:"reference"`
	NotAfter          *string         `json:"notAfter"`
	ChallengeID       string          `json:"challengeId"`
	ChallengeResponse string          `json:"challengeResponse"`
}

// request makes a request of the queue, as REST does.
func (i hasuraSendInput) request(chainID uint64) (queue.Request, error) {
	const at = "/input"
	key, err := idempotencyKey("", i.IdempotencyKey)
	switch {
	case err != nil:
		return queue.Request{}, err
	case key == "":
		return queue.Request{}, &strictjson.Error{Pointer: at + "/idempotencyKey", Reason: "is missing: without it a repeated mutation would be executed twice"}
	}
	return restTransaction{
		restCall: restCall{
			From: i.From, To: i.To, Value: i.Value, Data: i.Data, ABI: i.ABI, Method: i.Method, Arguments: notNull(i.Arguments), Bytecode: i.Bytecode, Gas: i.Gas,
			restFees: restFees{GasPrice: i.GasPrice, MaxFeePerGas: i.MaxFee, MaxPriorityFeePerGas: i.MaxTip},
		},
		IdempotencyKey: key, Reference: i.Reference, NotAfter: i.NotAfter,
	}.request(chainID, at)
}

// notNull is nothing for null, which is what GraphQL clients send for what they
// leave out.
func notNull(text json.RawMessage) json.RawMessage {
	if string(text) == "null" {
		return nil
	}
	return text
}

// hasuraTransactionBody is SlipwayTransaction of actions.graphql. It is flat, and
// numbers are texts: GraphQL's Int has 32 bits.
type hasuraTransactionBody struct {
	ID              string  `json:"id"`
	Status          string  `json:"status"`
	Substatus       *string `json:"substatus"`
	ChainID         string  `json:"chainId"`
	From            string  `json:"from"`
	To              *string `json:"to"`
	Value           string  `json:"value"`
	Nonce           *string `json:"nonce"`
	Hash            *string `json:"hash"`
	IdempotencyKey  *string `json:"idempotencyKey"`
	Reference       *string `json:"reference"`
	CreatedAt       string  `json:"createdAt"`
	UpdatedAt       string  `json:"updatedAt"`
	ErrorCode       *string `json:"errorCode"`
	ErrorMessage    *string `json:"errorMessage"`
	BlockNumber     *string `json:"blockNumber"`
	BlockHash       *string `json:"blockHash"`
	GasUsed         *string `json:"gasUsed"`
	Success         *bool   `json:"success"`
	ContractAddress *string `json:"contractAddress"`
	Replayed        bool    `json:"replayed"`
}

func presentHasura(t queue.Transaction, isReplay bool) hasuraTransactionBody {
	shown := present(t)
	out := hasuraTransactionBody{
		ID: t.ID.String(), Status: string(t.Status), Substatus: textOrNull(t.Substatus), ChainID: strconv.FormatUint(t.ChainID, 10),
		From: shown.From, To: textOrNull(shown.To), Value: shown.Value, Hash: textOrNull(shown.Hash),
		IdempotencyKey: textOrNull(t.Request.IdempotencyKey), Reference: textOrNull(t.Request.Reference),
		CreatedAt: t.CreatedAt.UTC().Format(time.RFC3339Nano), UpdatedAt: t.UpdatedAt.UTC().Format(time.RFC3339Nano), Replayed: isReplay,
	}
	if t.Nonce != nil {
		out.Nonce = numberText(*t.Nonce)
	}
	if t.Error != nil {
		out.ErrorCode, out.ErrorMessage = &t.Error.Code, &t.Error.Message
	}
	if r := t.Receipt; r != nil {
		out.BlockNumber, out.GasUsed, out.Success = numberText(r.BlockNumber), numberText(r.GasUsed), &r.Success
		out.BlockHash = textOrNull(r.BlockHash.Hex())
		if r.Contract != nil {
			out.ContractAddress = textOrNull(r.Contract.Hex())
		}
	}
	return out
}

func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func numberText(n uint64) *string {
	text := strconv.FormatUint(n, 10)
	return &text
}

func (s *server) hasuraSend(ctx context.Context, tenant string, input json.RawMessage) (any, error) {
	var args struct {
		Input hasuraSendInput `json:"input"`
	}
	if err := strictjson.Decode(input, &args); err != nil {
		return nil, err
	}
	r, err := args.Input.request(s.chainID)
	if err != nil {
		return nil, err
	}
	shown := proof{Response: args.Input.ChallengeResponse, Challenge: args.Input.ChallengeID}
	if r.IsProven, err = s.prove(ctx, r.Sender, shown, r); err != nil {
		return nil, err
	}
	r.Tenant = tenant
	accepted, err := s.queue.Enqueue(ctx, r)
	if err != nil {
		return nil, err
	}
	return presentHasura(accepted.Transaction, accepted.Replayed), nil
}

// hasuraID is the argument of transaction and cancelTransaction.
type hasuraID struct {
	ID string `json:"id"`
}

func readHasuraID(input json.RawMessage) (uuid.UUID, error) {
	var args hasuraID
	if err := strictjson.Decode(input, &args); err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(args.ID)
	if err != nil {
		return uuid.Nil, queue.ErrNotFound
	}
	return id, nil
}

func (s *server) hasuraTransaction(ctx context.Context, tenant string, input json.RawMessage) (any, error) {
	id, err := readHasuraID(input)
	if err != nil {
		return nil, err
	}
	t, err := s.queue.Get(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	return presentHasura(t, false), nil
}

func (s *server) hasuraCancel(ctx context.Context, tenant string, input json.RawMessage) (any, error) {
	id, err := readHasuraID(input)
	if err != nil {
		return nil, err
	}
	t, err := s.queue.Cancel(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	return presentHasura(t, false), nil
}

// hasuraWalletInput is CreateWalletInput of actions.graphql.
type hasuraWalletInput struct {
	Name       string `json:"name"`
	KeyVaultID string `json:"keyVaultId"`
}

// hasuraWalletBody is SlipwayWallet of actions.graphql.
type hasuraWalletBody struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Address        string `json:"address"`
	DerivationPath string `json:"derivationPath"`
}

// hasuraVault names the key vault where none is configured: all names are the
// one mnemonic then.
const hasuraVault = "default"

func (s *server) hasuraCreateWallet(ctx context.Context, tenant string, input json.RawMessage) (any, error) {
	var args struct {
		Input hasuraWalletInput `json:"input"`
	}
	if err := strictjson.Decode(input, &args); err != nil {
		return nil, err
	}
	if s.wallets == nil {
		return nil, errNoWallets
	}
	vault := args.Input.KeyVaultID
	if vault == "" {
		vault = hasuraVault
	}
	w, err := s.wallets.Create(ctx, tenant, vault, args.Input.Name, nil)
	if err != nil {
		return nil, err
	}
	return hasuraWalletBody{ID: w.ID.String(), Name: w.Name, Address: w.Address.Hex(), DerivationPath: w.Path}, nil
}
