package signerapp

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/slipwayhq/slipway/internal/events"
	"github.com/slipwayhq/slipway/internal/sealed"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/webhooks"
)

// telling is how others learn what becomes of transactions.
type telling struct {
	feed     *events.Feed
	webhooks *webhooks.Service
}

func (a *App) newTelling(pool *pgxpool.Pool) (telling, error) {
	feed, err := events.NewFeed(a.cfg.Events, events.NewStore(pool), a.metrics, a.log)
	if err != nil {
		return telling{}, err
	}
	hooks, err := webhooks.New(a.cfg.Webhooks, webhooks.Deps{
		Store: webhooks.NewStore(pool, a.cfg.Queue.ChainID), Key: a.webhookKey, Metrics: a.metrics, Log: a.log,
	})
	if err != nil {
		return telling{}, err
	}
	return telling{feed: feed, webhooks: hooks}, nil
}

// loadWebhookKey makes the key for secrets of webhooks of the encryption key, or
// else of the mnemonic. Without either there is none, and no webhook can be made.
func loadWebhookKey(cfg Config) ([]byte, error) {
	const purpose = "slipway webhooks, version 1"
	key, err := encryptionKey(cfg.Wallets)
	if err != nil {
		return nil, err
	}
	if key != nil {
		return sealed.DeriveKey(key, purpose)
	}
	mnemonic, err := readMnemonic(cfg.Keys)
	if err != nil || mnemonic.IsEmpty() {
		return nil, err
	}
	hd, err := local.NewHD(mnemonic, cfg.Keys.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return hd.Key(purpose)
}
