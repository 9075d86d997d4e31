package api

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/queue"
)

func (s *server) getTransaction(c echo.Context) error {
	if err := noQuery(c); err != nil {
		return err
	}
	id, err := idOf(c)
	if err != nil {
		return err
	}
	t, err := s.queue.Get(c.Request().Context(), tenantOf(c), id)
	if err != nil {
		return err
	}
	return s.showOne(c, t)
}

// getByHash finds the transaction of a hash, also of one that was replaced.
func (s *server) getByHash(c echo.Context) error {
	if err := noQuery(c); err != nil {
		return err
	}
	raw, err := hexBytes("hash", c.Param("hash"))
	if err != nil || len(raw) != common.HashLength {
		return invalid("hash: must be 0x and 64 hex digits")
	}
	t, err := s.queue.ByHash(c.Request().Context(), tenantOf(c), common.BytesToHash(raw))
	if err != nil {
		return err
	}
	return s.showOne(c, t)
}

// showOne shows a transaction with its revert, where it was rejected for one.
func (s *server) showOne(c echo.Context, t queue.Transaction) error {
	out := present(t)
	if t.Error != nil && t.Error.Code == queue.ReasonReverted {
		known, err := s.queue.Explanation(c.Request().Context(), t.Request.Tenant, t.ID)
		if err != nil {
			return err
		}
		data, err := hexBytes("", t.Error.Data)
		if err == nil && len(data) > 0 {
			revert := abiOf(known).Reverted(data)
			out.Error.Revert = &revert
		}
	}
	return respond(c, http.StatusOK, out)
}

// eventBody is an entry of a transaction's history.
type eventBody struct {
	ID   int64           `json:"id"`
	At   time.Time       `json:"at"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data,omitempty"`
}

func (s *server) getHistory(c echo.Context) error {
	if err := noQuery(c); err != nil {
		return err
	}
	id, err := idOf(c)
	if err != nil {
		return err
	}
	events, err := s.queue.History(c.Request().Context(), tenantOf(c), id)
	if err != nil {
		return err
	}
	out := items[eventBody]{Items: []eventBody{}}
	for _, e := range events {
		out.Items = append(out.Items, eventBody{e.ID, e.At.UTC(), e.Type, e.Data})
	}
	return respond(c, http.StatusOK, out)
}

// receiptAnswer is a receipt with what explains it.
type receiptAnswer struct {
	TransactionID uuid.UUID    `json:"transactionId"`
	Status        queue.Status `json:"status"`
	receiptBody
	Revert *revertBody `json:"revert,omitempty"`
	// Logs are nil where the node cannot tell now.
	Logs *[]logBody `json:"logs,omitempty"`
}

func (s *server) getReceipt(c echo.Context) error {
	if err := noQuery(c); err != nil {
		return err
	}
	id, err := idOf(c)
	if err != nil {
		return err
	}
	t, err := s.queue.Get(c.Request().Context(), tenantOf(c), id)
	if err != nil {
		return err
	}
	if t.Receipt == nil {
		return refuse(problemNoReceipt, "its status is "+string(t.Status))
	}
	out := receiptAnswer{TransactionID: t.ID, Status: t.Status, receiptBody: *presentReceipt(t.Receipt)}
	if !t.Receipt.Success {
		if out.Revert, err = s.explain(c.Request().Context(), t); err != nil {
			return err
		}
	}
	if logs := s.logsOf(c.Request().Context(), t.Receipt); logs != nil {
		if err := s.decodeLogs(c.Request().Context(), t, logs); err != nil {
			return err
		}
		out.Logs = &logs
	}
	return respond(c, http.StatusOK, out)
}

// transactionBody is how a transaction is shown. Amounts are decimal texts,
// since they exceed what JSON numbers hold in most languages.
type transactionBody struct {
	ID             uuid.UUID    `json:"id"`
	Status         queue.Status `json:"status"`
	Substatus      string       `json:"substatus,omitempty"`
	ChainID        uint64       `json:"chainId"`
	From           string       `json:"from"`
	To             string       `json:"to,omitempty"`
	Value          string       `json:"value"`
	Data           string       `json:"data"`
	Gas            uint64       `json:"gas,omitempty"`
	Nonce          *uint64      `json:"nonce,omitempty"`
	Hash           string       `json:"hash,omitempty"`
	IdempotencyKey string       `json:"idempotencyKey,omitempty"`
	Reference      string       `json:"reference,omitempty"`
	NotAfter       *time.Time   `json:"notAfter,omitempty"`
	CreatedAt      time.Time    `json:"createdAt"`
	UpdatedAt      time.Time    `json:"updatedAt"`
	Error          *reasonBody  `json:"error,omitempty"`
	Receipt        *receiptBody `json:"receipt,omitempty"`
}

type receiptBody struct {
	Hash              string `json:"hash"`
	BlockNumber       uint64 `json:"blockNumber"`
	BlockHash         string `json:"blockHash"`
	Success           bool   `json:"success"`
	GasUsed           uint64 `json:"gasUsed"`
	EffectiveGasPrice string `json:"effectiveGasPrice,omitempty"`
	ContractAddress   string `json:"contractAddress,omitempty"`
	Final             bool   `json:"final"`
}

func present(t queue.Transaction) transactionBody {
	out := transactionBody{
		ID: t.ID, Status: t.Status, Substatus: t.Substatus, ChainID: t.ChainID,
		From: t.Request.Sender.Hex(), Value: t.Request.Value.String(), Data: "0x" + hex.EncodeToString(t.Request.Data), Gas: t.Request.Gas,
		Nonce: t.Nonce, IdempotencyKey: t.Request.IdempotencyKey, Reference: t.Request.Reference,
		CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(), Receipt: presentReceipt(t.Receipt),
	}
	if t.Request.To != nil {
		out.To = t.Request.To.Hex()
	}
	if t.Hash != nil {
		out.Hash = t.Hash.Hex()
	}
	if !t.Request.NotAfter.IsZero() {
		at := t.Request.NotAfter.UTC()
		out.NotAfter = &at
	}
	if t.Error != nil {
		out.Error = &reasonBody{Code: t.Error.Code, Message: t.Error.Message, Data: t.Error.Data}
	}
	return out
}

func presentReceipt(r *queue.Receipt) *receiptBody {
	if r == nil {
		return nil
	}
	out := &receiptBody{Hash: r.Hash.Hex(), BlockNumber: r.BlockNumber, BlockHash: r.BlockHash.Hex(), Success: r.Success, GasUsed: r.GasUsed, Final: r.Final}
	if r.EffectiveGasPrice != nil {
		out.EffectiveGasPrice = r.EffectiveGasPrice.String()
	}
	if r.Contract != nil {
		out.ContractAddress = r.Contract.Hex()
	}
	return out
}
