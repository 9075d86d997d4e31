package vault

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	// filePoll is the time between two looks at the files.
	filePoll = 5 * time.Second
	// firstPause and mostPause bound the time between two renewals that fail.
	firstPause = time.Second
	mostPause  = 30 * time.Second
)

// Run keeps the token alive and takes changed files over until ctx ends. It logs
// trouble when it begins and when it is over.
func (c *Client) Run(ctx context.Context) {
	defer c.transport.close()
	files := time.NewTicker(filePoll)
	defer files.Stop()
	renewal := time.NewTimer(c.nextRenewal())
	defer renewal.Stop()

	pause, trouble := firstPause, ""
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-files.C:
			if err = c.transport.reload(); err == nil {
				err = c.followTokenFile()
			}
			if err == nil {
				continue
			}
		case <-c.renewed:
			renewal.Reset(c.nextRenewal())
			continue
		case <-renewal.C:
			if err = c.renew(ctx); err == nil {
				renewal.Reset(c.nextRenewal())
				pause = firstPause
			} else {
				renewal.Reset(jitter(pause))
				pause = min(2*pause, mostPause)
			}
		}
		trouble = c.note(ctx, trouble, err)
	}
}

// note logs a change between trouble and none.
func (c *Client) note(ctx context.Context, before string, err error) string {
	if ctx.Err() != nil {
		return before
	}
	if err == nil {
		if before != "" {
			c.log.InfoContext(ctx, "Vault's token is renewed again")
		}
		return ""
	}
	now := c.classify(ctx, c.ref, err).Error()
	if now != before {
		c.log.WarnContext(ctx, "Vault's token or files cannot be renewed", slog.String("err", now))
	}
	return now
}

// never is long enough for a token that does not end.
const never = 24 * time.Hour

// nextRenewal is two thirds of the token's lifetime, give or take a tenth, so
// that many replicas do not come at once.
func (c *Client) nextRenewal() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.ttl <= 0 {
		return never
	}
	return jitter(c.session.ttl * 2 / 3)
}

func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1) //nolint:gosec // spreads load, guards nothing
}

// followTokenFile takes a new token of the file over.
func (c *Client) followTokenFile() error {
	if c.cfg.Auth.Method != MethodTokenFile {
		return nil
	}
	token, err := readTrimmed(c.cfg.Auth.TokenFile)
	if err == nil && token != "" && token != c.api.Token() {
		c.api.SetToken(token)
	}
	return err
}
