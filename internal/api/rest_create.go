package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/strictjson"
)

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

// createBatch is the body of several transactions that are accepted together or
// not at all.
type createBatch struct {
	Transactions   []restTransaction `json:"transactions"`
	IdempotencyKey string            `json:"idempotencyKey"`
}

// creation is what POST /v1/transactions was asked for.
type creation struct {
	requests []queue.Request
	isBatch  bool
}

// readCreation reads one transaction, a list of them, or an object with a list.
func (s *server) readCreation(body []byte, headerKey string) (creation, error) {
	var one restTransaction
	var batch createBatch
	at := ""
	switch bodyShape(body) {
	case shapeList:
		if err := strictjson.Decode(body, &batch.Transactions); err != nil {
			return creation{}, err
		}
	case shapeBatch:
		if err := strictjson.Decode(body, &batch); err != nil {
			return creation{}, err
		}
		at = "/transactions"
	default:
		if err := strictjson.Decode(body, &one); err != nil {
			return creation{}, err
		}
		r, err := one.request(s.chainID, "")
		if err != nil {
			return creation{}, err
		}
		r.IdempotencyKey, err = idempotencyKey(headerKey, one.IdempotencyKey)
		return creation{requests: []queue.Request{r}}, err
	}
	requests, err := s.readBatch(batch, headerKey, at)
	return creation{requests: requests, isBatch: true}, err
}

type shape int

const (
	shapeOne shape = iota
	shapeList
	shapeBatch
)

// bodyShape looks whether a body is a list, an object with one, or a single
// transaction. What is malformed is read as the last, which says so.
func bodyShape(body []byte) shape {
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		return shapeList
	}
	if jsonrpc.Member(body, "transactions") != nil {
		return shapeBatch
	}
	return shapeOne
}

func (s *server) readBatch(batch createBatch, headerKey, at string) ([]queue.Request, error) {
	n := len(batch.Transactions)
	if n == 0 || n > s.cfg.MaxBatch {
		return nil, &strictjson.Error{Pointer: at, Reason: fmt.Sprintf("must hold between 1 and %d transactions", s.cfg.MaxBatch)}
	}
	key, err := idempotencyKey(headerKey, batch.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	out := make([]queue.Request, n)
	keys := map[string]bool{}
	for i, t := range batch.Transactions {
		place := strictjson.Index(at, i)
		if out[i], err = t.request(s.chainID, place); err != nil {
			return nil, err
		}
		switch own := t.IdempotencyKey; {
		case key != "" && own != "":
			return nil, &strictjson.Error{Pointer: strictjson.Field(place, "idempotencyKey"), Reason: "is given for the batch already"}
		case key != "":
			out[i].IdempotencyKey, out[i].Batch = batchKey(key, i), fmt.Sprintf("%d/%d", i, n)
		case own != "" && keys[own]:
			return nil, &strictjson.Error{Pointer: strictjson.Field(place, "idempotencyKey"), Reason: "occurs twice in the batch"}
		}
		keys[t.IdempotencyKey] = true
		if _, err := idempotencyKey("", out[i].IdempotencyKey); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// batchKey is the key of one transaction of a batch with a key. The first one
// has the batch's own: so the key cannot be used for something else as well.
func batchKey(key string, i int) string {
	if i == 0 {
		return key
	}
	return key + "#" + strconv.Itoa(i)
}

// createTransactions accepts transactions: 202, or 201 when what was waited for
// has happened, or 200 for those that were accepted before under the same
// idempotency key.
func (s *server) createTransactions(c echo.Context) error {
	wish, err := s.readWish(c)
	if err != nil {
		return err
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	asked, err := s.readCreation(body, c.Request().Header.Get("Idempotency-Key"))
	if err != nil {
		return err
	}
	if err := s.mayAsk(c, asked.requests); err != nil {
		return err
	}
	accepted, err := s.accept(c.Request().Context(), tenantOf(c), asked)
	if err != nil {
		return err
	}
	isOver := s.await(c.Request().Context(), accepted, wish)

	status := http.StatusAccepted
	if isOver {
		status = http.StatusCreated
	}
	if allReplayed(accepted) {
		status = http.StatusOK
		c.Response().Header().Set("Idempotent-Replayed", "true")
	}
	wish.tell(c.Response().Header())
	if !asked.isBatch {
		c.Response().Header().Set(echo.HeaderLocation, "/v1/transactions/"+accepted[0].ID.String())
		return respond(c, status, present(accepted[0].Transaction))
	}
	out := struct {
		Transactions []acceptedBody `json:"transactions"`
	}{}
	for _, a := range accepted {
		out.Transactions = append(out.Transactions, acceptedBody{present(a.Transaction), a.Replayed})
	}
	return respond(c, status, out)
}

// acceptedBody is a transaction of a batch.
type acceptedBody struct {
	transactionBody
	Replayed bool `json:"replayed"`
}

// mayAsk looks whether the senders may sign this on behalf of the caller. The
// response to a wallet's challenge is used up by it, so it comes last before
// accepting; for a list it counts once.
func (s *server) mayAsk(c echo.Context, list []queue.Request) error {
	for _, r := range list {
		if err := s.checkAuthorities(r); err != nil {
			return err
		}
	}
	asked := map[common.Address][]int{} // by place in the list
	var senders []common.Address
	for i, r := range list {
		if asked[r.Sender] == nil {
			senders = append(senders, r.Sender)
		}
		asked[r.Sender] = append(asked[r.Sender], i)
	}
	for _, sender := range senders {
		var its []queue.Request
		for _, i := range asked[sender] {
			its = append(its, list[i])
		}
		isProven, err := s.prove(c.Request().Context(), sender, proofOf(c.Request().Header), its...)
		if err != nil {
			return err
		}
		for _, i := range asked[sender] {
			list[i].IsProven = isProven
		}
	}
	return nil
}

func (s *server) accept(ctx context.Context, tenant string, asked creation) ([]queue.Accepted, error) {
	for i := range asked.requests {
		asked.requests[i].Tenant = tenant
	}
	if asked.isBatch {
		return s.queue.EnqueueAll(ctx, asked.requests)
	}
	a, err := s.queue.Enqueue(ctx, asked.requests[0])
	return []queue.Accepted{a}, err
}

func allReplayed(list []queue.Accepted) bool {
	for _, a := range list {
		if !a.Replayed {
			return false
		}
	}
	return true
}
