package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/slipwayhq/slipway/internal/signing"
)

// EthsignConfig names accounts of the plug-in contract "ethsign".
type EthsignConfig struct {
	// Mount is where the plug-in is mounted. Default: ethereum.
	Mount string `yaml:"mount"`
	// Accounts are the addresses to sign for. Empty means all the plug-in lists,
	// and those that come later.
	Accounts []string `yaml:"accounts"`
}

// Validate reports all problems at once.
func (c EthsignConfig) Validate() error {
	var errs []error
	for _, a := range c.Accounts {
		if !common.IsHexAddress(a) {
			errs = append(errs, fmt.Errorf("ethsign.accounts: %q is no address", a))
		}
	}
	return errors.Join(errs...)
}

// Ethsign returns the accounts. It fails as signing.Signer fails.
func (c *Client) Ethsign(ctx context.Context, cfg EthsignConfig) ([]signing.Signer, error) {
	mount := cfg.mount()
	accounts := cfg.Accounts
	if len(accounts) == 0 {
		var err error
		if accounts, err = c.listAccounts(ctx, mount); err != nil {
			return nil, err
		}
	}
	signers := make([]signing.Signer, 0, len(accounts))
	for _, account := range accounts {
		s := &ethsigner{client: c, address: common.HexToAddress(account)}
		// The plug-in stores addresses in lower case and looks them up as they are.
		s.path = mount + "/accounts/" + strings.ToLower(s.address.Hex())
		s.ref = signing.KeyRef("vault-ethsign:" + s.path)
		if len(cfg.Accounts) > 0 {
			if err := s.lookUp(ctx); err != nil {
				return nil, err
			}
		}
		signers = append(signers, signing.Verified(s))
	}
	return signers, nil
}

func (c *Client) listAccounts(ctx context.Context, mount string) ([]string, error) {
	var accounts []string
	err := c.do(ctx, c.ref, func(ctx context.Context) error {
		answer, err := c.api.Logical().ListWithContext(ctx, mount+"/accounts")
		if err != nil {
			return err
		}
		if answer == nil {
			return nil // none yet
		}
		listed, _ := answer.Data["keys"].([]any)
		for _, entry := range listed {
			text, _ := entry.(string)
			if !common.IsHexAddress(text) {
				return fmt.Errorf("%w: a listed account is no address", errMalformed)
			}
			accounts = append(accounts, text)
		}
		slices.Sort(accounts)
		return nil
	})
	return accounts, err
}

// ethsigner is one account of the plug-in.
type ethsigner struct {
	client  *Client
	path    string
	address common.Address
	ref     signing.KeyRef
}

// lookUp checks that the plug-in has the account.
func (s *ethsigner) lookUp(ctx context.Context) error {
	return s.client.do(ctx, s.ref, func(ctx context.Context) error {
		answer, err := s.client.api.Logical().ReadWithContext(ctx, s.path)
		if err != nil {
			return err
		}
		if answer == nil {
			return errAbsent
		}
		if text, _ := answer.Data["address"].(string); !common.IsHexAddress(text) || common.HexToAddress(text) != s.address {
			return fmt.Errorf("%w: the account has another address", errMalformed)
		}
		return nil
	})
}

func (s *ethsigner) Address() common.Address { return s.address }

func (s *ethsigner) Ref() signing.KeyRef { return s.ref }

// Sign always fails: the plug-in signs no digests, and so neither messages nor
// typed data.
func (s *ethsigner) Sign(ctx context.Context, _ [32]byte) (signing.Signature, error) {
	if err := ctx.Err(); err != nil {
		return signing.Signature{}, fmt.Errorf("sign: %w", err)
	}
	return signing.Signature{}, &signing.PermanentError{Key: s.ref, Reason: "the plug-in ethsign signs whole legacy transactions only"}
}

// SignTransaction implements signing.TransactionSigner. The plug-in takes a
// missing chain id for a wish to sign without replay protection, so that what
// comes back is believed only if it signs exactly what was asked.
func (s *ethsigner) SignTransaction(ctx context.Context, tx *types.Transaction, rules types.Signer) (signing.Signature, error) {
	if tx.Type() != types.LegacyTxType {
		return signing.Signature{}, &signing.PermanentError{Key: s.ref, Reason: "the plug-in ethsign signs legacy transactions only (use a gas price, or free gas)"}
	}
	chainID := rules.ChainID()
	if chainID == nil || chainID.Sign() <= 0 {
		return signing.Signature{}, &signing.PermanentError{Key: s.ref, Reason: "a transaction without a chain id is not signed"}
	}
	body := map[string]any{
		"data": hexutil.Encode(tx.Data()), "value": tx.Value().String(), "nonce": hexutil.EncodeUint64(tx.Nonce()),
		"gas": fmt.Sprint(tx.Gas()), "gasPrice": tx.GasPrice().String(), "chainId": chainID.String(),
	}
	if tx.To() != nil {
		body["to"] = strings.ToLower(tx.To().Hex())
	}
	var signature signing.Signature
	err := s.client.do(ctx, s.ref, func(ctx context.Context) error {
		answer, err := s.client.api.Logical().WriteWithContext(ctx, s.path+"/sign", body)
		if err != nil {
			return err
		}
		if answer == nil {
			return errAbsent
		}
		text, _ := answer.Data["signed_transaction"].(string)
		signature, err = s.read(text, tx, rules)
		return err
	})
	return signature, err
}

// read takes the signature out of a signed transaction.
func (s *ethsigner) read(text string, asked *types.Transaction, rules types.Signer) (signing.Signature, error) {
	raw, err := hexutil.Decode(text)
	if err != nil {
		return signing.Signature{}, fmt.Errorf("%w: no signed transaction in hexadecimal", errMalformed)
	}
	var signed types.Transaction
	if err := signed.UnmarshalBinary(raw); err != nil {
		return signing.Signature{}, fmt.Errorf("%w: no signed transaction", errMalformed)
	}
	// The hash that is signed covers every field and the chain id.
	if signed.Type() != asked.Type() || rules.Hash(&signed) != rules.Hash(asked) {
		return signing.Signature{}, fmt.Errorf("%w: another transaction was signed", errMalformed)
	}
	_, r, sValue := signed.RawSignatureValues()
	if r.BitLen() > 256 || sValue.BitLen() > 256 {
		return signing.Signature{}, fmt.Errorf("%w: r or s is out of range", signing.ErrSignature)
	}
	var rs [64]byte
	r.FillBytes(rs[:32])
	sValue.FillBytes(rs[32:])
	return signing.FromRS(rs[:], rules.Hash(asked), s.address)
}
