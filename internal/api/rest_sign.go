package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/queue"
)

// signatureBody is a signature of a digest.
type signatureBody struct {
	From   string `json:"from"`
	Digest string `json:"digest"`
	// Signature is r, s and v (27 or 28), 65 bytes.
	Signature string `json:"signature"`
}

// restSignMessage signs a text or bytes with the prefix of EIP-191, so that a
// message can never be a transaction.
func (s *server) restSignMessage(c echo.Context) error {
	var body struct {
		From    *string `json:"from"`
		Message *string `json:"message"`
		Data    *string `json:"data"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	r := fieldReader{}
	from := r.sender("from", body.From)
	message := r.bytes("data", body.Data)
	if (body.Message == nil) == (body.Data == nil) {
		r.fail("message", "either message (a text) or data (0x bytes) must be given")
	}
	if r.err != nil {
		return r.err
	}
	if body.Message != nil {
		message = []byte(*body.Message)
	}
	return s.answerSignature(c, policy.Request{Kind: policy.KindMessage, Sender: from}, [32]byte(accounts.TextHash(message)))
}

// restSignTypedData signs data of EIP-712. The digest is computed here from the
// whole data, so that what is signed is what can be read.
func (s *server) restSignTypedData(c echo.Context) error {
	var body struct {
		From      *string         `json:"from"`
		TypedData json.RawMessage `json:"typedData"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	r := fieldReader{}
	from := r.sender("from", body.From)
	if r.err != nil {
		return r.err
	}
	if err := checkNumbers(body.TypedData, "/typedData"); err != nil {
		return err
	}
	digest, asked, err := typedDataHash(body.TypedData, s.chainID)
	if err != nil {
		return err
	}
	asked.Sender = from
	return s.answerSignature(c, asked, [32]byte(digest))
}

func (s *server) answerSignature(c echo.Context, asked policy.Request, digest [32]byte) error {
	kind, from := string(asked.Kind), asked.Sender
	ctx := c.Request().Context()
	text, err := s.signDigest(ctx, asked, digest[:], caller{proof: proofOf(c.Request().Header)})
	s.countSignature(kind, err)
	if err != nil {
		return err
	}
	s.log.InfoContext(ctx, "signed", slog.String("kind", kind), slog.String("sender", from.Hex()), slog.String("digest", common.Hash(digest).Hex()))
	return respond(c, http.StatusOK, signatureBody{From: from.Hex(), Digest: common.Hash(digest).Hex(), Signature: fmt.Sprint(text)})
}

func (s *server) countSignature(kind string, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	s.metrics.signatures.WithLabelValues(kind, outcome).Inc()
}

// signedTransactionBody is a transaction that only has to be sent.
type signedTransactionBody struct {
	From  string `json:"from"`
	Nonce uint64 `json:"nonce"`
	Hash  string `json:"hash"`
	Raw   string `json:"raw"`
}

// restSignTransaction signs a transaction that the caller sends. Everything must
// be given: nothing is estimated, no nonce is given out.
func (s *server) restSignTransaction(c echo.Context) error {
	var body restCall
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	asked, err := body.request(s.chainID, "")
	if err != nil {
		return err
	}
	r := fieldReader{}
	switch {
	case asked.Nonce == nil:
		r.fail("nonce", "is missing: a signature alone does not give out nonces")
	case asked.Gas == 0:
		r.fail("gas", "is missing: nothing is estimated for a signature alone")
	case asked.Fees.GasPrice == nil && asked.Fees.MaxFee == nil:
		r.fail("maxFeePerGas", "is missing; gasPrice would do as well")
	case asked.Fees.GasPrice == nil && asked.Fees.MaxTip == nil:
		r.fail("maxPriorityFeePerGas", "is missing")
	}
	if r.err != nil {
		return r.err
	}
	if asked.Value == nil {
		asked.Value = new(big.Int)
	}
	ctx := c.Request().Context()
	key, err := s.signer(ctx, asked.Sender)
	if err != nil {
		return err
	}
	if err := s.refuseBusy(ctx, asked.Sender); err != nil {
		return err
	}
	if err := s.permitTransaction(ctx, asked); err != nil {
		return err
	}
	if err := s.mayAsk(c, []queue.Request{asked}); err != nil {
		return err
	}
	raw, err := queue.SignOnly(ctx, key, s.chainID, asked)
	s.countSignature("transaction", err)
	if err != nil {
		return err
	}
	var signed types.Transaction
	if err := signed.UnmarshalBinary(raw); err != nil {
		return fmt.Errorf("read signed transaction: %w", err)
	}
	s.log.InfoContext(ctx, "signed", slog.String("kind", "transaction"), slog.String("sender", asked.Sender.Hex()), slog.String("hash", signed.Hash().Hex()))
	return respond(c, http.StatusOK, signedTransactionBody{From: asked.Sender.Hex(), Nonce: signed.Nonce(), Hash: signed.Hash().Hex(), Raw: "0x" + hex.EncodeToString(raw)})
}

// refuseBusy protects what the queue has accepted: a transaction signed for
// another way to the chain takes the nonce of one that has been promised.
func (s *server) refuseBusy(ctx context.Context, from common.Address) error {
	sender, err := s.queue.Sender(ctx, from)
	if errors.Is(err, queue.ErrUnknownSender) || errors.Is(err, queue.ErrNotFound) {
		return nil // the queue does not know it; whether there is a key is seen next
	}
	if err != nil {
		return err
	}
	if sender.Open > 0 || (sender.Queued > 0 && sender.State == queue.SenderActive) {
		return refuse(problemBusy, fmt.Sprintf("%d transactions are queued and %d are on their way; pause the sender and let them end", sender.Queued, sender.Open))
	}
	return nil
}
