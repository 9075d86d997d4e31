package events

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
)

// Event is one entry of the history, with what it takes to understand it alone.
// All of it follows from the history, which only grows: an event read again is
// the same.
type Event struct {
	ID        int64 // rises; there are gaps
	Type      string
	At        time.Time
	Data      json.RawMessage // nil where there is nothing to add
	TxID      uuid.UUID
	Tenant    string
	ChainID   uint64
	Sender    common.Address
	Reference string
	Status    string // of the transaction once this had happened
	Hash      string // of the newest attempt then, "" before there was one
}

// Types lists the types of events: the statuses of a transaction, and what can
// happen to one without changing it.
func Types() []string {
	return []string{
		"queued", "signed", "submitted", "mined", "confirmed", "reverted", "rejected", "cancelled", "expired", "failed", "suspended",
		"replaced", "cancelling",
	}
}

// body is how events are shown, everywhere.
type body struct {
	ID          string          `json:"id"` // ids outgrow what JSON numbers hold in some languages
	Type        string          `json:"type"`
	At          time.Time       `json:"at"`
	Transaction transactionBody `json:"transaction"`
	Data        json.RawMessage `json:"data,omitempty"`
}

type transactionBody struct {
	ID        uuid.UUID `json:"id"`
	Status    string    `json:"status"`
	ChainID   uint64    `json:"chainId"`
	From      string    `json:"from"`
	Reference string    `json:"reference,omitempty"`
	Hash      string    `json:"hash,omitempty"`
}

// JSON is the event as clients and receivers get it, on one line.
func (e Event) JSON() ([]byte, error) {
	return json.Marshal(body{
		ID: strconv.FormatInt(e.ID, 10), Type: e.Type, At: e.At.UTC(), Data: e.Data,
		Transaction: transactionBody{ID: e.TxID, Status: e.Status, ChainID: e.ChainID, From: e.Sender.Hex(), Reference: e.Reference, Hash: e.Hash},
	})
}

// Filter chooses events of one tenant on one chain; other zero fields do not filter.
type Filter struct {
	Tenant    string
	ChainID   uint64
	Types     []string // any of them
	Senders   []common.Address
	Reference string
	TxID      uuid.UUID
}

// Matches says whether an event is chosen.
func (f Filter) Matches(e Event) bool {
	return e.Tenant == f.Tenant && e.ChainID == f.ChainID &&
		(len(f.Types) == 0 || slices.Contains(f.Types, e.Type)) &&
		(len(f.Senders) == 0 || slices.Contains(f.Senders, e.Sender)) &&
		(f.Reference == "" || e.Reference == f.Reference) &&
		(f.TxID == uuid.Nil || e.TxID == f.TxID)
}
