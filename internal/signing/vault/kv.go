package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
)

// KVConfig names fields of a secret in KV version 2.
type KVConfig struct {
	// Mount is where the engine is mounted. Default: secret.
	Mount string `yaml:"mount"`
	// Path is the path of the secret.
	Path string `yaml:"path"`
	// MnemonicField is the field with a BIP-39 phrase. Default: mnemonic, unless
	// keyField is given.
	MnemonicField string `yaml:"mnemonicField"`
	// PassphraseField is the field with the passphrase of the phrase, if any.
	PassphraseField string `yaml:"passphraseField"`
	// KeyField is the field with one private key in hexadecimal, instead of a
	// phrase.
	KeyField string `yaml:"keyField"`
}

// Validate reports all problems at once.
func (c KVConfig) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("kv.path: is missing"))
	}
	if c.KeyField != "" && (c.MnemonicField != "" || c.PassphraseField != "") {
		errs = append(errs, errors.New("kv.keyField excludes mnemonicField and passphraseField"))
	}
	return errors.Join(errs...)
}

// KVSecret is what a secret held.
type KVSecret struct {
	// Version counts the changes of the secret.
	Version int64
	// Mnemonic and Passphrase, or Key; the others are empty.
	Mnemonic, Passphrase, Key secret.String
}

// ReadKV reads a secret. It fails as signing.Signer fails.
func (c *Client) ReadKV(ctx context.Context, cfg KVConfig) (KVSecret, error) {
	if cfg.MnemonicField == "" && cfg.KeyField == "" {
		cfg.MnemonicField = "mnemonic"
	}
	var out KVSecret
	err := c.do(ctx, c.ref, func(ctx context.Context) error {
		answer, err := c.api.Logical().ReadWithContext(ctx, cfg.dataPath())
		if err != nil {
			return err
		}
		if answer == nil {
			return errAbsent
		}
		data, _ := answer.Data["data"].(map[string]any)
		if data == nil {
			return errAbsent // deleted, or another kind of engine
		}
		metadata, _ := answer.Data["metadata"].(map[string]any)
		version, _ := metadata["version"].(json.Number)
		if out.Version, err = version.Int64(); err != nil {
			return fmt.Errorf("%w: no version (is it KV version 2?)", errMalformed)
		}
		out.Mnemonic, err = field(data, cfg.MnemonicField)
		if err == nil {
			out.Passphrase, err = field(data, cfg.PassphraseField)
		}
		if err == nil {
			out.Key, err = field(data, cfg.KeyField)
		}
		return err
	})
	return out, err
}

func field(data map[string]any, name string) (secret.String, error) {
	if name == "" {
		return secret.String{}, nil
	}
	text, ok := data[name].(string)
	if !ok || text == "" {
		return secret.String{}, fmt.Errorf("%w: the secret has no text in field %q", errMalformed, name)
	}
	return secret.New(text), nil
}

// Ref names the client in errors.
func (c *Client) Ref() signing.KeyRef { return c.ref }
