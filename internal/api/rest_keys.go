package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/madekeys"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/wallets"
)

// keyBody is a key that signs, or that was turned off.
type keyBody struct {
	Address string `json:"address"`
	// Ref names the key; it is no secret.
	Ref string `json:"ref,omitempty"`
	// Kind is where the key lives: local, vault-ethsign, vault-digest, awskms.
	Kind string `json:"kind,omitempty"`
	// Source is the source that it was made in here; none for the mnemonic.
	Source string `json:"source,omitempty"`
	// Name is what the key was made with here.
	Name     string `json:"name,omitempty"`
	Disabled bool   `json:"disabled"`
}

func presentKey(s signing.Signer) keyBody {
	kind, _, _ := strings.Cut(string(s.Ref()), ":")
	return keyBody{Address: s.Address().Hex(), Ref: string(s.Ref()), Kind: kind}
}

func (s *server) listKeys(c echo.Context) error {
	if err := noQuery(c); err != nil {
		return err
	}
	made, err := s.madeIn(c.Request().Context(), tenantOf(c))
	if err != nil {
		return err
	}
	derived, err := s.madeKeys(c.Request().Context(), tenantOf(c))
	if err != nil {
		return err
	}
	var list []keyBody
	var addresses []common.Address
	for _, key := range s.keys.Signers() {
		if !slices.ContainsFunc(made, func(k madekeys.Key) bool { return k.Address == key.Address() }) { // its source lists it, too
			list, addresses = append(list, presentKey(key)), append(addresses, key.Address())
		}
	}
	for _, w := range derived {
		list, addresses = append(list, presentMadeKey(w)), append(addresses, w.Address)
	}
	for _, k := range made {
		list, addresses = append(list, presentMadeIn(k)), append(addresses, k.Address)
	}
	if s.keySwitch != nil {
		for _, a := range s.keySwitch.Disabled() {
			list, addresses = append(list, keyBody{Address: a.Hex(), Disabled: true}), append(addresses, a)
		}
	}
	usable, err := s.usable(c.Request().Context(), addresses...)
	if err != nil {
		return err
	}
	out := items[keyBody]{Items: []keyBody{}}
	for i, key := range list {
		if usable[addresses[i]] {
			out.Items = append(out.Items, key)
		}
	}
	return respond(c, http.StatusOK, out)
}

// madeKeys are those that POST /v1/keys made of the mnemonic, without those that are
// turned off.
func (s *server) madeKeys(ctx context.Context, tenant string) ([]wallets.Wallet, error) {
	if s.wallets == nil {
		return nil, nil
	}
	list, err := s.wallets.Keys(ctx, tenant)
	if err != nil || s.keySwitch == nil {
		return list, err
	}
	off := s.keySwitch.Disabled()
	return slices.DeleteFunc(list, func(w wallets.Wallet) bool { return slices.Contains(off, w.Address) }), nil
}

func presentMadeKey(w wallets.Wallet) keyBody {
	return keyBody{Address: w.Address.Hex(), Ref: string(w.Ref()), Kind: "local", Name: w.Name}
}

func (s *server) disableKey(c echo.Context) error {
	return s.switchKey(c, KeySwitch.Disable)
}

func (s *server) enableKey(c echo.Context) error {
	return s.switchKey(c, KeySwitch.Enable)
}

func (s *server) switchKey(c echo.Context, turn func(KeySwitch, context.Context, common.Address) error) error {
	if err := noBody(c); err != nil {
		return err
	}
	a, err := addressOf(c)
	if err != nil {
		return err
	}
	if s.keySwitch == nil {
		return refuse(problemAbsent, "the keys of this signer are those of its configuration")
	}
	if err := turn(s.keySwitch, c.Request().Context(), a); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// walletBody is the account of an end user.
type walletBody struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Path    string `json:"path"`
}

func presentWallet(w wallets.Wallet) walletBody {
	return walletBody{ID: w.ID.String(), Name: w.Name, Address: w.Address.Hex(), Path: w.Path}
}

func (s *server) restListWallets(c echo.Context) error {
	if err := noQuery(c); err != nil {
		return err
	}
	out := items[walletBody]{Items: []walletBody{}}
	if s.wallets == nil {
		return respond(c, http.StatusOK, out)
	}
	list, err := s.wallets.List(c.Request().Context(), tenantOf(c))
	if err != nil {
		return err
	}
	for _, w := range list {
		out.Items = append(out.Items, presentWallet(w))
	}
	return respond(c, http.StatusOK, out)
}

func (s *server) restCreateWallet(c echo.Context) error {
	var body struct {
		KeyVaultID string `json:"keyVaultId"`
		Name       string `json:"name"`
		Index      *int64 `json:"index"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	if s.wallets == nil {
		return errNoWallets
	}
	w, err := s.wallets.Create(c.Request().Context(), tenantOf(c), body.KeyVaultID, body.Name, body.Index)
	if err != nil {
		return err
	}
	return respond(c, http.StatusCreated, presentWallet(w))
}
