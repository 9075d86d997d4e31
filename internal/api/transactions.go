package api

import (
	"encoding/hex"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/queue"
)

// createBody is the body of POST /v1/transactions.
type createBody struct {
	txFields
	IdempotencyKey string     `json:"idempotencyKey"`
	Reference      string     `json:"reference"`
	NotAfter       *time.Time `json:"notAfter"`
}

const maxReference = 256

func (b createBody) request(header http.Header) (queue.Request, error) {
	r, err := b.txFields.request()
	if err != nil {
		return r, err
	}
	if r.IdempotencyKey, err = idempotencyKey(header.Get("Idempotency-Key"), b.IdempotencyKey); err != nil {
		return r, err
	}
	if len(b.Reference) > maxReference {
		return r, invalid("reference: more than " + strconv.Itoa(maxReference) + " bytes")
	}
	r.Reference = b.Reference
	if b.NotAfter != nil {
		r.NotAfter = *b.NotAfter
	}
	return r, nil
}

// idempotencyKey takes the key from the header or the body; both are allowed
// if they agree.
func idempotencyKey(header, body string) (string, error) {
	if header != "" && body != "" && header != body {
		return "", invalid("the header Idempotency-Key and the field idempotencyKey differ")
	}
	key := header
	if key == "" {
		key = body
	}
	if len(key) > queue.MaxIdempotencyKey {
		return "", invalid("the idempotency key has more than " + strconv.Itoa(queue.MaxIdempotencyKey) + " bytes")
	}
	if strings.ContainsRune(key, 0) {
		return "", invalid("the idempotency key has a NUL character")
	}
	return key, nil
}

// createTransaction answers 202 with the accepted transaction, or 200 with the
// one that was accepted before under the same idempotency key.
func (s *server) createTransaction(c echo.Context) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var fields createBody
	if err := strictDecode(body, &fields); err != nil {
		return err
	}
	r, err := fields.request(c.Request().Header)
	if err != nil {
		return err
	}
	if err := s.checkAuthorities(r); err != nil {
		return err
	}
	if err := s.authorise(c.Request().Context(), r.Sender, proofOf(c.Request().Header)); err != nil {
		return err
	}
	accepted, err := s.queue.Enqueue(c.Request().Context(), r)
	if err != nil {
		return err
	}
	status := http.StatusAccepted
	if accepted.Replayed {
		status = http.StatusOK
		c.Response().Header().Set("Idempotent-Replayed", "true")
	}
	c.Response().Header().Set(echo.HeaderLocation, "/v1/transactions/"+accepted.ID.String())
	return c.JSON(status, present(accepted.Transaction))
}

func (s *server) getTransaction(c echo.Context) error {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return queue.ErrNotFound
	}
	t, err := s.queue.Get(c.Request().Context(), "", id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, present(t))
}

// page is one page of a list, newest first.
type page struct {
	Items []transactionBody `json:"items"`
	// Next is given as ?before= to get the page after this one; absent on the last.
	Next string `json:"next,omitempty"`
}

const (
	defaultPage = 50
	maxPage     = 500
)

func (s *server) listTransactions(c echo.Context) error {
	f, err := filter(c)
	if err != nil {
		return err
	}
	limit := f.Limit
	f.Limit++ // one more tells whether there is a next page
	list, err := s.queue.List(c.Request().Context(), f)
	if err != nil {
		return err
	}
	out := page{Items: []transactionBody{}}
	for _, t := range list[:min(len(list), limit)] {
		out.Items = append(out.Items, present(t))
	}
	if len(list) > limit {
		out.Next = strconv.FormatInt(list[limit-1].Seq, 10)
	}
	return c.JSON(http.StatusOK, out)
}

// filter reads the query of a list; an unknown parameter is an error, since a
// misspelt filter would otherwise show everything.
func filter(c echo.Context) (queue.Filter, error) {
	f := queue.Filter{Limit: defaultPage}
	for name, values := range c.QueryParams() {
		value := values[0]
		var err error
		switch name {
		case "limit":
			f.Limit, err = strconv.Atoi(value)
			if err != nil || f.Limit < 1 || f.Limit > maxPage {
				return f, invalid("limit: must be between 1 and " + strconv.Itoa(maxPage))
			}
		case "before":
			if f.Before, err = strconv.ParseInt(value, 10, 64); err != nil {
				return f, invalid("before: must be the next of another page")
			}
		case "status":
			f.Status = queue.Status(value)
			if !slices.Contains(queue.Statuses(), f.Status) {
				return f, invalid("status: unknown")
			}
		case "from":
			sender, err := address("from", value)
			if err != nil {
				return f, err
			}
			f.Sender = &sender
		case "idempotencyKey":
			f.IdempotencyKey = value
		case "reference":
			f.Reference = value
		default:
			return f, invalid("unknown query parameter " + strconv.Quote(name))
		}
	}
	return f, nil
}

// transactionBody is how a transaction is shown. Amounts are decimal texts,
// since they exceed what JSON numbers hold in most languages.
type transactionBody struct {
	ID             uuid.UUID     `json:"id"`
	Status         queue.Status  `json:"status"`
	Substatus      string        `json:"substatus,omitempty"`
	ChainID        uint64        `json:"chainId"`
	From           string        `json:"from"`
	To             string        `json:"to,omitempty"`
	Value          string        `json:"value"`
	Data           string        `json:"data"`
	Gas            uint64        `json:"gas,omitempty"`
	Nonce          *uint64       `json:"nonce,omitempty"`
	Hash           string        `json:"hash,omitempty"`
	IdempotencyKey string        `json:"idempotencyKey,omitempty"`
	Reference      string        `json:"reference,omitempty"`
	NotAfter       *time.Time    `json:"notAfter,omitempty"`
	CreatedAt      time.Time     `json:"createdAt"`
	UpdatedAt      time.Time     `json:"updatedAt"`
	Error          *queue.Reason `json:"error,omitempty"`
	Receipt        *receiptBody  `json:"receipt,omitempty"`
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
		CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(), Error: t.Error,
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
	if r := t.Receipt; r != nil {
		out.Receipt = &receiptBody{
			Hash: r.Hash.Hex(), BlockNumber: r.BlockNumber, BlockHash: r.BlockHash.Hex(), Success: r.Success, GasUsed: r.GasUsed,
			EffectiveGasPrice: textOf(r.EffectiveGasPrice), Final: r.Final,
		}
		if r.Contract != nil {
			out.Receipt.ContractAddress = r.Contract.Hex()
		}
	}
	return out
}

func textOf(v *big.Int) string {
	if v == nil {
		return ""
	}
	return v.String()
}
