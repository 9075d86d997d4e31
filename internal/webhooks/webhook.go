package webhooks

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/events"
	"github.com/slipwayhq/slipway/internal/secret"
)

// Webhook is a receiver and what it wants to be told.
type Webhook struct {
	ID          uuid.UUID
	URL         string
	Description string
	Types       []string         // of events; empty: all
	Senders     []common.Address // empty: all
	// Active is false for one that is told nothing: events of that time are not
	// made up for, and what was pending waits.
	Active    bool
	Failures  int      // attempts in a row that failed
	Secrets   []Secret // oldest first
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Secret is one of a webhook's secrets, without itself.
type Secret struct {
	ID        uuid.UUID
	CreatedAt time.Time
}

// Change is a change of a webhook; what is nil stays.
type Change struct {
	URL         *string
	Description *string
	Types       *[]string
	Senders     *[]common.Address
	Active      *bool
}

// Apply changes a webhook.
func (c Change) Apply(w *Webhook) {
	set(&w.URL, c.URL)
	set(&w.Description, c.Description)
	set(&w.Types, c.Types)
	set(&w.Senders, c.Senders)
	set(&w.Active, c.Active)
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

const (
	maxURL         = 2048
	maxDescription = 256
	maxSenders     = 1000
	minSecret      = 24 // characters; what is generated has 256 bits
	maxSecret      = 256
)

// check says what is wrong with a webhook. What its name will resolve to is
// looked at when it is connected to.
func (s *Service) check(w Webhook) error {
	u, err := url.Parse(w.URL)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || len(w.URL) > maxURL:
		return invalid("url", "must be an absolute URL of at most 2048 bytes")
	case u.Scheme == "http" && !s.cfg.AllowHTTP:
		return invalid("url", "must be https://; http:// is not allowed here (webhooks.allowHttp)")
	case u.Scheme != "https" && u.Scheme != "http":
		return invalid("url", "must be https://")
	case u.User != nil:
		return invalid("url", "must not have a user or password: deliveries are signed")
	case u.Fragment != "":
		return invalid("url", "must not have a fragment")
	case len(w.Description) > maxDescription || strings.ContainsRune(w.Description, 0):
		return invalid("description", "must have at most 256 bytes, none of them 0")
	case len(w.Senders) > maxSenders:
		return invalid("senders", "must be at most 1000")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !s.guard.allows(ip) {
		return invalid("url", "lies in a network that is not allowed for webhooks (webhooks.allowNetworks)")
	}
	for _, t := range w.Types {
		if !slices.Contains(events.Types(), t) {
			return invalid("types", "must be among "+strings.Join(events.Types(), ", "))
		}
	}
	return nil
}

func checkSecret(text secret.String) error {
	s := text.Reveal()
	if len(s) < minSecret || len(s) > maxSecret || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return invalid("secret", "must be 24 to 256 visible ASCII characters; without it one is made")
	}
	return nil
}

// State is where a delivery stands.
type State string

// The states of a delivery.
const (
	StatePending   State = "pending"
	StateDelivered State = "delivered"
	// StateDead was given up. It can be redelivered.
	StateDead State = "dead"
)

// Delivery is one event for one webhook.
type Delivery struct {
	ID         uuid.UUID
	EventID    int64
	TxID       uuid.UUID
	Type       string
	Body       []byte
	State      State
	Blocked    bool // waits for an earlier event of the same transaction
	Attempts   int
	NextAt     time.Time // of the next attempt, while pending
	LastStatus int       // HTTP status of the last answer, 0 for none
	LastError  string    // what failed the last time, "" for nothing
	CreatedAt  time.Time
	EndedAt    *time.Time
}

// DeliveryFilter chooses deliveries of a webhook, newest event first.
type DeliveryFilter struct {
	State  State // "": all
	Before int64 // only those of events with a lower id; 0: all
	Limit  int
}
