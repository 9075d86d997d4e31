package api

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/schema"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/wallets"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, pgtest.Template(schema.Migrate))) }

// serveWallets makes a signer whose accounts 0 and 1 are its own. Its queue
// accepts for alice only.
func serveWallets(t *testing.T) *fixture {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), pgtest.DSN(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `insert into chains (chain_id) values (31337)`)
	require.NoError(t, err)
	hd, err := local.NewHD(secret.New("test test test test test test test test test test test junk"), secret.String{})
	require.NoError(t, err)
	users, err := wallets.New(wallets.Default(), wallets.Deps{Store: wallets.NewStore(pool, 31337), HD: hd, Path: accounts.DefaultBaseDerivationPath, Reserved: 2})
	require.NoError(t, err)
	f := serveWith(t, func(d *Deps, _ *Config) {
		d.Wallets, d.Keys = users, signing.Chain{signing.NewKeyring(), users}
	})
	f.queue.isProtected = users.IsProtected
	return f
}

// call makes a call that must succeed and reads its result.
func (f *fixture) call(t *testing.T, into any, method string, params []string, header ...string) {
	t.Helper()
	_, _, answer := f.do(t, "POST", "/", rpc(method, params...), header...)
	var got struct {
		Result json.RawMessage
		Error  *jsonrpc.Error
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &got), answer)
	require.Nil(t, got.Error, answer)
	require.NoError(t, json.Unmarshal(got.Result, into), answer)
}

// fails makes a call that must fail.
func (f *fixture) fails(t *testing.T, method string, params []string, header ...string) *jsonrpc.Error {
	t.Helper()
	_, _, answer := f.do(t, "POST", "/", rpc(method, params...), header...)
	var got struct{ Error *jsonrpc.Error }
	require.NoError(t, json.Unmarshal([]byte(answer), &got), answer)
	require.NotNil(t, got.Error, answer)
	return got.Error
}

func (f *fixture) wallet(t *testing.T) string {
	t.Helper()
	var out []struct{ Address string }
	f.call(t, &out, "user_createWallet", []string{`"atk-hd-private-key"`, `{"name":"user"}`})
	return out[0].Address
}

type challengeAnswer struct {
	ID, Name, VerificationID, VerificationType string
	Challenge                                  struct{ ID, ChallengeID, Salt, Secret string }
}

// answerTo is what the SDK computes for a PIN.
func answerTo(c challengeAnswer, pin string) string {
	h := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	return h(h(c.Challenge.Salt+pin) + "_" + c.Challenge.Secret)
}

func TestRPC_ShapesOfTheWalletMethods(t *testing.T) {
	t.Parallel()
	f := serveWallets(t)

	var list []map[string]any
	f.call(t, &list, "user_createWallet", []string{`"atk-hd-private-key"`, `{"name":"Alice"}`})
	require.Len(t, list, 1)
	require.Len(t, list[0], 4)
	require.NotEmpty(t, list[0]["id"])
	require.Equal(t, "Alice", list[0]["name"])
	require.Equal(t, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", list[0]["address"])
	require.Equal(t, "m/44'/60'/0'/0/2", list[0]["derivationPath"])
	address := quoted(list[0]["address"].(string)) //nolint:forcetypeassert // a test may panic
	f.call(t, &list, "user_createWallet", []string{`"v"`, `{"name":"Bob","walletIndex":9}`})
	require.Equal(t, "m/44'/60'/0'/0/9", list[0]["derivationPath"])
	var known []string
	f.call(t, &known, "eth_accounts", nil)
	require.Equal(t, []string{alice, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"}, known)

	f.call(t, &list, "user_walletVerifications", []string{address})
	require.Empty(t, list)
	f.call(t, &list, "user_createWalletVerification", []string{address, `{"name":"pin","verificationType":"PINCODE","pincode":"123456"}`})
	require.Equal(t, []map[string]any{{"id": list[0]["id"], "name": "pin", "verificationType": "PINCODE", "parameters": map[string]any{}}}, list)
	pin := list[0]["id"].(string) //nolint:forcetypeassert // a test may panic
	f.call(t, &list, "user_createWalletVerification", []string{address, `{"name":"app","verificationType":"OTP","algorithm":"SHA256","digits":8,"period":60,"issuer":"Bank"}`})
	require.Contains(t, list[0]["parameters"], "uri")
	f.call(t, &list, "user_createWalletVerification", []string{address, `{"name":"paper","verificationType":"SECRET_CODES"}`})
	require.Contains(t, list[0]["parameters"], "secretCodes")
	list = nil // a map that is read into keeps its other keys
	f.call(t, &list, "user_walletVerifications", []string{address})
	require.Len(t, list, 3)
	require.Equal(t, map[string]any{"id": pin, "name": "pin", "verificationType": "PINCODE"}, list[0])

	target := func(extra string) string {
		return `{"userWalletAddress":` + address + `,"verificationId":"` + pin + `"` + extra + `}`
	}
	var one challengeAnswer
	f.call(t, &one, "user_createWalletVerificationChallenge", []string{target("")})
	require.Equal(t, []string{"pin", pin, "PINCODE", pin, one.ID}, []string{one.Name, one.VerificationID, one.VerificationType, one.Challenge.ID, one.Challenge.ChallengeID})
	require.NotEmpty(t, one.Challenge.Salt)
	require.NotEmpty(t, one.Challenge.Secret)
	var many []challengeAnswer
	f.call(t, &many, "user_createWalletVerificationChallenges", []string{target(`,"amount":3`)})
	require.Len(t, many, 3)
	f.call(t, &many, "user_createWalletVerificationChallenges", []string{address})
	require.Len(t, many, 3, "one for each verification")

	var verified []map[string]any
	verify := func(target, response string) []map[string]any {
		f.call(t, &verified, "user_verifyWalletVerificationChallenge", []string{target, quoted(response)})
		return verified
	}
	yes, no := []map[string]any{{"verified": true}}, []map[string]any{{"verified": false}}
	require.Equal(t, no, verify(`{"challengeId":"`+one.ID+`"}`, answerTo(one, "654321")))
	require.Equal(t, yes, verify(`{"challengeId":"`+one.ID+`"}`, answerTo(one, "123456")))
	require.Equal(t, no, verify(`{"challengeId":"`+one.ID+`"}`, answerTo(one, "123456")), "once")
	f.call(t, &one, "user_createWalletVerificationChallenge", []string{target("")})
	require.Equal(t, yes, verify(address, answerTo(one, "123456")))
	f.call(t, &one, "user_createWalletVerificationChallenge", []string{target("")})
	require.Equal(t, yes, verify(target(""), answerTo(one, "123456")))

	list = nil
	f.call(t, &list, "user_deleteWalletVerification", []string{address, quoted(pin)})
	require.Equal(t, []map[string]any{{"success": true}}, list)
	list = nil
	f.call(t, &list, "user_deleteWalletVerification", []string{address, quoted(pin)})
	require.Equal(t, []map[string]any{{"success": false}}, list)
}

func TestRPC_WrongShapesOfTheWalletMethods(t *testing.T) {
	t.Parallel()
	f := serveWallets(t)
	wallet := quoted(f.wallet(t))
	nobody := quoted("0x1000000000000000000000000000000000000001")
	none := quoted(uuid.NewString())

	const create, verifications, add, remove = "user_createWallet", "user_walletVerifications", "user_createWalletVerification", "user_deleteWalletVerification"
	const ask, askMany, verify = "user_createWalletVerificationChallenge", "user_createWalletVerificationChallenges", "user_verifyWalletVerificationChallenge"
	cases := map[string]struct {
		method  string
		params  []string
		code    jsonrpc.Code
		message string
	}{
		"no vault":                  {create, nil, jsonrpc.CodeInvalidParams, "keyVaultId"},
		"empty vault":               {create, []string{`""`, `{"name":"n"}`}, jsonrpc.CodeInvalidParams, "keyVaultId"},
		"vault of another type":     {create, []string{`7`, `{"name":"n"}`}, jsonrpc.CodeInvalidParams, "keyVaultId"},
		"no info":                   {create, []string{`"v"`}, jsonrpc.CodeInvalidParams, "walletInfo"},
		"no name":                   {create, []string{`"v"`, `{}`}, jsonrpc.CodeInvalidParams, "name"},
		"an index of the signer":    {create, []string{`"v"`, `{"name":"n","walletIndex":1}`}, jsonrpc.CodeInvalidParams, "walletIndex"},
		"a negative index":          {create, []string{`"v"`, `{"name":"n","walletIndex":-1}`}, jsonrpc.CodeInvalidParams, "walletIndex"},
		"half an index":             {create, []string{`"v"`, `{"name":"n","walletIndex":2.5}`}, jsonrpc.CodeInvalidParams, "walletIndex"},
		"a taken index":             {create, []string{`"v"`, `{"name":"n","walletIndex":2}`}, jsonrpc.CodeServer, "taken"},
		"list: no address":          {verifications, nil, jsonrpc.CodeInvalidParams, "address"},
		"list: malformed":           {verifications, []string{`"0x12"`}, jsonrpc.CodeInvalidParams, "address"},
		"list: no wallet":           {verifications, []string{nobody}, jsonrpc.CodeResourceNotFound, "no wallet"},
		"add: no info":              {add, []string{wallet}, jsonrpc.CodeInvalidParams, "argument 1"},
		"add: unknown type":         {add, []string{wallet, `{"name":"n","verificationType":"FACE"}`}, jsonrpc.CodeInvalidParams, "verificationType"},
		"add: PIN as a number":      {add, []string{wallet, `{"name":"n","verificationType":"PINCODE","pincode":123456}`}, jsonrpc.CodeInvalidParams, "pincode"},
		"add: unknown algorithm":    {add, []string{wallet, `{"name":"n","verificationType":"OTP","algorithm":"MD5"}`}, jsonrpc.CodeInvalidParams, "algorithm"},
		"add: no wallet":            {add, []string{nobody, `{"name":"n","verificationType":"OTP"}`}, jsonrpc.CodeResourceNotFound, "no wallet"},
		"delete: no id":             {remove, []string{wallet}, jsonrpc.CodeInvalidParams, "verificationId"},
		"delete: no UUID":           {remove, []string{wallet, `"x"`}, jsonrpc.CodeInvalidParams, "UUID"},
		"delete: no wallet":         {remove, []string{nobody, none}, jsonrpc.CodeResourceNotFound, "no wallet"},
		"ask: no verification":      {ask, []string{`{"userWalletAddress":` + wallet + `}`}, jsonrpc.CodeInvalidParams, "verificationId"},
		"ask: unknown verification": {ask, []string{`{"userWalletAddress":` + wallet + `,"verificationId":` + none + `}`}, jsonrpc.CodeResourceNotFound, "no such verification"},
		"ask: no wallet":            {ask, []string{`{"userWalletAddress":` + nobody + `,"verificationId":` + none + `}`}, jsonrpc.CodeResourceNotFound, "no wallet"},
		"ask: by challenge only":    {ask, []string{`{"challengeId":` + none + `,"verificationId":` + none + `}`}, jsonrpc.CodeInvalidParams, "userWalletAddress"},
		"ask: too many":             {askMany, []string{`{"userWalletAddress":` + wallet + `,"amount":11}`}, jsonrpc.CodeInvalidParams, "amount"},
		"ask: none":                 {askMany, []string{`{"userWalletAddress":` + wallet + `,"amount":0}`}, jsonrpc.CodeInvalidParams, "amount"},
		"verify: no response":       {verify, []string{wallet}, jsonrpc.CodeInvalidParams, "challengeResponse"},
		"verify: nobody":            {verify, []string{`{}`, `"x"`}, jsonrpc.CodeInvalidParams, "userWalletAddress"},
		"verify: no UUID":           {verify, []string{`{"challengeId":"x"}`, `"x"`}, jsonrpc.CodeInvalidParams, "UUID"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := f.fails(t, c.method, c.params)
			require.Equal(t, c.code, got.Code, got.Message)
			require.Contains(t, got.Message, c.message)
			require.NotContains(t, got.Message, "123456")
		})
	}

	without := serve(t)
	for _, method := range []string{create, verifications, add, remove, ask, askMany, verify} {
		require.Equal(t, jsonrpc.CodeNotSupported, without.fails(t, method, nil).Code, method)
	}
}

// Once a wallet has a verification, no way to a signature goes past it.
func TestRPC_AProtectedWalletSignsForItsUserOnly(t *testing.T) {
	t.Parallel()
	f := serveWallets(t)
	text := f.wallet(t)
	wallet := quoted(text)
	f.queue.sender = common.HexToAddress(text)
	tx := `"from":` + wallet + `,"to":"` + bob + `"`
	complete := tx + `,"gas":"0x5208","nonce":"0x0","gasPrice":"0x0"`
	ways := map[string][]string{
		"eth_sendTransaction":  {"{" + tx + "}"},
		"eth_signTransaction":  {"{" + complete + "}"},
		"eth_sign":             {wallet, quoted(someData)},
		"personal_sign":        {quoted(someData), wallet},
		"eth_signTypedData_v4": {wallet, oneUint("uint8", "1")},
	}
	var result string
	for method, params := range ways {
		f.call(t, &result, method, params)
	}
	var made []struct{ ID string }
	f.call(t, &made, "user_createWalletVerification", []string{wallet, `{"name":"pin","verificationType":"PINCODE","pincode":"123456"}`})
	ask := func() challengeAnswer {
		var c challengeAnswer
		f.call(t, &c, "user_createWalletVerificationChallenge", []string{`{"userWalletAddress":` + wallet + `,"verificationId":"` + made[0].ID + `"}`})
		return c
	}
	accepted := len(f.queue.list)

	for method, params := range ways {
		got := f.fails(t, method, params)
		require.Equal(t, jsonrpc.CodeUnauthorized, got.Code, method)
		require.Contains(t, got.Message, "x-auth-challenge-response", method)
		c := ask()
		right := []string{"x-auth-challenge-id", c.ID, "x-auth-challenge-response", answerTo(c, "123456")}
		got = f.fails(t, method, params, "x-auth-challenge-response", answerTo(c, "123456"))
		require.Equal(t, jsonrpc.CodeUnauthorized, got.Code, "%s without an id", method)
		got = f.fails(t, method, params, "x-auth-challenge-id", "x", "x-auth-challenge-response", "y")
		require.Contains(t, got.Message, "UUID", method)
		got = f.fails(t, method, params, "x-auth-challenge-id", c.ID, "x-auth-challenge-response", answerTo(c, "654321"))
		require.Equal(t, jsonrpc.CodeUnauthorized, got.Code, "%s with a wrong PIN", method)
		f.call(t, &result, method, params, right...)
		got = f.fails(t, method, params, right...)
		require.Equal(t, jsonrpc.CodeUnauthorized, got.Code, "%s: a response works once", method)
		c = ask()
		f.call(t, &result, method, params, "x-auth-verification-id", made[0].ID, "x-auth-challenge-response", answerTo(c, "123456"))
	}
	require.Len(t, f.queue.list, accepted+2)

	// The same as fields of the transaction.
	c := ask()
	f.call(t, &result, "eth_sendTransaction", []string{"{" + tx + `,"challengeId":"` + c.ID + `","challengeResponse":"` + answerTo(c, "123456") + `"}`})
	c = ask()
	f.call(t, &result, "eth_sendTransaction", []string{"{" + tx + `,"verificationId":"` + made[0].ID + `","challengeResponse":"` + answerTo(c, "123456") + `"}`})

	// REST is no way around.
	status, _, answer := f.do(t, "POST", "/v1/transactions", "{"+tx+"}")
	require.Equal(t, 403, status, answer)
	require.Contains(t, answer, "verification_required")
	c = ask()
	status, _, answer = f.do(t, "POST", "/v1/transactions", "{"+tx+"}", "x-auth-challenge-id", c.ID, "x-auth-challenge-response", answerTo(c, "123456"))
	require.Equal(t, 202, status, answer)

	// What is wrong with a call is said before a response is used up.
	c = ask()
	right := []string{"x-auth-challenge-id", c.ID, "x-auth-challenge-response", answerTo(c, "123456")}
	require.Equal(t, jsonrpc.CodeInvalidParams, f.fails(t, "eth_sendTransaction", []string{"{" + tx + `,"value":"x"}`}, right...).Code)
	f.call(t, &result, "eth_sendTransaction", []string{"{" + tx + "}"}, right...)

	// Too many wrong responses lock, and it is said so.
	for range 5 {
		wrong := f.fails(t, "eth_sign", ways["eth_sign"], "x-auth-verification-id", made[0].ID, "x-auth-challenge-response", "wrong")
		require.Equal(t, jsonrpc.CodeUnauthorized, wrong.Code)
	}
	c = ask()
	locked := f.fails(t, "eth_sign", ways["eth_sign"], "x-auth-challenge-id", c.ID, "x-auth-challenge-response", answerTo(c, "123456"))
	require.Equal(t, jsonrpc.CodeUnauthorized, locked.Code)
	require.Contains(t, locked.Message, "locked until")
	require.Contains(t, f.fails(t, "user_verifyWalletVerificationChallenge", []string{wallet, `"x"`}).Message, "locked until")
}

func TestRPC_OTPAndSecretCodesNeedNoChallenge(t *testing.T) {
	t.Parallel()
	f := serveWallets(t)
	wallet := quoted(f.wallet(t))
	var made []struct {
		ID         string
		Parameters map[string]string
	}
	f.call(t, &made, "user_createWalletVerification", []string{wallet, `{"name":"paper","verificationType":"SECRET_CODES"}`})
	code := strings.Split(made[0].Parameters["secretCodes"], ",")[0]
	sign := []string{wallet, quoted(someData)}
	var result string
	f.call(t, &result, "eth_sign", sign, "x-auth-verification-id", made[0].ID, "x-auth-challenge-response", code)
	again := f.fails(t, "eth_sign", sign, "x-auth-verification-id", made[0].ID, "x-auth-challenge-response", code)
	require.Equal(t, jsonrpc.CodeUnauthorized, again.Code)

	f.call(t, &made, "user_createWalletVerification", []string{wallet, `{"name":"app","verificationType":"OTP","digits":6}`})
	u, err := url.Parse(made[0].Parameters["uri"])
	require.NoError(t, err)
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
	require.NoError(t, err)
	require.Len(t, key, 20)
	require.Equal(t, fmt.Sprint(6), u.Query().Get("digits"))
	wrong := f.fails(t, "eth_sign", sign, "x-auth-verification-id", made[0].ID, "x-auth-challenge-response", "no code")
	require.Equal(t, jsonrpc.CodeUnauthorized, wrong.Code)
}
