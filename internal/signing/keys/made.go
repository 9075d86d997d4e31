package keys

import (
	"context"
	"slices"

	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/awskms"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/signing/vault"
)

// Make makes the key of an order in a source and returns where it is. It fails as
// signing.Signer fails, with signing.ErrNoSource, or with signing.UnsupportedError.
func (s *Sources) Make(ctx context.Context, id string, order signing.Order) (place string, err error) {
	one, err := s.named(id)
	if err != nil {
		return "", err
	}
	if err := one.makes(); err != nil {
		return "", err
	}
	return one.make(ctx, order)
}

// Makes returns nil where a source makes keys, or what Make would return.
func (s *Sources) Makes(id string) error {
	one, err := s.named(id)
	if err != nil {
		return err
	}
	return one.makes()
}

func (s *source) makes() error {
	switch {
	case s.make == nil:
		return &signing.UnsupportedError{Reason: "the source " + s.cfg.ID + " is of the kind " + string(s.cfg.Kind) +
			", which makes no keys; vault-kv, vault-ethsign, vault-digest and awskms do, and without a source the signer's mnemonic does"}
	case !s.cfg.Create.Enabled:
		return &signing.UnsupportedError{Reason: "the source " + s.cfg.ID + " makes no keys: set its create.enabled, or make the key in its key service"}
	}
	return nil
}

// OpenMade opens a key that was made in a source, whether it still makes keys or not.
// It fails as Make fails.
func (s *Sources) OpenMade(ctx context.Context, id, place string) (signing.Signer, error) {
	one, err := s.named(id)
	if err != nil {
		return nil, err
	}
	if one.open == nil {
		return nil, signing.ErrNoSource // another one has its name now
	}
	return one.open(ctx, place)
}

// SignsWhole says whether the keys of a source sign whole transactions only; see
// signing.TransactionSigner.
func (s *Sources) SignsWhole(id string) bool {
	one, err := s.named(id)
	return err == nil && one.cfg.Kind == VaultEthsign
}

func (s *Sources) named(id string) (*source, error) {
	i := slices.IndexFunc(s.sources, func(one *source) bool { return one.cfg.ID == id && id != "" })
	if i < 0 {
		return nil, signing.ErrNoSource
	}
	return s.sources[i], nil
}

func (s *source) makeInKMS(kms *awskms.Opener) {
	cfg := s.cfg.AWSKMS
	s.make = func(ctx context.Context, order signing.Order) (string, error) {
		return kms.Create(ctx, cfg, awskms.Creation{Prefix: s.cfg.Create.Prefix, Tags: s.cfg.Create.Tags}, order)
	}
	s.open = func(ctx context.Context, arn string) (signing.Signer, error) {
		cfg := cfg
		cfg.KeyID = arn
		return kms.Open(ctx, cfg)
	}
}

func (s *source) makeInVault(client *vault.Client) {
	cfg, prefix := s.cfg, s.cfg.Create.Prefix
	switch cfg.Kind {
	case VaultKV:
		s.make = func(ctx context.Context, order signing.Order) (string, error) {
			return client.CreateKV(ctx, cfg.KV, prefix, order)
		}
		s.open = func(ctx context.Context, path string) (signing.Signer, error) {
			key, err := client.ReadKey(ctx, cfg.KV, path)
			if err != nil {
				return nil, err
			}
			signer, err := local.Raw(cfg.ID+"/"+path, key)
			if err != nil {
				return nil, &signing.PermanentError{Key: client.Ref(), Reason: err.Error(), Err: err}
			}
			return signer, nil
		}
	case VaultEthsign:
		s.make = func(ctx context.Context, order signing.Order) (string, error) {
			return client.CreateEthsign(ctx, cfg.Ethsign, order)
		}
		s.open = func(ctx context.Context, account string) (signing.Signer, error) {
			return only(client.Ethsign(ctx, vault.EthsignConfig{Mount: cfg.Ethsign.Mount, Accounts: []string{account}}))
		}
	default:
		s.make = func(ctx context.Context, order signing.Order) (string, error) {
			return client.CreateDigest(ctx, cfg.Digest, prefix, order)
		}
		s.open = func(ctx context.Context, id string) (signing.Signer, error) {
			return only(client.Digest(ctx, vault.DigestConfig{Mount: cfg.Digest.Mount, Hex: cfg.Digest.Hex, Keys: []string{id}}))
		}
	}
}

// only is the one signer of a list that was asked for one.
func only(signers []signing.Signer, err error) (signing.Signer, error) {
	if err != nil {
		return nil, err
	}
	return signers[0], nil
}
