package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/admission"
	"github.com/slipwayhq/slipway/internal/madekeys"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/strictjson"
)

// createKey has a source make a key of the tenant; without one it is the next account of
// the signer's mnemonic.
func (s *server) createKey(c echo.Context) error {
	var body struct {
		Name           string  `json:"name"`
		Source         *string `json:"source"`
		IdempotencyKey string  `json:"idempotencyKey"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	idem, err := idempotencyKey(c.Request().Header.Get("Idempotency-Key"), body.IdempotencyKey)
	if err != nil {
		return err
	}
	order := madekeys.Order{Tenant: tenantOf(c), IdempotencyKey: idem, Name: body.Name}
	if body.Source == nil {
		return s.deriveKey(c, order)
	}
	if order.Source = *body.Source; order.Source == "" {
		return &strictjson.Error{Pointer: "/source", Reason: "is empty: leave it out for the signer's mnemonic"}
	}
	return s.makeKey(c, order)
}

// deriveKey makes the next account of the signer's mnemonic a key of the tenant.
func (s *server) deriveKey(c echo.Context, order madekeys.Order) error {
	if s.wallets == nil {
		return refuse(problemAbsent, "this signer has no mnemonic (keys.mnemonic, keys.mnemonicFile) to derive keys from; name a source of keys.sources that makes keys (create.enabled)")
	}
	if err := checkKeyName(order.Name); err != nil {
		return err
	}
	ctx, id := c.Request().Context(), uuid.New()
	if order.IdempotencyKey != "" && s.madekeys != nil {
		var err error
		if id, err = s.madekeys.OrderID(ctx, order); err != nil {
			return err
		}
	}
	w, isNew, err := s.wallets.CreateKey(ctx, order.Tenant, order.Name, id)
	if err != nil {
		return err
	}
	return s.answerKey(c, presentMadeKey(w), isNew)
}

// makeKey has a key service make a key.
func (s *server) makeKey(c echo.Context, order madekeys.Order) error {
	if s.madekeys == nil {
		return refuse(problemAbsent, "this signer makes no keys in key services")
	}
	if err := checkKeyName(order.Name); err != nil {
		return err
	}
	key, isNew, err := s.madekeys.Make(c.Request().Context(), order)
	var unsupported *signing.UnsupportedError
	switch {
	case errors.Is(err, signing.ErrNoSource):
		return &strictjson.Error{Pointer: "/source", Reason: "keys.sources has no such source"}
	case errors.As(err, &unsupported):
		return refuse(problemAbsent, unsupported.Reason)
	case err != nil:
		return err
	}
	return s.answerKey(c, presentMadeIn(key), isNew)
}

// maxKeyName is the longest name of a key, in bytes; wallets have the same.
const maxKeyName = 256

func checkKeyName(name string) error {
	switch {
	case name == "":
		return &strictjson.Error{Pointer: "/name", Reason: "is missing"}
	case len(name) > maxKeyName:
		return &strictjson.Error{Pointer: "/name", Reason: "is longer than 256 bytes"}
	case strings.ContainsRune(name, 0):
		return &strictjson.Error{Pointer: "/name", Reason: "has characters that are not allowed"}
	}
	return nil
}

// answerKey writes down which key was made, besides that one was asked for, and answers.
func (s *server) answerKey(c echo.Context, key keyBody, isNew bool) error {
	if !isNew {
		c.Response().Header().Set("Idempotent-Replayed", "true")
		return respond(c, http.StatusOK, key)
	}
	entry := admission.Note(principalOf(c), "key.made", key.Address, "made")
	entry.Detail = map[string]any{"ref": key.Ref, "source": key.Source}
	if err := s.note(c.Request().Context(), entry); err != nil { // it is made all the same
		s.log.ErrorContext(c.Request().Context(), "key that was made not written down", slog.String("address", key.Address), slog.Any("err", err))
	}
	return respond(c, http.StatusCreated, key)
}

func presentMadeIn(k madekeys.Key) keyBody {
	kind, _, _ := strings.Cut(string(k.Ref), ":")
	return keyBody{Address: k.Address.Hex(), Ref: string(k.Ref), Kind: kind, Source: k.Source, Name: k.Name}
}

// madeIn are the keys that were made in key services for a tenant, without those that
// are turned off.
func (s *server) madeIn(ctx context.Context, tenant string) ([]madekeys.Key, error) {
	if s.madekeys == nil {
		return nil, nil
	}
	list, err := s.madekeys.Keys(ctx, tenant)
	if err != nil || s.keySwitch == nil {
		return list, err
	}
	off := s.keySwitch.Disabled()
	return slices.DeleteFunc(list, func(k madekeys.Key) bool { return slices.Contains(off, k.Address) }), nil
}
