package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/queue"
)

// act does something with the transaction of the path and shows it. What only
// the chain can decide is still going on: 202.
func (s *server) act(c echo.Context, do func(ctx context.Context, tenant string, id uuid.UUID) (queue.Transaction, error)) error {
	if err := noQuery(c); err != nil {
		return err
	}
	id, err := idOf(c)
	if err != nil {
		return err
	}
	t, err := do(c.Request().Context(), tenantOf(c), id)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if t.Nonce != nil && !t.Status.IsEnd() {
		status = http.StatusAccepted
	}
	return respond(c, status, present(t))
}

// cancelTransaction ends what has no nonce yet; for what has one, it sends
// nothing to itself in its place, and the chain decides which of the two it is.
func (s *server) cancelTransaction(c echo.Context) error {
	if err := noBody(c); err != nil {
		return err
	}
	return s.act(c, s.queue.Cancel)
}

// speedUpTransaction offers a higher price; without one in the body the fee
// policy chooses it.
func (s *server) speedUpTransaction(c echo.Context) error {
	var body restFees
	if err := decodeOptionalBody(c, &body); err != nil {
		return err
	}
	r := fieldReader{}
	fees := r.fees(body)
	if r.err != nil {
		return r.err
	}
	return s.act(c, func(ctx context.Context, tenant string, id uuid.UUID) (queue.Transaction, error) {
		return s.queue.SpeedUp(ctx, tenant, id, fees)
	})
}

func (s *server) suspendTransaction(c echo.Context) error {
	if err := noBody(c); err != nil {
		return err
	}
	return s.act(c, s.queue.Suspend)
}

func (s *server) resumeTransaction(c echo.Context) error {
	if err := noBody(c); err != nil {
		return err
	}
	return s.act(c, s.queue.Resume)
}

// redriveTransaction accepts once more what ended without having been executed,
// as a new transaction.
func (s *server) redriveTransaction(c echo.Context) error {
	if err := noBody(c); err != nil {
		return err
	}
	if err := noQuery(c); err != nil {
		return err
	}
	id, err := idOf(c)
	if err != nil {
		return err
	}
	a, err := s.queue.Redrive(c.Request().Context(), tenantOf(c), id)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/v1/transactions/"+a.ID.String())
	status := http.StatusAccepted
	if a.Replayed {
		status = http.StatusOK
		c.Response().Header().Set("Idempotent-Replayed", "true")
	}
	return respond(c, status, present(a.Transaction))
}
