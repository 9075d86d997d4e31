package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/strictjson"
)

// senderBody is an account that the queue drives.
type senderBody struct {
	Address    string            `json:"address"`
	KeyRef     string            `json:"keyRef"`
	State      queue.SenderState `json:"state"`
	Reason     string            `json:"reason,omitempty"`
	NextNonce  uint64            `json:"nextNonce"`
	LowWater   uint64            `json:"lowWater"`
	Open       int               `json:"open"`
	Queued     int               `json:"queued"`
	Window     int               `json:"window"`
	LeaseOwner string            `json:"leaseOwner,omitempty"`
	LeaseUntil *time.Time        `json:"leaseUntil,omitempty"`
}

func presentSender(s queue.Sender) senderBody {
	out := senderBody{
		Address: s.Address.Hex(), KeyRef: s.KeyRef, State: s.State, Reason: s.Reason, NextNonce: s.NextNonce, LowWater: s.LowWater,
		Open: s.Open, Queued: s.Queued, Window: s.Window, LeaseOwner: s.LeaseOwner,
	}
	if s.LeaseUntil != nil {
		at := s.LeaseUntil.UTC()
		out.LeaseUntil = &at
	}
	return out
}

func (s *server) listSenders(c echo.Context) error {
	if err := noQuery(c); err != nil {
		return err
	}
	list, err := s.queue.Senders(c.Request().Context())
	if err != nil {
		return err
	}
	addresses := make([]common.Address, len(list))
	for i, sender := range list {
		addresses[i] = sender.Address
	}
	usable, err := s.usable(c.Request().Context(), addresses...)
	if err != nil {
		return err
	}
	out := items[senderBody]{Items: []senderBody{}}
	for _, sender := range list {
		if usable[sender.Address] {
			out.Items = append(out.Items, presentSender(sender))
		}
	}
	return respond(c, http.StatusOK, out)
}

func (s *server) getSender(c echo.Context) error {
	if err := noQuery(c); err != nil {
		return err
	}
	a, err := addressOf(c)
	if err != nil {
		return err
	}
	return s.showSender(c, a)
}

func (s *server) showSender(c echo.Context, a common.Address) error {
	sender, err := s.queue.Sender(c.Request().Context(), a)
	if err != nil {
		return noSuchSender(err)
	}
	return respond(c, http.StatusOK, presentSender(sender))
}

// noSuchSender tells an address in a path, which is not there, from one in a
// body, which cannot be used.
func noSuchSender(err error) error {
	if errors.Is(err, queue.ErrUnknownSender) {
		return queue.ErrNotFound
	}
	return err
}

const maxReason = 256

func (s *server) pauseSender(c echo.Context) error { return s.moveSender(c, queue.SenderPaused) }

func (s *server) resumeSender(c echo.Context) error { return s.moveSender(c, queue.SenderActive) }

func (s *server) drainSender(c echo.Context) error { return s.moveSender(c, queue.SenderDraining) }

func (s *server) moveSender(c echo.Context, state queue.SenderState) error {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := decodeOptionalBody(c, &body); err != nil {
		return err
	}
	if err := noQuery(c); err != nil {
		return err
	}
	if len(body.Reason) > maxReason || strings.ContainsRune(body.Reason, 0) {
		return &strictjson.Error{Pointer: "/reason", Reason: "must be at most 256 bytes without NUL"}
	}
	a, err := addressOf(c)
	if err != nil {
		return err
	}
	if err := s.queue.SetSenderState(c.Request().Context(), a, state, body.Reason); err != nil {
		return noSuchSender(err)
	}
	return s.showSender(c, a)
}

// rebalanceSenders has the replicas spread the senders anew.
func (s *server) rebalanceSenders(c echo.Context) error {
	if err := noBody(c); err != nil {
		return err
	}
	if err := noQuery(c); err != nil {
		return err
	}
	n, err := s.queue.Rebalance(c.Request().Context())
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, struct {
		Released int `json:"released"`
	}{n})
}

// nonceBody compares what the database and the chain know.
type nonceBody struct {
	senderBody
	// Latest counts the sender's transactions in blocks, Pending also those in
	// the node's pool.
	Latest  uint64     `json:"latest"`
	Pending uint64     `json:"pending"`
	Slots   []slotBody `json:"slots"`
}

// slotBody is a nonce that was given out and is not final.
type slotBody struct {
	Nonce         uint64     `json:"nonce"`
	TransactionID string     `json:"transactionId"`
	Hash          string     `json:"hash"`
	Attempts      int        `json:"attempts"`
	LastSent      *time.Time `json:"lastSent,omitempty"`
}

func (s *server) getNonces(c echo.Context) error {
	if err := noQuery(c); err != nil {
		return err
	}
	a, err := addressOf(c)
	if err != nil {
		return err
	}
	report, err := s.queue.Nonces(c.Request().Context(), a)
	if err != nil {
		return noSuchSender(err)
	}
	out := nonceBody{senderBody: presentSender(report.Sender), Latest: report.Latest, Pending: report.Pending, Slots: []slotBody{}}
	for _, slot := range report.Slots {
		out.Slots = append(out.Slots, slotBody{slot.Nonce, slot.TxID.String(), slot.Hash.Hex(), slot.Attempts, slot.LastSent})
	}
	return respond(c, http.StatusOK, out)
}
