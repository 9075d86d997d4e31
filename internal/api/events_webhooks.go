package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/webhooks"
)

// Webhooks is what the API needs of webhooks.
type Webhooks interface {
	WebhookAccess
	WebhookSecrets
	WebhookDeliveries
}

// WebhookAccess makes, shows and changes webhooks.
type WebhookAccess interface {
	Create(ctx context.Context, tenant string, w webhooks.Webhook, key secret.String) (webhooks.Webhook, secret.String, error)
	List(ctx context.Context, tenant string) ([]webhooks.Webhook, error)
	Get(ctx context.Context, tenant string, id uuid.UUID) (webhooks.Webhook, error)
	Update(ctx context.Context, tenant string, id uuid.UUID, c webhooks.Change) (webhooks.Webhook, error)
	Delete(ctx context.Context, tenant string, id uuid.UUID) error
}

// WebhookSecrets changes what deliveries are signed with.
type WebhookSecrets interface {
	AddSecret(ctx context.Context, tenant string, id uuid.UUID, key secret.String) (webhooks.Secret, secret.String, error)
	RemoveSecret(ctx context.Context, tenant string, id, secretID uuid.UUID) error
}

// WebhookDeliveries shows and repeats deliveries.
type WebhookDeliveries interface {
	Deliveries(ctx context.Context, tenant string, id uuid.UUID, f webhooks.DeliveryFilter) ([]webhooks.Delivery, error)
	Redeliver(ctx context.Context, tenant string, id, delivery uuid.UUID) error
	RedeliverDead(ctx context.Context, tenant string, id uuid.UUID) (int, error)
}

// haveWebhooks refuses where there are none.
func (s *server) haveWebhooks(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.webhooks == nil {
			return errNoEvents
		}
		return next(c)
	}
}

func (s *server) webhookRoutes(g *echo.Group) {
	g.POST("", s.createWebhook)
	g.GET("", s.listWebhooks)
	g.GET("/:id", s.getWebhook)
	g.PATCH("/:id", s.updateWebhook)
	g.DELETE("/:id", s.deleteWebhook)
	g.POST("/:id/secrets", s.addWebhookSecret)
	g.DELETE("/:id/secrets/:secret", s.removeWebhookSecret)
	g.GET("/:id/deliveries", s.listDeliveries)
	g.POST("/:id/deliveries/:delivery/redeliver", s.redeliver)
	g.POST("/:id/redeliver", s.redeliverDead)
}

// webhookFields is the body of a new webhook, or of a change.
type webhookFields struct {
	URL         *string   `json:"url"`
	Description *string   `json:"description"`
	Types       *[]string `json:"types"`
	From        *[]string `json:"from"`
	Active      *bool     `json:"active"`
}

func (f webhookFields) change() (webhooks.Change, error) {
	c := webhooks.Change{URL: f.URL, Description: f.Description, Types: f.Types, Active: f.Active}
	if f.From == nil {
		return c, nil
	}
	senders := make([]common.Address, len(*f.From))
	for i, text := range *f.From {
		var err error
		if senders[i], err = address("from", text); err != nil {
			return c, err
		}
	}
	c.Senders = &senders
	return c, nil
}

// secretField is a secret that may be given; it is never shown again.
type secretField struct {
	Secret secret.String `json:"secret"`
}

type webhookBody struct {
	ID          uuid.UUID    `json:"id"`
	URL         string       `json:"url"`
	Description string       `json:"description,omitempty"`
	Types       []string     `json:"types"`
	From        []string     `json:"from"`
	Active      bool         `json:"active"`
	Failures    int          `json:"consecutiveFailures"`
	Secrets     []secretBody `json:"secrets"`
	CreatedAt   time.Time    `json:"createdAt"`
	UpdatedAt   time.Time    `json:"updatedAt"`
	// Secret is shown once, to who made it.
	Secret string `json:"secret,omitempty"`
}

type secretBody struct {
	ID        uuid.UUID `json:"id"`
	CreatedAt time.Time `json:"createdAt"`
	Secret    string    `json:"secret,omitempty"`
}

func presentWebhook(w webhooks.Webhook) webhookBody {
	out := webhookBody{
		ID: w.ID, URL: w.URL, Description: w.Description, Types: append([]string{}, w.Types...), From: []string{}, Active: w.Active,
		Failures: w.Failures, Secrets: []secretBody{}, CreatedAt: w.CreatedAt.UTC(), UpdatedAt: w.UpdatedAt.UTC(),
	}
	for _, a := range w.Senders {
		out.From = append(out.From, a.Hex())
	}
	for _, k := range w.Secrets {
		out.Secrets = append(out.Secrets, secretBody{ID: k.ID, CreatedAt: k.CreatedAt.UTC()})
	}
	return out
}

func (s *server) createWebhook(c echo.Context) error {
	var fields struct {
		webhookFields
		secretField
	}
	if err := decodeBody(c, &fields); err != nil {
		return err
	}
	change, err := fields.change()
	if err != nil {
		return err
	}
	if fields.URL == nil {
		return invalid("url is missing")
	}
	w := webhooks.Webhook{Active: true}
	change.Apply(&w)
	w, key, err := s.webhooks.Create(c.Request().Context(), tenantOf(c), w, fields.Secret)
	if err != nil {
		return err
	}
	out := presentWebhook(w)
	if fields.Secret.IsEmpty() {
		out.Secret = key.Reveal()
	}
	c.Response().Header().Set(echo.HeaderLocation, "/v1/webhooks/"+w.ID.String())
	return respond(c, http.StatusCreated, out)
}

func (s *server) listWebhooks(c echo.Context) error {
	list, err := s.webhooks.List(c.Request().Context(), tenantOf(c))
	if err != nil {
		return err
	}
	out := struct {
		Items []webhookBody `json:"items"`
	}{Items: []webhookBody{}}
	for _, w := range list {
		out.Items = append(out.Items, presentWebhook(w))
	}
	return respond(c, http.StatusOK, out)
}

func (s *server) getWebhook(c echo.Context) error {
	id, err := webhookParam(c, "id")
	if err != nil {
		return err
	}
	w, err := s.webhooks.Get(c.Request().Context(), tenantOf(c), id)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, presentWebhook(w))
}

func (s *server) updateWebhook(c echo.Context) error {
	id, err := webhookParam(c, "id")
	if err != nil {
		return err
	}
	var fields webhookFields
	if err := decodeBody(c, &fields); err != nil {
		return err
	}
	change, err := fields.change()
	if err != nil {
		return err
	}
	w, err := s.webhooks.Update(c.Request().Context(), tenantOf(c), id, change)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, presentWebhook(w))
}

func (s *server) deleteWebhook(c echo.Context) error {
	id, err := webhookParam(c, "id")
	if err != nil {
		return err
	}
	if err := s.webhooks.Delete(c.Request().Context(), tenantOf(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *server) addWebhookSecret(c echo.Context) error {
	id, err := webhookParam(c, "id")
	if err != nil {
		return err
	}
	var fields secretField
	if err := decodeOptionalBody(c, &fields); err != nil {
		return err
	}
	made, key, err := s.webhooks.AddSecret(c.Request().Context(), tenantOf(c), id, fields.Secret)
	if err != nil {
		return err
	}
	out := secretBody{ID: made.ID, CreatedAt: made.CreatedAt.UTC()}
	if fields.Secret.IsEmpty() {
		out.Secret = key.Reveal()
	}
	return respond(c, http.StatusCreated, out)
}

func (s *server) removeWebhookSecret(c echo.Context) error {
	id, err := webhookParam(c, "id")
	if err != nil {
		return err
	}
	secretID, err := webhookParam(c, "secret")
	if err != nil {
		return err
	}
	if err := s.webhooks.RemoveSecret(c.Request().Context(), tenantOf(c), id, secretID); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

type deliveryBody struct {
	ID          uuid.UUID       `json:"id"`
	EventID     string          `json:"eventId"`
	Transaction uuid.UUID       `json:"transactionId"`
	Type        string          `json:"type"`
	State       webhooks.State  `json:"state"`
	Attempts    int             `json:"attempts"`
	Waits       bool            `json:"waitsForEarlier,omitempty"`
	NextAt      *time.Time      `json:"nextAttemptAt,omitempty"`
	LastStatus  int             `json:"lastStatus,omitempty"`
	LastError   string          `json:"lastError,omitempty"`
	CreatedAt   time.Time       `json:"createdAt"`
	EndedAt     *time.Time      `json:"endedAt,omitempty"`
	Event       json.RawMessage `json:"event"`
}

func presentDelivery(d webhooks.Delivery) deliveryBody {
	out := deliveryBody{
		ID: d.ID, EventID: strconv.FormatInt(d.EventID, 10), Transaction: d.TxID, Type: d.Type, State: d.State, Attempts: d.Attempts,
		Waits: d.Blocked, LastStatus: d.LastStatus, LastError: d.LastError, CreatedAt: d.CreatedAt.UTC(), Event: d.Body,
	}
	if d.State == webhooks.StatePending && !d.Blocked {
		at := d.NextAt.UTC()
		out.NextAt = &at
	}
	if d.EndedAt != nil {
		at := d.EndedAt.UTC()
		out.EndedAt = &at
	}
	return out
}

// listDeliveries shows a page of deliveries, newest event first.
func (s *server) listDeliveries(c echo.Context) error {
	id, err := webhookParam(c, "id")
	if err != nil {
		return err
	}
	f, err := deliveryFilter(c)
	if err != nil {
		return err
	}
	limit := f.Limit
	f.Limit++ // one more tells whether there is a next page
	list, err := s.webhooks.Deliveries(c.Request().Context(), tenantOf(c), id, f)
	if err != nil {
		return err
	}
	out := struct {
		Items []deliveryBody `json:"items"`
		Next  string         `json:"next,omitempty"`
	}{Items: []deliveryBody{}}
	for _, d := range list[:min(len(list), limit)] {
		out.Items = append(out.Items, presentDelivery(d))
	}
	if len(list) > limit {
		out.Next = strconv.FormatInt(list[limit-1].EventID, 10)
	}
	return respond(c, http.StatusOK, out)
}

func deliveryFilter(c echo.Context) (webhooks.DeliveryFilter, error) {
	f := webhooks.DeliveryFilter{Limit: defaultPage}
	for name, values := range c.QueryParams() {
		var err error
		switch name {
		case "state":
			f.State = webhooks.State(values[0])
			if !slices.Contains([]webhooks.State{webhooks.StatePending, webhooks.StateDelivered, webhooks.StateDead}, f.State) {
				return f, invalid("state: must be pending, delivered or dead")
			}
		case "before":
			if f.Before, err = strconv.ParseInt(values[0], 10, 64); err != nil || f.Before < 1 {
				return f, invalid("before: must be the next of another page")
			}
		case "limit":
			if f.Limit, err = strconv.Atoi(values[0]); err != nil || f.Limit < 1 || f.Limit > maxPage {
				return f, invalid("limit: must be between 1 and " + strconv.Itoa(maxPage))
			}
		default:
			return f, invalid("unknown query parameter " + strconv.Quote(name))
		}
	}
	return f, nil
}

func (s *server) redeliver(c echo.Context) error {
	id, err := webhookParam(c, "id")
	if err != nil {
		return err
	}
	delivery, err := webhookParam(c, "delivery")
	if err != nil {
		return err
	}
	if err := s.webhooks.Redeliver(c.Request().Context(), tenantOf(c), id, delivery); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

func (s *server) redeliverDead(c echo.Context) error {
	id, err := webhookParam(c, "id")
	if err != nil {
		return err
	}
	n, err := s.webhooks.RedeliverDead(c.Request().Context(), tenantOf(c), id)
	if err != nil {
		return err
	}
	return respond(c, http.StatusAccepted, map[string]int{"count": n})
}

// webhookParam reads an id in the path; what is no id names nothing.
func webhookParam(c echo.Context, name string) (uuid.UUID, error) {
	id, err := uuid.Parse(c.Param(name))
	if err != nil {
		return uuid.Nil, webhooks.ErrNotFound
	}
	return id, nil
}
