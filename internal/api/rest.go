package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/strictjson"
)

// Transactions is what REST needs of the queue to accept, read and steer.
type Transactions interface {
	Accepting
	Reading
	Steering
}

// Accepting takes transactions in and waits for them.
type Accepting interface {
	EnqueueAll(ctx context.Context, r []queue.Request) ([]queue.Accepted, error)
	Wait(ctx context.Context, tenant string, id uuid.UUID, until queue.Status) (queue.Transaction, error)
}

// Reading shows what became of transactions.
type Reading interface {
	Get(ctx context.Context, tenant string, id uuid.UUID) (queue.Transaction, error)
	List(ctx context.Context, f queue.Filter) ([]queue.Transaction, error)
	ByHash(ctx context.Context, tenant string, hash common.Hash) (queue.Transaction, error)
	History(ctx context.Context, tenant string, id uuid.UUID) ([]queue.Event, error)
	Explanation(ctx context.Context, tenant string, id uuid.UUID) (queue.Explanation, error)
	NoteRevert(ctx context.Context, tenant string, id uuid.UUID, r queue.RevertData) error
}

// Steering changes what happens to a transaction.
type Steering interface {
	Cancel(ctx context.Context, tenant string, id uuid.UUID) (queue.Transaction, error)
	SpeedUp(ctx context.Context, tenant string, id uuid.UUID, fees queue.Fees) (queue.Transaction, error)
	Suspend(ctx context.Context, tenant string, id uuid.UUID) (queue.Transaction, error)
	Resume(ctx context.Context, tenant string, id uuid.UUID) (queue.Transaction, error)
	Redrive(ctx context.Context, tenant string, id uuid.UUID) (queue.Accepted, error)
}

// Senders is what REST needs of the accounts that the queue drives.
type Senders interface {
	Senders(ctx context.Context) ([]queue.Sender, error)
	Sender(ctx context.Context, address common.Address) (queue.Sender, error)
	SetSenderState(ctx context.Context, address common.Address, state queue.SenderState, reason string) error
	Nonces(ctx context.Context, address common.Address) (queue.NonceReport, error)
	Rebalance(ctx context.Context) (int, error)
}

// KeySwitch turns keys off and on, for all replicas and for good.
type KeySwitch interface {
	// Disabled lists the keys that are turned off.
	Disabled() []common.Address
	Disable(ctx context.Context, address common.Address) error
	Enable(ctx context.Context, address common.Address) error
}

// restRoutes are the resources below /v1. openapi.yaml describes each of them;
// a test compares the two.
func (s *server) restRoutes(e *echo.Echo) {
	v1 := e.Group("/v1")
	v1.POST("/transactions", s.createTransactions)
	v1.GET("/transactions", s.listTransactions)
	v1.GET("/transactions/:id", s.getTransaction)
	v1.GET("/transactions/by-hash/:hash", s.getByHash)
	v1.GET("/transactions/by-reference/:reference", s.listByReference)
	v1.GET("/transactions/:id/history", s.getHistory)
	v1.GET("/transactions/:id/receipt", s.getReceipt)
	v1.POST("/transactions/:id/cancel", s.cancelTransaction)
	v1.POST("/transactions/:id/speed-up", s.speedUpTransaction)
	v1.POST("/transactions/:id/suspend", s.suspendTransaction)
	v1.POST("/transactions/:id/resume", s.resumeTransaction)
	v1.POST("/transactions/:id/redrive", s.redriveTransaction)

	v1.GET("/senders", s.listSenders)
	v1.POST("/senders/rebalance", s.rebalanceSenders)
	v1.GET("/senders/:address", s.getSender)
	v1.GET("/senders/:address/nonces", s.getNonces)
	v1.POST("/senders/:address/pause", s.pauseSender)
	v1.POST("/senders/:address/resume", s.resumeSender)
	v1.POST("/senders/:address/drain", s.drainSender)

	v1.GET("/keys", s.listKeys)
	v1.POST("/keys", s.createKey)
	v1.POST("/keys/:address/disable", s.disableKey)
	v1.POST("/keys/:address/enable", s.enableKey)
	v1.GET("/wallets", s.restListWallets)
	v1.POST("/wallets", s.restCreateWallet)
	v1.POST("/wallets/:address/disable", s.disableKey)

	v1.POST("/sign/message", s.restSignMessage)
	v1.POST("/sign/typed-data", s.restSignTypedData)
	v1.POST("/sign/transaction", s.restSignTransaction)

	e.GET("/openapi.yaml", serveFile("application/yaml", openAPI))
	e.GET("/docs", serveFile("text/html; charset=utf-8", docsPage))
	e.GET("/docs/docs.css", serveFile("text/css; charset=utf-8", docsStyle))
	e.GET("/docs/docs.js", serveFile("text/javascript; charset=utf-8", docsScript))
}

// idOf reads the id in the path; what is no id names nothing.
func idOf(c echo.Context) (uuid.UUID, error) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil || len(c.Param("id")) != 36 { // the library takes other forms, too
		return uuid.Nil, queue.ErrNotFound
	}
	return id, nil
}

// addressOf reads the address in the path.
func addressOf(c echo.Context) (common.Address, error) {
	return address("address", c.Param("address"))
}

// decodeBody reads a body that must be one JSON object with the names of into.
func decodeBody(c echo.Context, into any) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	return strictjson.Decode(body, into)
}

// decodeOptionalBody reads a body that may be left out.
func decodeOptionalBody(c echo.Context, into any) error {
	body, err := readBody(c)
	if err != nil || len(body) == 0 {
		return err
	}
	return strictjson.Decode(body, into)
}

// noBody refuses a body where none has a meaning.
func noBody(c echo.Context) error { return decodeOptionalBody(c, &struct{}{}) }

// noQuery refuses parameters where none has a meaning.
func noQuery(c echo.Context) error {
	for name := range c.QueryParams() {
		return unknownParameter(name, nil)
	}
	return nil
}

// items is a list that is never null.
type items[T any] struct {
	Items []T `json:"items"`
}

func respond(c echo.Context, status int, body any) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(status, body)
}

// fieldOf names a place in a body as people do: /arguments/0/to is
// arguments[0].to.
func fieldOf(pointer string) string {
	var out strings.Builder
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		if len(part) > 40 {
			part = strings.ToValidUTF8(part[:40], "") + "…"
		}
		switch {
		case part != "" && strings.Trim(part, "0123456789") == "":
			out.WriteString("[" + part + "]")
		case out.Len() > 0:
			out.WriteString("." + part)
		default:
			out.WriteString(part)
		}
	}
	return out.String()
}

// serveFile answers with a file of the binary. What it shows needs nothing from
// elsewhere, and may do nothing else.
func serveFile(contentType, text string) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		return c.Blob(http.StatusOK, contentType, []byte(text))
	}
}
