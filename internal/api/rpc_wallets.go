package api

import (
	"context"
	"errors"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/wallets"
)

// The user_* methods, with the shapes that TxSigner's clients expect.

// errNoWallets says that the signer has no mnemonic to derive wallets from.
var errNoWallets = errors.New("this signer has no wallets")

type walletJSON struct {
	ID             uuid.UUID `json:"id"`
	Name           string    `json:"name"`
	Address        string    `json:"address"`
	DerivationPath string    `json:"derivationPath"`
}

// createWallet answers user_createWallet(keyVaultId, {name, walletIndex?}).
func (s *server) createWallet(ctx context.Context, params []byte, _ caller) (any, error) {
	if s.wallets == nil {
		return nil, errNoWallets
	}
	var vault string
	var info struct {
		Name        string `json:"name"`
		WalletIndex *int64 `json:"walletIndex"`
	}
	if err := errors.Join(param(params, 0, "keyVaultId", &vault), param(params, 1, "walletInfo", &info)); err != nil {
		return nil, err
	}
	w, err := s.wallets.Create(ctx, tenant(ctx), vault, info.Name, info.WalletIndex)
	if err != nil {
		return nil, err
	}
	return []walletJSON{{ID: w.ID, Name: w.Name, Address: w.Address.Hex(), DerivationPath: w.Path}}, nil
}

type verificationJSON struct {
	ID               uuid.UUID    `json:"id"`
	Name             string       `json:"name"`
	VerificationType wallets.Type `json:"verificationType"`
}

// walletVerifications answers user_walletVerifications(address).
func (s *server) walletVerifications(ctx context.Context, params []byte, _ caller) (any, error) {
	if s.wallets == nil {
		return nil, errNoWallets
	}
	account, err := addressParam(params, 0)
	if err != nil {
		return nil, err
	}
	list, err := s.wallets.Verifications(ctx, tenant(ctx), account)
	if err != nil {
		return nil, err
	}
	out := make([]verificationJSON, len(list))
	for i, v := range list {
		out[i] = verificationJSON{ID: v.ID, Name: v.Name, VerificationType: v.Type}
	}
	return out, nil
}

// createdJSON is a new verification with what its user must be told: an empty
// object where that is nothing.
type createdJSON struct {
	verificationJSON
	Parameters map[string]string `json:"parameters"`
}

// createVerification answers user_createWalletVerification(address, info).
func (s *server) createVerification(ctx context.Context, params []byte, _ caller) (any, error) {
	if s.wallets == nil {
		return nil, errNoWallets
	}
	account, err := addressParam(params, 0)
	if err != nil {
		return nil, err
	}
	var info struct {
		Name             string       `json:"name"`
		VerificationType wallets.Type `json:"verificationType"`
		Pincode          string       `json:"pincode"`
		Algorithm        string       `json:"algorithm"`
		Digits           int          `json:"digits"`
		Period           int64        `json:"period"`
		Issuer           string       `json:"issuer"`
	}
	if err := param(params, 1, "walletVerificationInfo", &info); err != nil {
		return nil, err
	}
	v, parameters, err := s.wallets.AddVerification(ctx, tenant(ctx), account, wallets.NewVerification{
		Name: info.Name, Type: info.VerificationType, Pincode: info.Pincode,
		Algorithm: info.Algorithm, Digits: info.Digits, Period: info.Period, Issuer: info.Issuer,
	})
	if err != nil {
		return nil, err
	}
	return []createdJSON{{verificationJSON{ID: v.ID, Name: v.Name, VerificationType: v.Type}, parameters}}, nil
}

type successJSON struct {
	Success bool `json:"success"`
}

// deleteVerification answers user_deleteWalletVerification(address, id).
func (s *server) deleteVerification(ctx context.Context, params []byte, _ caller) (any, error) {
	if s.wallets == nil {
		return nil, errNoWallets
	}
	account, err := addressParam(params, 0)
	if err != nil {
		return nil, err
	}
	var text string
	if err := param(params, 1, "verificationId", &text); err != nil {
		return nil, err
	}
	id, err := parseID("verificationId", text)
	if err != nil {
		return nil, err
	}
	err = s.wallets.DeleteVerification(ctx, tenant(ctx), account, id)
	if errors.Is(err, wallets.ErrUnknownVerification) {
		return []successJSON{{Success: false}}, nil
	}
	if err != nil {
		return nil, err
	}
	return []successJSON{{Success: true}}, nil
}

// challengeJSON is a challenge. ID and challenge.challengeId are the
// challenge's; challenge.id is the verification's, as older clients expect it.
type challengeJSON struct {
	ID               uuid.UUID    `json:"id"`
	Name             string       `json:"name"`
	VerificationID   uuid.UUID    `json:"verificationId"`
	VerificationType wallets.Type `json:"verificationType"`
	Challenge        struct {
		ID          uuid.UUID `json:"id"`
		ChallengeID uuid.UUID `json:"challengeId"`
		Salt        string    `json:"salt,omitempty"`
		Secret      string    `json:"secret,omitempty"`
	} `json:"challenge"`
}

func challengeToJSON(c wallets.Challenge) challengeJSON {
	out := challengeJSON{ID: c.ID, Name: c.Verification.Name, VerificationID: c.Verification.ID, VerificationType: c.Verification.Type}
	out.Challenge.ID, out.Challenge.ChallengeID = c.Verification.ID, c.ID
	out.Challenge.Salt, out.Challenge.Secret = c.Salt, c.Secret
	return out
}

// createChallenge answers user_createWalletVerificationChallenge with one
// object: of the seven methods it is the only one whose result is no array.
func (s *server) createChallenge(ctx context.Context, params []byte, _ caller) (any, error) {
	if s.wallets == nil {
		return nil, errNoWallets
	}
	target, _, err := targetParam(ctx, params)
	if err != nil {
		return nil, err
	}
	if target.Verification == uuid.Nil {
		return nil, invalid("verificationId: is missing")
	}
	list, err := s.wallets.Challenges(ctx, target, 1)
	if err != nil {
		return nil, err
	}
	return challengeToJSON(list[0]), nil
}

// createChallenges answers user_createWalletVerificationChallenges with amount
// challenges for each verification of a wallet, or for one of them.
func (s *server) createChallenges(ctx context.Context, params []byte, _ caller) (any, error) {
	if s.wallets == nil {
		return nil, errNoWallets
	}
	target, amount, err := targetParam(ctx, params)
	if err != nil {
		return nil, err
	}
	list, err := s.wallets.Challenges(ctx, target, amount)
	if err != nil {
		return nil, err
	}
	out := make([]challengeJSON, len(list))
	for i, c := range list {
		out[i] = challengeToJSON(c)
	}
	return out, nil
}

type verifiedJSON struct {
	Verified bool `json:"verified"`
}

// verifyChallenge answers user_verifyWalletVerificationChallenge(address or
// object, response). A lock is an error, so that it is not taken for a mistake
// in typing.
func (s *server) verifyChallenge(ctx context.Context, params []byte, _ caller) (any, error) {
	if s.wallets == nil {
		return nil, errNoWallets
	}
	target, _, err := targetParam(ctx, params)
	if err != nil {
		return nil, err
	}
	var response string
	if err := param(params, 1, "challengeResponse", &response); err != nil {
		return nil, err
	}
	err = s.wallets.Verify(ctx, target, response)
	if errors.Is(err, wallets.ErrUnverified) {
		return []verifiedJSON{{Verified: false}}, nil
	}
	if err != nil {
		return nil, err
	}
	return []verifiedJSON{{Verified: true}}, nil
}

// targetParam reads the first parameter of the challenge methods: an address,
// or an object that names a wallet, a verification, a challenge.
func targetParam(ctx context.Context, params []byte) (wallets.Target, int, error) {
	if !isObject(jsonrpc.Element(params, 0)) {
		account, err := addressParam(params, 0)
		return wallets.Target{Tenant: tenant(ctx), Address: &account}, 1, err
	}
	var object struct {
		UserWalletAddress string `json:"userWalletAddress"`
		VerificationID    string `json:"verificationId"`
		ChallengeID       string `json:"challengeId"`
		Amount            *int   `json:"amount"`
	}
	if err := param(params, 0, "addressOrObject", &object); err != nil {
		return wallets.Target{}, 0, err
	}
	target := wallets.Target{Tenant: tenant(ctx)}
	var account common.Address
	var err error
	if object.UserWalletAddress != "" {
		if account, err = address("userWalletAddress", object.UserWalletAddress); err != nil {
			return target, 0, err
		}
		target.Address = &account
	}
	if target.Verification, err = parseID("verificationId", object.VerificationID); err != nil {
		return target, 0, err
	}
	if target.Challenge, err = parseID("challengeId", object.ChallengeID); err != nil {
		return target, 0, err
	}
	if target.Address == nil && target.Challenge == uuid.Nil {
		return target, 0, invalid("userWalletAddress: is missing")
	}
	amount := 1
	if object.Amount != nil {
		amount = *object.Amount
	}
	return target, amount, nil
}

// parseID reads an id; "" is uuid.Nil.
func parseID(field, text string) (uuid.UUID, error) {
	if text == "" {
		return uuid.Nil, nil
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, invalid(field + ": must be a UUID")
	}
	return id, nil
}
