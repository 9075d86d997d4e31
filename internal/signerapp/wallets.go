package signerapp

import (
	"fmt"
	"os"

	"github.com/ethereum/go-ethereum/accounts"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/wallets"
)

// loadWallets reads everything wallets need but the database, so that what is
// wrong is said before the signer talks to anybody. Without a mnemonic there
// are no wallets: the service is nil then.
func loadWallets(cfg Config) (func(*wallets.Store, signing.Keys) (*wallets.Service, error), error) {
	mnemonic, err := readMnemonic(cfg.Keys)
	if err != nil {
		return nil, err
	}
	if mnemonic.IsEmpty() {
		return func(*wallets.Store, signing.Keys) (*wallets.Service, error) { return nil, nil }, nil
	}
	hd, err := local.NewHD(mnemonic, cfg.Keys.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	path := accounts.DefaultBaseDerivationPath
	if cfg.Keys.DerivationPath != "" {
		if path, err = accounts.ParseDerivationPath(cfg.Keys.DerivationPath); err != nil {
			return nil, fmt.Errorf("keys.derivationPath: %w", err)
		}
	}
	key, err := encryptionKey(cfg.Wallets)
	if err != nil {
		return nil, err
	}
	return func(store *wallets.Store, own signing.Keys) (*wallets.Service, error) {
		return wallets.New(cfg.Wallets, wallets.Deps{Store: store, HD: hd, Path: path, Reserved: cfg.Keys.Accounts, Accounts: own, Key: key})
	}, nil
}

// readMnemonic takes the phrase from where the configuration has it.
func readMnemonic(cfg KeysConfig) (secret.String, error) {
	if cfg.MnemonicFile == "" {
		return cfg.Mnemonic, nil
	}
	text, err := os.ReadFile(cfg.MnemonicFile)
	if err != nil {
		return secret.String{}, fmt.Errorf("read keys.mnemonicFile: %w", err)
	}
	return secret.New(string(text)), nil
}

// encryptionKey returns nil where none is configured.
func encryptionKey(cfg wallets.Config) ([]byte, error) {
	switch {
	case cfg.EncryptionKeyFile != "":
		text, err := os.ReadFile(cfg.EncryptionKeyFile)
		if err != nil {
			return nil, fmt.Errorf("read wallets.encryptionKeyFile: %w", err)
		}
		key, err := wallets.ParseKey(string(text))
		if err != nil {
			return nil, fmt.Errorf("wallets.encryptionKeyFile: %w", err)
		}
		return key, nil
	case !cfg.EncryptionKey.IsEmpty():
		return wallets.ParseKey(cfg.EncryptionKey.Reveal())
	default:
		return nil, nil
	}
}
