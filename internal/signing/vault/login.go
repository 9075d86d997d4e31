package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// session is what a login gave.
type session struct {
	number    int           // of the login; 0 before the first
	since     time.Time     // of the login
	granted   time.Duration // how long the token was good for at first; 0 is without end
	ttl       time.Duration // how long since it was last renewed
	renewable bool
	failed    time.Time // of the last login that failed, zero after a success
	err       error     // of that login
}

// loginPause is the least time between two logins that fail. Many signatures may
// wait for one login, and Vault must not be asked once for each.
const loginPause = time.Second

// loginError says that there is no token.
type loginError struct {
	method string
	err    error
}

func (e *loginError) Error() string {
	if code := status(e.err); code != 0 && code != 503 {
		return fmt.Sprintf("the login (%s) was refused with status %d", e.method, code)
	}
	var file *os.PathError
	if errors.As(e.err, &file) {
		return fmt.Sprintf("the login (%s) cannot read its file %s", e.method, file.Path)
	}
	return fmt.Sprintf("no login (%s): Vault is sealed or cannot be reached", e.method)
}

func (e *loginError) Unwrap() error { return e.err }

// login returns the present session if it is newer than the given one, and logs
// in otherwise.
func (c *Client) login(ctx context.Context, newerThan int) (session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.number > newerThan {
		return c.session, nil
	}
	if time.Since(c.session.failed) < loginPause {
		return session{}, c.session.err
	}
	next, err := c.enter(ctx)
	if err != nil {
		err = &loginError{method: c.cfg.Auth.Method, err: err}
		if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			c.session.failed, c.session.err = time.Now(), err
		}
		return session{}, err
	}
	next.number, next.since = c.session.number+1, time.Now()
	c.session = next
	select {
	case c.renewed <- struct{}{}:
	default: // Run has not looked yet, and will see the newest
	}
	return next, nil
}

// enter gets a token and hands it to the library.
func (c *Client) enter(ctx context.Context) (session, error) {
	if err := c.transport.reload(); err != nil {
		return session{}, err
	}
	a := c.cfg.Auth
	switch a.Method {
	case MethodToken:
		c.api.SetToken(strings.TrimSpace(a.Token.Reveal()))
		return c.describe(ctx)
	case MethodTokenFile:
		token, err := readTrimmed(a.TokenFile)
		if err != nil {
			return session{}, err
		}
		c.api.SetToken(token)
		_, err = c.describe(ctx)
		return session{}, err // whoever writes the file keeps the token alive
	}
	body, err := a.body()
	if err != nil {
		return session{}, err
	}
	// A login goes without the token that has ended.
	anonymous, err := c.api.CloneWithHeaders()
	if err != nil {
		return session{}, err
	}
	anonymous.ClearToken()
	answer, err := anonymous.Logical().WriteWithContext(ctx, "auth/"+a.Mount+"/login", body)
	if err != nil {
		return session{}, err
	}
	if answer == nil || answer.Auth == nil || answer.Auth.ClientToken == "" {
		return session{}, errMalformed
	}
	c.api.SetToken(answer.Auth.ClientToken)
	ttl := time.Duration(answer.Auth.LeaseDuration) * time.Second
	return session{granted: ttl, ttl: ttl, renewable: answer.Auth.Renewable}, nil
}

// describe asks for the lifetime of a token that was given to us. Every token
// with Vault's policy "default" may ask; one that may not has ended.
func (c *Client) describe(ctx context.Context) (session, error) {
	answer, err := c.api.Auth().Token().LookupSelfWithContext(ctx)
	if err != nil {
		return session{}, err
	}
	ttl, ttlErr := answer.TokenTTL()
	renewable, renewableErr := answer.TokenIsRenewable()
	return session{granted: ttl, ttl: ttl, renewable: renewable}, errors.Join(ttlErr, renewableErr)
}

// body is what the login endpoint of the method takes.
func (a AuthConfig) body() (map[string]any, error) {
	if a.Method == MethodAppRole {
		body := map[string]any{"role_id": a.RoleID}
		secretID, err := a.SecretID.Reveal(), error(nil)
		if a.SecretIDFile != "" {
			secretID, err = readTrimmed(a.SecretIDFile)
		}
		if secretID != "" {
			body["secret_id"] = secretID
		}
		return body, err
	}
	jwt, err := readTrimmed(a.JWTFile)
	return map[string]any{"role": a.Role, "jwt": jwt}, err
}

func readTrimmed(name string) (string, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(content)), nil
}

// renew prolongs the token, or says that it is time for another one.
func (c *Client) renew(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	c.mu.Lock()
	before := c.session
	c.mu.Unlock()

	if before.renewable {
		answer, err := c.api.Auth().Token().RenewSelfWithContext(limited, int(before.granted.Seconds()))
		if err == nil && c.prolong(before, answer) {
			return nil
		}
		if err != nil && status(err) != 403 && status(err) != 400 {
			return err // Vault is away: the token may be as good as before
		}
	}
	_, err := c.login(limited, before.number)
	return err
}

// prolong notes the new lifetime. It is false when Vault has given so little
// that the token's own end (max_ttl) is near.
func (c *Client) prolong(before session, answer *api.Secret) bool {
	if answer == nil || answer.Auth == nil {
		return false
	}
	ttl := time.Duration(answer.Auth.LeaseDuration) * time.Second
	if ttl < before.granted/2 && c.cfg.Auth.Method != MethodToken {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.number == before.number {
		c.session.ttl, c.session.renewable = ttl, answer.Auth.Renewable
	}
	return true
}
