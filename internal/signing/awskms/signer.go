// Package awskms signs with keys in AWS KMS (ECC_SECG_P256K1). A key never
// leaves KMS; a digest goes there and a signature in DER comes back.
package awskms

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/signing"
)

// Opener opens keys. Keys of one account and region share a client, because
// they share a quota: what one learns of it holds for the others.
type Opener struct {
	mu      sync.Mutex // guards clients
	clients map[Config]*kms.Client
}

// Open looks a key up in KMS. It fails as signing.Signer fails.
func (o *Opener) Open(ctx context.Context, cfg Config) (signing.Signer, error) {
	ref := signing.KeyRef("awskms:" + cfg.KeyID)
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	loading, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	client, err := o.client(loading, cfg)
	if err != nil {
		return nil, classify(ctx, ref, cfg.Timeout, err)
	}
	s := &signer{client: client, ref: ref, timeout: cfg.Timeout}
	if err := s.lookUp(ctx, cfg.KeyID); err != nil {
		return nil, err
	}
	return signing.Verified(s), nil
}

func (o *Opener) client(ctx context.Context, cfg Config) (*kms.Client, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c, ok := o.clients[cfg.account()]; ok {
		return c, nil
	}
	c, err := newClient(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if o.clients == nil {
		o.clients = map[Config]*kms.Client{}
	}
	o.clients[cfg.account()] = c
	return c, nil
}

// signer is one key. Its public key is asked for once: KMS never changes it.
type signer struct {
	client  *kms.Client
	ref     signing.KeyRef
	arn     string // of the key itself, also where an alias is configured
	address common.Address
	timeout time.Duration
}

// lookUp fills arn and address.
func (s *signer) lookUp(ctx context.Context, keyID string) error {
	call, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	description, err := s.client.DescribeKey(call, &kms.DescribeKeyInput{KeyId: aws.String(keyID)})
	if err != nil {
		return classify(ctx, s.ref, s.timeout, err)
	}
	if reason := unfit(description.KeyMetadata); reason != "" {
		return &signing.PermanentError{Key: s.ref, Reason: reason}
	}
	public, err := s.client.GetPublicKey(call, &kms.GetPublicKeyInput{KeyId: description.KeyMetadata.Arn})
	if err != nil {
		return classify(ctx, s.ref, s.timeout, err)
	}
	key, err := signing.ParsePublicKey(public.PublicKey)
	if err != nil {
		return &signing.PermanentError{Key: s.ref, Reason: err.Error(), Err: err}
	}
	s.arn, s.address = aws.ToString(description.KeyMetadata.Arn), crypto.PubkeyToAddress(*key)
	return nil
}

// unfit says what keeps a key from signing for an account, or nothing.
func unfit(m *types.KeyMetadata) string {
	switch {
	case m == nil || aws.ToString(m.Arn) == "":
		return "KMS does not describe the key"
	case m.KeySpec != types.KeySpecEccSecgP256k1:
		return "the key's spec is not ECC_SECG_P256K1"
	case m.KeyUsage != types.KeyUsageTypeSignVerify:
		return "the key's usage is not SIGN_VERIFY"
	case m.KeyState != types.KeyStateEnabled:
		return "the key is not enabled (disabled, or its deletion is pending)"
	}
	return ""
}

func (s *signer) Address() common.Address { return s.address }

func (s *signer) Ref() signing.KeyRef { return s.ref }

// Sign is not deterministic: a digest signed twice has two signatures. With
// MessageType DIGEST the digest is signed as it stands, whatever the name of the
// algorithm says of SHA-256.
func (s *signer) Sign(ctx context.Context, digest [32]byte) (signing.Signature, error) {
	call, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	out, err := s.client.Sign(call, &kms.SignInput{
		KeyId: aws.String(s.arn), Message: digest[:],
		MessageType: types.MessageTypeDigest, SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256,
	})
	if err != nil {
		return signing.Signature{}, classify(ctx, s.ref, s.timeout, err)
	}
	sig, err := signing.FromDER(out.Signature, digest, s.address)
	if err != nil {
		return signing.Signature{}, &signing.PermanentError{Key: s.ref, Reason: "KMS returned a " + err.Error(), Err: err}
	}
	return sig, nil
}
