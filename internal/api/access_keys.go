package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/admission"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/strictjson"
)

// errNoAPIKeys says that this signer does not use keys.
var errNoAPIKeys = errors.New("API keys are not used")

// madeKey is a key with its token, which is shown this once.
type madeKey struct {
	access.Key
	Token string `json:"token"`
}

func (s *server) writeKey(c echo.Context, key access.Key, token secret.String) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusCreated, madeKey{key, token.Reveal()})
}

// lifetime reads a duration; "" is 0.
func lifetime(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, invalid(field + ": must be a duration such as 720h")
	}
	return d, nil
}

// mayGrant keeps callers from giving away, or taking over, roles that they do not
// have themselves: otherwise operators could approve.
func mayGrant(caller access.Caller, roles []access.Role) error {
	for _, r := range roles {
		if !caller.Has(r) {
			return &forbiddenError{[]access.Role{r}}
		}
	}
	return nil
}

func (s *server) createAPIKey(c echo.Context) error {
	if s.access.keys == nil {
		return errNoAPIKeys
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var asked struct {
		Name     string        `json:"name"`
		Roles    []access.Role `json:"roles"`
		Lifetime string        `json:"lifetime"`
	}
	if err := strictjson.Decode(body, &asked); err != nil {
		return err
	}
	life, err := lifetime("lifetime", asked.Lifetime)
	if err != nil {
		return err
	}
	caller, ctx := principalOf(c), c.Request().Context()
	if err := mayGrant(caller, asked.Roles); err != nil {
		return err
	}
	n := access.NewKey{Tenant: caller.Tenant, Name: asked.Name, Roles: asked.Roles, Lifetime: life, By: caller.Name}
	key, token, err := s.access.keys.Create(ctx, n)
	if err != nil {
		return err
	}
	return s.noteKey(c, "api_key.create", key, token)
}

// noteKey writes down that a key was made before anybody sees it. A key that
// cannot be written down is revoked.
func (s *server) noteKey(c echo.Context, action string, key access.Key, token secret.String) error {
	caller, ctx := principalOf(c), c.Request().Context()
	note := admission.Note(caller, action, key.ID, string(policy.Allowed))
	note.Detail = map[string]any{"name": key.Name, "roles": key.Roles}
	if err := s.note(ctx, note); err != nil {
		return errors.Join(err, s.access.keys.Revoke(ctx, key.Tenant, key.ID))
	}
	return s.writeKey(c, key, token)
}

func (s *server) listAPIKeys(c echo.Context) error {
	if s.access.keys == nil {
		return errNoAPIKeys
	}
	list, err := s.access.keys.List(c.Request().Context(), tenantOf(c))
	if err != nil {
		return err
	}
	if list == nil {
		list = []access.Key{}
	}
	return c.JSON(http.StatusOK, map[string]any{"items": list})
}

// defaultOverlap is how long a key that was rotated goes on.
const defaultOverlap = "24h"

func (s *server) rotateAPIKey(c echo.Context) error {
	if s.access.keys == nil {
		return errNoAPIKeys
	}
	asked := struct {
		Lifetime string `json:"lifetime"`
		Overlap  string `json:"overlap"`
	}{Overlap: defaultOverlap}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	if len(body) > 0 {
		if err := strictjson.Decode(body, &asked); err != nil {
			return err
		}
	}
	life, err := lifetime("lifetime", asked.Lifetime)
	if err != nil {
		return err
	}
	overlap, err := lifetime("overlap", asked.Overlap)
	if err != nil {
		return err
	}
	caller, ctx := principalOf(c), c.Request().Context()
	old, err := s.access.keys.Get(ctx, caller.Tenant, c.Param("id"))
	if err != nil {
		return err
	}
	if err := mayGrant(caller, old.Roles); err != nil {
		return err
	}
	key, token, err := s.access.keys.Rotate(ctx, caller.Tenant, old.ID, overlap, life, caller.Name)
	if err != nil {
		return err
	}
	return s.noteKey(c, "api_key.rotate", key, token)
}

func (s *server) revokeAPIKey(c echo.Context) error {
	if s.access.keys == nil {
		return errNoAPIKeys
	}
	ctx, id := c.Request().Context(), c.Param("id")
	if _, err := s.access.keys.Get(ctx, tenantOf(c), id); err != nil {
		return err
	}
	if err := s.note(ctx, admission.Note(principalOf(c), "api_key.revoke", id, string(policy.Allowed))); err != nil {
		return err
	}
	if err := s.access.keys.Revoke(ctx, tenantOf(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
