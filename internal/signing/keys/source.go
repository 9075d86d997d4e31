package keys

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/awskms"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/signing/vault"
)

// How often sources are looked at again that may change.
const (
	filesAgain   = 5 * time.Second
	serviceAgain = time.Minute
)

// source is one configured source.
type source struct {
	cfg Config
	// load opens the keys. It returns none and no error when nothing has changed
	// since it last succeeded.
	load func(ctx context.Context) ([]signing.Signer, error)
	// again is how long after a success load is called again; 0 is never.
	again time.Duration
	// inProcess says that load calls nobody.
	inProcess bool
	// run keeps the login alive; nil if there is none.
	run func(ctx context.Context)
	// make and open make keys and open those that were made; nil where none are.
	make func(ctx context.Context, order signing.Order) (place string, err error)
	open func(ctx context.Context, place string) (signing.Signer, error)
}

func newSource(cfg Config, kms *awskms.Opener, log *slog.Logger) (*source, error) {
	s := &source{cfg: cfg.withDefaults()}
	switch cfg.Kind {
	case Local:
		s.inProcess = true
		s.load = s.localAccounts()
		if cfg.Local.MnemonicFile != "" {
			s.again = filesAgain
		}
		return s, nil
	case Raw:
		s.inProcess = true
		s.load = s.rawKey()
		if cfg.Raw.KeyFile != "" {
			s.again = filesAgain
		}
		return s, nil
	case AWSKMS:
		s.load = func(ctx context.Context) ([]signing.Signer, error) {
			key, err := kms.Open(ctx, cfg.AWSKMS)
			if err != nil {
				return nil, err
			}
			return []signing.Signer{key}, nil
		}
		s.makeInKMS(kms)
	default:
		if err := s.inVault(log); err != nil {
			return nil, err
		}
	}
	if s.cfg.isEmpty() {
		s.again, s.load = 0, func(context.Context) ([]signing.Signer, error) { return nil, nil }
	}
	return s, nil
}

// inVault makes a source of one of the kinds of Vault.
func (s *source) inVault(log *slog.Logger) error {
	cfg := s.cfg
	client, err := vault.New(cfg.ID, cfg.Vault, log)
	if err != nil {
		return err
	}
	s.run = client.Run
	s.makeInVault(client)
	switch cfg.Kind {
	case VaultKV:
		s.again, s.load = serviceAgain, s.kvAccounts(client)
	case VaultEthsign:
		s.load = func(ctx context.Context) ([]signing.Signer, error) { return client.Ethsign(ctx, cfg.Ethsign) }
		if len(cfg.Ethsign.Accounts) == 0 {
			s.again = serviceAgain
		}
	default:
		s.load = func(ctx context.Context) ([]signing.Signer, error) { return client.Digest(ctx, cfg.Digest) }
	}
	return nil
}

// text is a secret that is given, or lies in a file; key is the file's in the
// configuration.
func text(key string, given secret.String, file string) (secret.String, error) {
	if file == "" {
		return given, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return secret.String{}, fmt.Errorf("read %s: %w", key, err)
	}
	return secret.New(string(content)), nil
}

// localAccounts derives the accounts when the phrase has changed.
func (s *source) localAccounts() func(context.Context) ([]signing.Signer, error) {
	var mnemonicBefore, passphraseBefore secret.String
	return func(context.Context) ([]signing.Signer, error) {
		mnemonic, err := text("mnemonicFile", s.cfg.Local.Mnemonic, s.cfg.Local.MnemonicFile)
		if err != nil {
			return nil, err
		}
		passphrase, err := text("passphraseFile", s.cfg.Local.Passphrase, s.cfg.Local.PassphraseFile)
		if err != nil {
			return nil, err
		}
		if s.cfg.Local.PassphraseFile != "" {
			passphrase = secret.New(trimNewline(passphrase.Reveal()))
		}
		if mnemonic.Reveal() == mnemonicBefore.Reveal() && passphrase.Reveal() == passphraseBefore.Reveal() {
			return nil, nil
		}
		signers, err := s.derive(mnemonic, passphrase)
		if err == nil {
			mnemonicBefore, passphraseBefore = mnemonic, passphrase
		}
		return signers, err
	}
}

// trimNewline takes away what editors put at the end; spaces may be meant.
func trimNewline(s string) string {
	for len(s) > 0 && (s[len(s)-1] == '\n' || s[len(s)-1] == '\r') {
		s = s[:len(s)-1]
	}
	return s
}

func (s *source) derive(mnemonic, passphrase secret.String) ([]signing.Signer, error) {
	out, err := local.Accounts(local.Config{
		Name: s.cfg.ID, Mnemonic: mnemonic, Passphrase: passphrase, Path: s.cfg.DerivationPath, Accounts: s.cfg.Accounts,
	})
	if err != nil || s.cfg.FirstAddress == "" {
		return out, err
	}
	if want, is := common.HexToAddress(s.cfg.FirstAddress), out[0].Address(); is != want {
		return nil, fmt.Errorf("the phrase is another one: its first account is %s, and firstAddress is %s; change firstAddress with the phrase if it is meant", is, want)
	}
	return out, nil
}

// rawKey reads the key when it has changed.
func (s *source) rawKey() func(context.Context) ([]signing.Signer, error) {
	var before secret.String
	return func(context.Context) ([]signing.Signer, error) {
		key, err := text("keyFile", s.cfg.Raw.Key, s.cfg.Raw.KeyFile)
		if err != nil || key.Reveal() == before.Reveal() && !before.IsEmpty() {
			return nil, err
		}
		signer, err := local.Raw(s.cfg.ID, key)
		if err != nil {
			return nil, err
		}
		before = key
		return []signing.Signer{signer}, nil
	}
}

// kvAccounts reads the secret, and derives the accounts when its version has
// changed.
func (s *source) kvAccounts(client *vault.Client) func(context.Context) ([]signing.Signer, error) {
	var version int64
	return func(ctx context.Context) ([]signing.Signer, error) {
		held, err := client.ReadKV(ctx, s.cfg.KV)
		if err != nil || held.Version == version {
			return nil, err
		}
		var signers []signing.Signer
		if held.Key.IsEmpty() {
			signers, err = s.derive(held.Mnemonic, held.Passphrase)
		} else {
			var key signing.Signer
			if key, err = local.Raw(s.cfg.ID, held.Key); err == nil {
				signers = []signing.Signer{key}
			}
		}
		if err != nil {
			return nil, &signing.PermanentError{Key: client.Ref(), Reason: err.Error(), Err: err}
		}
		version = held.Version
		return signers, nil
	}
}
