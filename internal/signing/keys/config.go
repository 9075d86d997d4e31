// Package keys opens the keys a signer is configured with, whatever their kind,
// and keeps them: renews logins, follows files that change, and comes back to
// key services that were away.
package keys

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing/awskms"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/signing/vault"
)

// Kind says where the keys of a source are.
type Kind string

// The kinds.
const (
	Local        Kind = "local"         // a BIP-39 mnemonic in this process
	Raw          Kind = "raw"           // one private key in this process, for development
	VaultKV      Kind = "vault-kv"      // a mnemonic or a key, read from Vault into this process
	VaultEthsign Kind = "vault-ethsign" // Vault's plug-in contract ethsign
	VaultDigest  Kind = "vault-digest"  // a plug-in of Vault that signs digests
	AWSKMS       Kind = "awskms"        // AWS KMS
)

// Config is one source of keys. Besides id and kind, the section of its kind
// counts; the others are left out.
type Config struct {
	// ID names the source in logs and in the references of its keys.
	ID string `yaml:"id"`
	// Kind is one of local, raw, vault-kv, vault-ethsign, vault-digest and awskms.
	Kind Kind `yaml:"kind"`
	// Local is the mnemonic of kind local.
	Local LocalConfig `yaml:"local"`
	// Raw is the key of kind raw.
	Raw RawConfig `yaml:"raw"`
	// Vault is the Vault of the kinds vault-kv, vault-ethsign and vault-digest.
	Vault vault.Config `yaml:"vault"`
	// KV is the secret of kind vault-kv.
	KV vault.KVConfig `yaml:"kv"`
	// Ethsign are the accounts of kind vault-ethsign.
	Ethsign vault.EthsignConfig `yaml:"ethsign"`
	// Digest are the keys of kind vault-digest.
	Digest vault.DigestConfig `yaml:"digest"`
	// AWSKMS is the key of kind awskms.
	AWSKMS awskms.Config `yaml:"awskms"`
	// Create has POST /v1/keys make keys in this source.
	Create CreateConfig `yaml:"create"`
	// DerivationPath is the BIP-44 path of the first account of a mnemonic (kinds
	// local and vault-kv); the others count up its last element. Default:
	// m/44'/60'/0'/0/0.
	DerivationPath string `yaml:"derivationPath"`
	// Accounts is the number of accounts of a mnemonic. Default: 1.
	Accounts int `yaml:"accounts"`
	// FirstAddress is the address that the first account of a mnemonic must have. A
	// phrase with another one is refused: at the start, and when it changes. Default: any.
	FirstAddress string `yaml:"firstAddress"`
}

// CreateConfig is how POST /v1/keys makes keys in a source of the kinds vault-kv,
// vault-ethsign, vault-digest and awskms.
type CreateConfig struct {
	// Enabled has keys made. The section of the kind then needs no key of its own.
	Enabled bool `yaml:"enabled"`
	// Prefix begins what the keys are called in the key service: the path of a secret,
	// the id of a key, an alias. Accounts of vault-ethsign have no names. Default: slipway.
	Prefix string `yaml:"prefix"`
	// Tags are put on keys in AWS KMS.
	Tags map[string]string `yaml:"tags"`
}

// LocalConfig is a BIP-39 mnemonic.
type LocalConfig struct {
	// Mnemonic is a phrase of 12 to 24 words; better given as a file.
	Mnemonic secret.String `yaml:"mnemonic"`
	// MnemonicFile is a file that holds the phrase.
	MnemonicFile string `yaml:"mnemonicFile"`
	// Passphrase is the optional extra word of BIP-39.
	Passphrase secret.String `yaml:"passphrase"`
	// PassphraseFile is a file that holds the passphrase.
	PassphraseFile string `yaml:"passphraseFile"`
}

// RawConfig is one private key as it stands, 32 bytes in hexadecimal.
type RawConfig struct {
	// DevelopmentOnly must be true: a key that lies about as text is for
	// development.
	DevelopmentOnly bool `yaml:"developmentOnly"`
	// Key is the key; better given as a file.
	Key secret.String `yaml:"key"`
	// KeyFile is a file that holds the key.
	KeyFile string `yaml:"keyFile"`
}

// maxAccounts bounds what one mnemonic is expanded to.
const maxAccounts = 10_000

func (c Config) withDefaults() Config {
	if c.Accounts == 0 {
		c.Accounts = 1
	}
	if c.Create.Prefix == "" {
		c.Create.Prefix = "slipway"
	}
	return c
}

// Validate reports all problems at once; it opens nothing and calls nobody.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	switch c.Kind {
	case Local:
		check(c.Local.Mnemonic.IsEmpty() != (c.Local.MnemonicFile == ""), "local: one of mnemonic and mnemonicFile is needed")
		check(c.Local.Passphrase.IsEmpty() || c.Local.PassphraseFile == "", "local: passphrase and passphraseFile exclude each other")
	case Raw:
		check(c.Raw.DevelopmentOnly, "raw: a key as it stands is for development; developmentOnly: true says that you know")
		check(c.Raw.Key.IsEmpty() != (c.Raw.KeyFile == ""), "raw: one of key and keyFile is needed")
	case VaultKV:
		errs = append(errs, c.Vault.Validate())
		if !c.isEmpty() {
			errs = append(errs, c.KV.Validate())
		}
	case VaultEthsign:
		errs = append(errs, c.Vault.Validate(), c.Ethsign.Validate())
	case VaultDigest:
		errs = append(errs, c.Vault.Validate())
		if !c.isEmpty() {
			errs = append(errs, c.Digest.Validate())
		}
	case AWSKMS:
		if c.isEmpty() {
			errs = append(errs, c.AWSKMS.ValidateAccount())
		} else {
			errs = append(errs, c.AWSKMS.Validate())
		}
	default:
		check(false, "kind: must be local, raw, vault-kv, vault-ethsign, vault-digest or awskms")
	}
	if c.Create.Enabled {
		errs = append(errs, c.validateCreate())
	}
	check(c.Accounts >= 1 && c.Accounts <= maxAccounts, "accounts: must be between 1 and %d", maxAccounts)
	check(c.FirstAddress == "" || common.IsHexAddress(c.FirstAddress), "firstAddress: must be an address, 0x and 40 hexadecimal digits")
	check(c.FirstAddress == "" || c.Kind == Local || c.Kind == VaultKV, "firstAddress: is for the kinds local and vault-kv")
	if _, err := local.ParsePath(c.DerivationPath, c.Accounts); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// isEmpty says whether a source has the keys alone that are made in it.
func (c Config) isEmpty() bool {
	return c.Create.Enabled &&
		(c.Kind == VaultKV && c.KV.Path == "" || c.Kind == VaultDigest && len(c.Digest.Keys) == 0 || c.Kind == AWSKMS && c.AWSKMS.KeyID == "")
}

func (c Config) validateCreate() error {
	var errs []error
	if c.Kind == Local || c.Kind == Raw {
		errs = append(errs, errors.New("create: keys are made in vault-kv, vault-ethsign, vault-digest and awskms"))
	}
	if c.ID == "" {
		errs = append(errs, errors.New("create: a source that keys are made in needs an id"))
	}
	for _, part := range strings.Split(c.Create.Prefix, "/") {
		if !isID(part) || (c.Kind == VaultDigest && part != c.Create.Prefix) {
			errs = append(errs, errors.New("create.prefix: must be letters, digits, - and _, and for vault-kv and awskms may have / between them"))
			break
		}
	}
	if len(c.Create.Tags) > 0 && c.Kind != AWSKMS {
		errs = append(errs, errors.New("create.tags: are for awskms"))
	}
	return errors.Join(errs...)
}

// Validate reports all problems of a list of sources at once. The first source
// needs no id.
func Validate(configs []Config) error {
	var errs []error
	seen := map[string]bool{}
	for i, c := range configs {
		name := c.ID
		switch {
		case !isID(c.ID) && (c.ID != "" || i > 0):
			name = fmt.Sprintf("source %d", i+1)
			errs = append(errs, fmt.Errorf("%s: id: must be letters, digits, - and _", name))
		case seen[c.ID]:
			errs = append(errs, fmt.Errorf("%s: id: two sources have it", name))
		}
		seen[c.ID] = true
		if err := c.Validate(); err != nil {
			if name == "" {
				name = "source 1"
			}
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func isID(id string) bool {
	for _, c := range id {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return id != ""
}
