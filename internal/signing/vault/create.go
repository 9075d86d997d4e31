package vault

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
)

// CreateKV makes a key in this process and writes it into the secret of an order, which
// it returns the path of, unless an earlier attempt did: a secret that is there is never
// written again. It fails as signing.Signer fails.
func (c *Client) CreateKV(ctx context.Context, cfg KVConfig, prefix string, order signing.Order) (path string, err error) {
	cfg = cfg.ofKey(prefix + "/" + order.ID)
	if err := note(ctx, order, cfg.Path); err != nil {
		return "", err
	}
	_, err = c.ReadKV(ctx, cfg)
	if !errors.Is(err, errAbsent) {
		return cfg.Path, err
	}
	body, err := newSecret(cfg.KeyField)
	if err != nil {
		return "", err
	}
	defer clear(body)
	return cfg.Path, c.do(ctx, c.ref, func(ctx context.Context) error {
		_, err := c.api.Logical().WriteBytesWithContext(ctx, cfg.dataPath(), body)
		return err
	})
}

// note writes down where the key will be, unless that stands there.
func note(ctx context.Context, order signing.Order, place string) error {
	if order.Place == place {
		return nil
	}
	return order.Note(ctx, place)
}

// newSecret is the body that creates a secret with a new key. The caller clears it. The
// check-and-set parameter 0 means: only where there is no version yet.
func newSecret(field string) ([]byte, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	defer clear(key.D.Bits()) //nolint:staticcheck // to forget the key, which nobody uses any more
	raw := crypto.FromECDSA(key)
	defer clear(raw)
	// Written by hand, since what an encoder leaves behind cannot be cleared. All of the
	// key is in memory that is.
	head := fmt.Sprintf(`{"options":{"cas":0},"data":{"address":%q,%q:"`, crypto.PubkeyToAddress(key.PublicKey).Hex(), field)
	const tail = `"}}`
	body := make([]byte, 0, len(head)+2*len(raw)+len(tail))
	body = append(body, head...)
	body = hex.AppendEncode(body, raw)
	return append(body, tail...), nil
}

// ofKey is the secret at a path that holds one key.
func (c KVConfig) ofKey(path string) KVConfig {
	out := KVConfig{Mount: c.Mount, Path: path, KeyField: c.KeyField}
	if out.KeyField == "" {
		out.KeyField = "key"
	}
	return out
}

// ReadKey reads a key that CreateKV made. It fails as signing.Signer fails.
func (c *Client) ReadKey(ctx context.Context, cfg KVConfig, path string) (secret.String, error) {
	held, err := c.ReadKV(ctx, cfg.ofKey(path))
	return held.Key, err
}

// CreateEthsign makes an account of the plug-in ethsign and returns its address. The
// plug-in knows no names: where an earlier attempt made an account and could not note
// it, this makes another one. It fails as signing.Signer fails.
func (c *Client) CreateEthsign(ctx context.Context, cfg EthsignConfig, order signing.Order) (account string, err error) {
	if order.Place != "" {
		return order.Place, nil
	}
	err = c.do(ctx, c.ref, func(ctx context.Context) error {
		answer, err := c.api.Logical().WriteWithContext(ctx, cfg.mount()+"/accounts", map[string]any{})
		if err != nil {
			return err
		}
		if answer == nil {
			return errAbsent
		}
		if account, _ = answer.Data["address"].(string); !common.IsHexAddress(account) {
			return fmt.Errorf("%w: the new account has no address", errMalformed)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	account = common.HexToAddress(account).Hex()
	return account, order.Note(ctx, account)
}

// CreateDigest makes a key of a plug-in that signs digests, unless an earlier attempt
// did, and returns its id. It fails as signing.Signer fails, or with
// signing.UnsupportedError where the plug-in makes no keys.
func (c *Client) CreateDigest(ctx context.Context, cfg DigestConfig, prefix string, order signing.Order) (id string, err error) {
	id = prefix + "-" + order.ID
	if err := note(ctx, order, id); err != nil {
		return "", err
	}
	cfg.Keys = []string{id}
	_, err = c.Digest(ctx, cfg)
	if !errors.Is(err, errAbsent) {
		return id, err
	}
	err = c.do(ctx, c.ref, func(ctx context.Context) error {
		_, err := c.api.Logical().WriteWithContext(ctx, cfg.mount()+"/keys", map[string]any{"id": id, "curve": "secp256k1", "signing_algorithm": "ecdsa"})
		return err
	})
	if s := status(err); s == http.StatusNotFound || s == http.StatusMethodNotAllowed {
		return "", &signing.UnsupportedError{Reason: "the plug-in at " + cfg.mount() + " has no call that makes keys (POST " + cfg.mount() +
			"/keys): make the key there and put its id into digest.keys"}
	}
	return id, err
}

func (c EthsignConfig) mount() string { return mountOf(c.Mount, "ethereum") }

func (c DigestConfig) mount() string { return mountOf(c.Mount, "quorum") }

func (c KVConfig) dataPath() string {
	return mountOf(c.Mount, "secret") + "/data/" + strings.Trim(c.Path, "/")
}

func mountOf(configured, standard string) string {
	if configured == "" {
		return standard
	}
	return strings.Trim(configured, "/")
}
