package wallets

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/sealed"
	"github.com/slipwayhq/slipway/internal/secret"
)

// Config is how wallets are made and protected.
type Config struct {
	// KeyVaultID is the only key vault that user_createWallet may name. Empty
	// takes any name: all of them are the one mnemonic.
	KeyVaultID string `yaml:"keyVaultId"`
	// EncryptionKey seals PINs and OTP keys in the database, and the secrets of
	// webhooks (AES-256-GCM): 32 bytes as hex or base64. Without it the key is
	// derived from the mnemonic.
	EncryptionKey secret.String `yaml:"encryptionKey"`
	// EncryptionKeyFile is a file that holds the encryption key.
	EncryptionKeyFile string `yaml:"encryptionKeyFile"`
	// ChallengeTTL is how long a challenge can be answered.
	ChallengeTTL time.Duration `yaml:"challengeTtl"`
	// MaxFailures is how many wrong responses in a row lock a verification.
	MaxFailures int `yaml:"maxFailures"`
	// LockFor is how long a locked verification takes no response.
	LockFor time.Duration `yaml:"lockFor"`
}

// Default returns the configuration that needs no change.
func Default() Config {
	return Config{ChallengeTTL: 5 * time.Minute, MaxFailures: 5, LockFor: 15 * time.Minute}
}

// Validate reports all problems at once.
func (c Config) Validate() error {
	var errs []error
	if !c.EncryptionKey.IsEmpty() && c.EncryptionKeyFile != "" {
		errs = append(errs, errors.New("wallets: encryptionKey and encryptionKeyFile exclude each other"))
	}
	if !c.EncryptionKey.IsEmpty() {
		if _, err := ParseKey(c.EncryptionKey.Reveal()); err != nil {
			errs = append(errs, fmt.Errorf("wallets.encryptionKey: %w", err))
		}
	}
	if c.ChallengeTTL < time.Second || c.ChallengeTTL > time.Hour {
		errs = append(errs, errors.New("wallets.challengeTtl: must be between 1s and 1h"))
	}
	if c.MaxFailures < 1 || c.MaxFailures > 100 {
		errs = append(errs, errors.New("wallets.maxFailures: must be between 1 and 100"))
	}
	if c.LockFor < time.Second {
		errs = append(errs, errors.New("wallets.lockFor: must be at least 1s"))
	}
	return errors.Join(errs...)
}

// ParseKey reads an encryption key. Its error does not repeat the text.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if key, err := hex.DecodeString(strings.TrimPrefix(text, "0x")); err == nil && len(key) == sealed.KeySize {
		return key, nil
	}
	if key, err := base64.StdEncoding.DecodeString(text); err == nil && len(key) == sealed.KeySize {
		return key, nil
	}
	return nil, errors.New("must be 32 bytes as hex or base64")
}
