package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/signing"
)

// DigestConfig names keys of a plug-in that signs a digest:
//
//	GET  MOUNT/keys/ID        data.public_key: the uncompressed point, 65 bytes
//	POST MOUNT/keys/ID/sign   {"data": the 32-byte digest}; data.signature: r and s, 64 bytes, or 65 with a recovery id
//	POST MOUNT/keys           {"id", "curve": "secp256k1", "signing_algorithm": "ecdsa"}: makes a key; only where keys are made
//
// Bytes are base64 in the URL alphabet. It is the contract of the keys that
// Consensys' plug-in for Quorum keeps, on secp256k1 with ECDSA.
type DigestConfig struct {
	// Mount is where the plug-in is mounted. Default: quorum.
	Mount string `yaml:"mount"`
	// Keys are the ids of the keys.
	Keys []string `yaml:"keys"`
	// Hex says that the plug-in takes and gives bytes in hexadecimal with 0x
	// instead of base64.
	Hex bool `yaml:"hex"`
}

// Validate reports all problems at once.
func (c DigestConfig) Validate() error {
	if len(c.Keys) == 0 {
		return errors.New("digest.keys: is missing")
	}
	for _, id := range c.Keys {
		if id == "" || strings.ContainsAny(id, "/?#% ") {
			return fmt.Errorf("digest.keys: %q is no key id", id)
		}
	}
	return nil
}

// Digest returns the keys. It fails as signing.Signer fails.
func (c *Client) Digest(ctx context.Context, cfg DigestConfig) ([]signing.Signer, error) {
	signers := make([]signing.Signer, 0, len(cfg.Keys))
	for _, id := range cfg.Keys {
		s := &digestSigner{client: c, path: cfg.mount() + "/keys/" + id, isHex: cfg.Hex}
		s.ref = signing.KeyRef("vault-digest:" + s.path)
		if err := s.lookUp(ctx); err != nil {
			return nil, err
		}
		signers = append(signers, signing.Verified(s))
	}
	return signers, nil
}

// digestSigner is one key of the plug-in.
type digestSigner struct {
	client  *Client
	path    string
	isHex   bool
	address common.Address
	ref     signing.KeyRef
}

// lookUp fills address.
func (s *digestSigner) lookUp(ctx context.Context) error {
	return s.client.do(ctx, s.ref, func(ctx context.Context) error {
		answer, err := s.client.api.Logical().ReadWithContext(ctx, s.path)
		if err != nil {
			return err
		}
		if answer == nil {
			return errAbsent
		}
		text, ok := answer.Data["public_key"].(string)
		if !ok {
			text, _ = answer.Data["publicKey"].(string) // older releases
		}
		point, err := decode(text)
		if err != nil {
			return fmt.Errorf("%w: no public key", errMalformed)
		}
		key, err := crypto.UnmarshalPubkey(point)
		if err != nil {
			return fmt.Errorf("%w: the public key is no uncompressed point on secp256k1", errMalformed)
		}
		s.address = crypto.PubkeyToAddress(*key)
		return nil
	})
}

func (s *digestSigner) Address() common.Address { return s.address }

func (s *digestSigner) Ref() signing.KeyRef { return s.ref }

func (s *digestSigner) Sign(ctx context.Context, digest [32]byte) (signing.Signature, error) {
	data := base64.URLEncoding.EncodeToString(digest[:])
	if s.isHex {
		data = hexutil.Encode(digest[:])
	}
	var signature signing.Signature
	err := s.client.do(ctx, s.ref, func(ctx context.Context) error {
		answer, err := s.client.api.Logical().WriteWithContext(ctx, s.path+"/sign", map[string]any{"data": data})
		if err != nil {
			return err
		}
		if answer == nil {
			return errAbsent
		}
		text, _ := answer.Data["signature"].(string)
		rs, err := decode(text)
		if err != nil {
			return fmt.Errorf("%w: no signature", errMalformed)
		}
		if len(rs) == 65 {
			rs = rs[:64] // the recovery id is found anew
		}
		signature, err = signing.FromRS(rs, digest, s.address)
		return err
	})
	return signature, err
}

// decode reads hexadecimal with 0x, or base64 of either alphabet, padded or not.
func decode(text string) ([]byte, error) {
	if strings.HasPrefix(text, "0x") {
		return hexutil.Decode(text)
	}
	plain := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	return base64.RawURLEncoding.DecodeString(plain)
}
