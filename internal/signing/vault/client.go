// Package vault signs with keys in HashiCorp Vault: with a mnemonic or a key
// read from KV version 2, with the plug-in contract "ethsign", which signs whole
// legacy transactions, and with plug-ins that sign a digest.
package vault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/slipwayhq/slipway/internal/signing"
)

// Client is one login at one Vault. It logs in when it is first needed, and
// again when Vault no longer takes its token; Run keeps the token alive.
type Client struct {
	cfg       Config
	ref       signing.KeyRef // names the client in errors
	log       *slog.Logger
	api       *api.Client
	transport *transport

	mu      sync.Mutex // one login at a time; guards the field below
	session session

	renewed chan struct{} // tells Run of a new session
}

// New makes a client. It opens nothing; name is the client's in errors and logs.
func New(name string, cfg Config, log *slog.Logger) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	t := &transport{cfg: cfg}
	client, err := api.NewClient(&api.Config{
		Address: cfg.Address, HttpClient: &http.Client{Transport: t, Timeout: cfg.Timeout}, Timeout: cfg.Timeout, MaxRetries: 0, DisableRedirects: true,
	})
	if err != nil {
		return nil, fmt.Errorf("vault client: %w", err)
	}
	// The library takes these from the environment where nobody sets them.
	client.SetNamespace(cfg.Namespace)
	client.ClearToken()
	return &Client{
		cfg: cfg, ref: signing.KeyRef("vault:" + name), log: log.With(slog.String("vault", name)),
		api: client, transport: t, renewed: make(chan struct{}, 1),
	}, nil
}

// do runs a call with a token. After a 403 it logs in anew, if that may help,
// and calls once more. Errors are of package signing.
func (c *Client) do(ctx context.Context, ref signing.KeyRef, call func(ctx context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	s, err := c.login(limited, 0)
	if err != nil {
		return c.classify(ctx, ref, err)
	}
	used := c.api.Token()
	err = call(limited)
	if status(err) == http.StatusForbidden && c.mayHelp(limited, s, used) {
		if _, loginErr := c.login(limited, s.number); loginErr != nil {
			return c.classify(ctx, ref, loginErr)
		}
		err = call(limited)
	}
	return c.classify(ctx, ref, err)
}

// sessionAge is after what time a token that Vault still takes is changed for a
// new one, which may have other policies, when Vault forbids something.
const sessionAge = time.Minute

// mayHelp says whether a new login may lift a 403: Vault forbids what a policy
// does not allow with the same words as a token that has ended. The one that was
// used may have ended while another signature, or Run, brought a new one.
func (c *Client) mayHelp(ctx context.Context, s session, used string) bool {
	if time.Since(s.since) > sessionAge {
		return true
	}
	_, err := c.api.Auth().Token().LookupSelfWithContext(ctx)
	return status(err) == http.StatusForbidden || c.api.Token() != used
}

// status is the HTTP status of Vault's refusal, or 0.
func status(err error) int {
	var refusal *api.ResponseError
	if errors.As(err, &refusal) {
		return refusal.StatusCode
	}
	return 0
}

// errAbsent is what Vault says with 404, which its library makes an empty answer.
var errAbsent = errors.New("no such thing in Vault")

// classify turns an error of the library into one of package signing. ctx is the
// caller's: its end is no fault of Vault.
func (c *Client) classify(ctx context.Context, ref signing.KeyRef, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", ref, context.Cause(ctx))
	}
	if reason := permanent(err); reason != "" {
		return &signing.PermanentError{Key: ref, Reason: reason, Err: err}
	}
	return &signing.UnavailableError{Key: ref, Reason: c.temporary(err), Err: err}
}

// errMalformed is an answer of Vault that is not as its contract says.
var errMalformed = errors.New("malformed answer")

// permanent says what somebody has to change before a call can succeed, or "".
func permanent(err error) string {
	var refused *loginError
	if errors.As(err, &refused) {
		return "" // it concerns all keys of this login, and passes when the login is repaired
	}
	switch {
	case errors.Is(err, errAbsent):
		return "there is no such path or key in Vault"
	case errors.Is(err, errMalformed):
		return err.Error()
	case errors.Is(err, signing.ErrSignature):
		return "Vault returned a " + err.Error()
	}
	switch status(err) {
	case http.StatusForbidden:
		return "Vault's policy forbids it"
	case http.StatusBadRequest:
		return "Vault refuses the request as malformed, or has no such key"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "there is no such path or key in Vault"
	}
	return ""
}

// temporary says what will pass, in words without addresses and tokens.
func (c *Client) temporary(err error) string {
	var refused *loginError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.Is(err, errElsewhere):
		return "Vault is a standby that does not forward"
	case status(err) == http.StatusServiceUnavailable:
		return "Vault is sealed or not ready"
	case status(err) != 0:
		return fmt.Sprintf("Vault answered with status %d", status(err))
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("Vault did not answer within %s", c.cfg.Timeout)
	case errors.As(err, &untrusted):
		return "Vault's certificate is not trusted"
	}
	return "Vault cannot be reached"
}
