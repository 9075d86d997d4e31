package api

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/signing"
)

// keySigner signs with a key of a test.
type keySigner struct{ key *ecdsa.PrivateKey }

func signerOf(t *testing.T, hexKey string) keySigner {
	t.Helper()
	key, err := crypto.HexToECDSA(hexKey)
	require.NoError(t, err)
	return keySigner{key}
}

func (s keySigner) Address() common.Address { return crypto.PubkeyToAddress(s.key.PublicKey) }

func (keySigner) Ref() signing.KeyRef { return "test:" }

func (s keySigner) Sign(_ context.Context, digest [32]byte) (signing.Signature, error) {
	sig, err := crypto.Sign(digest[:], s.key)
	return signing.Signature(sig), err
}

const (
	// The example of web3.js.
	webKey     = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
	webAccount = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
	someData   = "0x536f6d652064617461"
	webSigned  = "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c"
	// The key of EIP-712's example is keccak256("cow").
	cowKey     = "c85ef7d79691fe79573b1a7064c19c1a9819ebdbd1faaab1a8ec92344438aaf4"
	cowAccount = "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"
	cowDigest  = "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
	cowSigned  = "0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c"
	// The example of EIP-712.
	mail = `{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],
		"Person":[{"name":"name","type":"string"},{"name":"wallet","type":"address"}],
		"Mail":[{"name":"from","type":"Person"},{"name":"to","type":"Person"},{"name":"contents","type":"string"}]},
		"primaryType":"Mail","domain":{"name":"Ether Mail","version":"1","chainId":1,"verifyingContract":"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},
		"message":{"from":{"name":"Cow","wallet":"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},"to":{"name":"Bob","wallet":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},"contents":"Hello, Bob!"}}`
)

// oneUint is a document with one number.
func oneUint(kind, number string) string {
	return `{"types":{"EIP712Domain":[{"name":"name","type":"string"}],"A":[{"name":"n","type":"` + kind + `"}]},"primaryType":"A","domain":{"name":"x"},"message":{"n":` + number + `}}`
}

func TestTypedDataHash(t *testing.T) {
	t.Parallel()

	digest, _, err := typedDataHash([]byte(mail), 1)
	require.NoError(t, err)
	require.Equal(t, cowDigest, hex.EncodeToString(digest))

	// A number above 2^53 is itself and not its neighbour.
	exactly, _, err := typedDataHash([]byte(oneUint("uint256", "9007199254740993")), 1)
	require.NoError(t, err)
	asText, _, err := typedDataHash([]byte(oneUint("uint256", `"9007199254740993"`)), 1)
	require.NoError(t, err)
	require.Equal(t, asText, exactly)

	for name, c := range map[string]struct{ document, want string }{
		"another chain":       {strings.Replace(mail, `"chainId":1`, `"chainId":2`, 1), "domain.chainId does not match the chain (have=2, want=1)"},
		"another chain, hex":  {strings.Replace(mail, `"chainId":1`, `"chainId":"0x2"`, 1), "domain.chainId"},
		"empty chain":         {strings.Replace(mail, `"chainId":1`, `"chainId":""`, 1), "domain.chainId"},
		"not JSON":            {`{`, "not valid JSON"},
		"nothing":             {``, "not valid JSON"},
		"empty object":        {`{}`, "needs types"},
		"text after it":       {mail + "x", "text after"},
		"no message":          {strings.Replace(mail, `"message"`, `"massage"`, 1), "needs types"},
		"unknown type":        {strings.Replace(mail, `"primaryType":"Mail"`, `"primaryType":"Fax"`, 1), "typed data"},
		"extra field":         {strings.Replace(mail, `"contents":"H`, `"more":1,"contents":"H`, 1), "typed data"},
		"missing field":       {strings.Replace(mail, `,"contents":"Hello, Bob!"`, ``, 1), "typed data"},
		"number for a text":   {strings.Replace(mail, `"Hello, Bob!"`, `7`, 1), "typed data"},
		"chain id undeclared": {strings.Replace(mail, `,{"name":"chainId","type":"uint256"}`, ``, 1), "typed data"},
		"fraction":            {oneUint("uint256", "1.5"), "typed data"},
		"over the size":       {oneUint("uint8", "256"), "typed data"},
		"negative":            {oneUint("uint8", "-1"), "typed data"},
		"null":                {oneUint("uint8", "null"), "typed data"},
		"strange type":        {oneUint("uint8[", "[1]"), "typed data"},
	} {
		_, _, err := typedDataHash([]byte(c.document), 1)
		var bad *invalidError
		require.ErrorAs(t, err, &bad, name)
		require.Contains(t, bad.detail, c.want, name)
	}
}

// Whatever comes, the answer is a digest or an error for the client.
func FuzzTypedDataHash(f *testing.F) {
	f.Add([]byte(mail))
	f.Add([]byte(oneUint("uint8[2][]", "[[1,2]]")))
	f.Add([]byte(oneUint("bytes32", `"0x00"`)))
	f.Fuzz(func(t *testing.T, document []byte) {
		digest, _, err := typedDataHash(document, 1)
		var bad *invalidError
		if err == nil {
			require.Len(t, digest, 32)
			return
		}
		require.ErrorAs(t, err, &bad)
	})
}

func rpc(method string, params ...string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":[%s]}`, method, strings.Join(params, ","))
}

func quoted(s string) string {
	text, _ := json.Marshal(s) //nolint:errchkjson // a text always marshals
	return string(text)
}

func TestRPC_SignsMessages(t *testing.T) {
	t.Parallel()
	f := serveWith(t, func(d *Deps, _ *Config) {
		d.ChainID, d.Keys = 1, signing.NewKeyring(signerOf(t, webKey), signerOf(t, cowKey))
	})
	hash := quoted("0x" + strings.Repeat("ab", 32))

	cases := map[string]struct {
		body, result string
		code         jsonrpc.Code
		message      string
	}{
		"eth_sign":                {body: rpc("eth_sign", quoted(webAccount), quoted(someData)), result: webSigned},
		"personal_sign":           {body: rpc("personal_sign", quoted(someData), quoted(webAccount)), result: webSigned},
		"with geth's password":    {body: rpc("personal_sign", quoted(someData), quoted(strings.ToLower(webAccount)), `""`), result: webSigned},
		"typed data":              {body: rpc("eth_signTypedData", quoted(cowAccount), mail), result: cowSigned},
		"typed data v3":           {body: rpc("eth_signTypedData_v3", quoted(cowAccount), mail), result: cowSigned},
		"typed data v4":           {body: rpc("eth_signTypedData_v4", quoted(cowAccount), mail), result: cowSigned},
		"typed data as text":      {body: rpc("eth_signTypedData_v4", quoted(cowAccount), quoted(mail)), result: cowSigned},
		"a hash":                  {body: rpc("eth_sign", quoted(webAccount), hash), code: jsonrpc.CodeServer, message: "allowHashSigning"},
		"unknown account":         {body: rpc("eth_sign", quoted(bob), quoted(someData)), code: jsonrpc.CodeServer, message: "unknown account"},
		"parameters swapped":      {body: rpc("eth_sign", quoted(someData), quoted(webAccount)), code: jsonrpc.CodeInvalidParams, message: "address"},
		"parameters swapped too":  {body: rpc("personal_sign", quoted(webAccount), quoted(someData)), code: jsonrpc.CodeInvalidParams, message: "address"},
		"no data":                 {body: rpc("eth_sign", quoted(webAccount)), code: jsonrpc.CodeInvalidParams, message: "missing value for required argument 1"},
		"null data":               {body: rpc("eth_sign", quoted(webAccount), "null"), code: jsonrpc.CodeInvalidParams, message: "argument 1"},
		"empty data":              {body: rpc("eth_sign", quoted(webAccount), `""`), code: jsonrpc.CodeInvalidParams, message: "data"},
		"text as data":            {body: rpc("personal_sign", `"hello"`, quoted(webAccount)), code: jsonrpc.CodeInvalidParams, message: "data"},
		"number as data":          {body: rpc("eth_sign", quoted(webAccount), `7`), code: jsonrpc.CodeInvalidParams, message: "argument 1 (data)"},
		"no parameters":           {body: rpc("eth_sign"), code: jsonrpc.CodeInvalidParams, message: "argument 0"},
		"parameters by name":      {body: `{"jsonrpc":"2.0","id":1,"method":"eth_sign","params":{}}`, code: jsonrpc.CodeInvalidParams, message: "argument 0"},
		"no document":             {body: rpc("eth_signTypedData_v4", quoted(cowAccount)), code: jsonrpc.CodeInvalidParams, message: "argument 1"},
		"the old form":            {body: rpc("eth_signTypedData", `[{"type":"string","name":"a","value":"b"}]`, quoted(cowAccount)), code: jsonrpc.CodeInvalidParams, message: "argument 0 (address)"},
		"another chain":           {body: rpc("eth_signTypedData_v4", quoted(cowAccount), strings.Replace(mail, `"chainId":1`, `"chainId":5`, 1)), code: jsonrpc.CodeInvalidParams, message: "chainId"},
		"personal_sign of a hash": {body: rpc("personal_sign", hash, quoted(webAccount)), result: "0x"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, answer := f.do(t, "POST", "/", c.body)
			var got struct {
				Result string
				Error  *jsonrpc.Error
			}
			require.NoError(t, json.Unmarshal([]byte(answer), &got), answer)
			if c.code == 0 {
				require.Nil(t, got.Error, answer)
				require.True(t, strings.HasPrefix(got.Result, c.result), got.Result)
				return
			}
			require.NotNil(t, got.Error, answer)
			require.Equal(t, c.code, got.Error.Code, answer)
			require.Contains(t, got.Error.Message, c.message)
		})
	}

	allowed := serveWith(t, func(d *Deps, c *Config) {
		c.AllowHashSigning, d.Keys = true, signing.NewKeyring(signerOf(t, webKey))
	})
	_, _, answer := allowed.do(t, "POST", "/", rpc("eth_sign", quoted(webAccount), hash))
	var got struct{ Result hexutil.Bytes }
	require.NoError(t, json.Unmarshal([]byte(answer), &got), answer)
	got.Result[64] -= 27
	public, err := crypto.SigToPub(accounts.TextHash(common.Hex2Bytes(strings.Repeat("ab", 32))), got.Result)
	require.NoError(t, err)
	require.Equal(t, webAccount, crypto.PubkeyToAddress(*public).Hex(), "with the prefix all the same")
}

// wrongSigner signs with a key that is not its account's.
type wrongSigner struct{ keySigner }

func (wrongSigner) Address() common.Address { return common.HexToAddress(alice) }

func TestRPC_ASignatureOfAnotherKeyIsNotGivenOut(t *testing.T) {
	t.Parallel()
	f := serveWith(t, func(d *Deps, _ *Config) { d.Keys = signing.NewKeyring(wrongSigner{signerOf(t, webKey)}) })
	_, _, answer := f.do(t, "POST", "/", rpc("personal_sign", quoted(someData), quoted(alice)))
	require.Contains(t, answer, `"code":-32603`)
	require.NotContains(t, answer, "result")
}

func TestRPC_SignTransaction(t *testing.T) {
	t.Parallel()
	f := serveWith(t, func(d *Deps, _ *Config) { d.Keys = signing.NewKeyring(signerOf(t, webKey)) })
	stranger := signerOf(t, cowKey)
	authorization, err := types.SignSetCode(stranger.key, types.SetCodeAuthorization{ChainID: *uint256.NewInt(31337), Address: common.Address{7}, Nonce: 1})
	require.NoError(t, err)
	list, err := json.Marshal([]types.SetCodeAuthorization{authorization})
	require.NoError(t, err)
	own, err := types.SignSetCode(signerOf(t, webKey).key, types.SetCodeAuthorization{Nonce: 1})
	require.NoError(t, err)
	ownList, err := json.Marshal([]types.SetCodeAuthorization{own})
	require.NoError(t, err)
	base := `"from":"` + webAccount + `","to":"` + bob + `","value":"0x3","gas":"0x5208","nonce":"0x7","chainId":"0x7a69"`

	for kind, fields := range map[uint8]string{
		types.LegacyTxType:     base + `,"gasPrice":"0x0"`,
		types.AccessListTxType: base + `,"gasPrice":"0x1","accessList":[{"address":"` + bob + `","storageKeys":[]}]`,
		types.DynamicFeeTxType: base + `,"maxFeePerGas":"0x0","maxPriorityFeePerGas":"0x0"`,
		types.SetCodeTxType:    base + `,"maxFeePerGas":"0x1","maxPriorityFeePerGas":"0x0","authorizationList":` + string(list),
	} {
		_, _, answer := f.do(t, "POST", "/", rpc("eth_signTransaction", "{"+fields+"}"))
		var got struct{ Result hexutil.Bytes }
		require.NoError(t, json.Unmarshal([]byte(answer), &got), answer)
		var tx types.Transaction
		require.NoError(t, tx.UnmarshalBinary(got.Result), answer)
		require.Equal(t, kind, tx.Type())
		require.True(t, tx.Protected(), "EIP-155")
		require.EqualValues(t, 7, tx.Nonce())
		require.Equal(t, big.NewInt(3), tx.Value())
		sender, err := types.Sender(types.LatestSignerForChainID(big.NewInt(31337)), &tx)
		require.NoError(t, err)
		require.Equal(t, webAccount, sender.Hex())
	}
	require.Empty(t, f.queue.list, "the queue knows nothing of it")

	for text, fields := range map[string]string{
		"gas not specified":                 `"from":"` + webAccount + `","to":"` + bob + `"`,
		"nonce not specified":               `"from":"` + webAccount + `","to":"` + bob + `","gas":"0x5208","gasPrice":"0x0"`,
		"missing gasPrice":                  `"from":"` + webAccount + `","to":"` + bob + `","gas":"0x5208","nonce":"0x0","maxFeePerGas":"0x1"`,
		"unknown account":                   strings.Replace(base, webAccount, bob, 1) + `,"gasPrice":"0x0"`,
		"have=1, want=31337":                strings.Replace(base, "0x7a69", "0x1", 1) + `,"gasPrice":"0x0"`,
		"blobs":                             base + `,"type":"0x3"`,
		"blobs (":                           base + `,"blobVersionedHashes":["0x01"]`,
		"exclude each other":                base + `,"gasPrice":"0x1","authorizationList":` + string(list),
		"a set-code transaction needs to":   strings.Replace(base, `"to":"`+bob+`",`, `"data":"0x00",`, 1) + `,"authorizationList":` + string(list),
		"cannot be an authority":            base + `,"authorizationList":` + string(ownList),
		"authorizationList: a signature is": base + `,"authorizationList":[{"chainId":"0x1","address":"` + bob + `","nonce":"0x0","yParity":"0x0","r":"0x0","s":"0x0"}]`,
		"eth_signTransaction needs one":     `}], "a":[{`,
	} {
		body := rpc("eth_signTransaction", "{"+fields+"}")
		if strings.HasPrefix(text, "eth_signTransaction needs") {
			body = rpc("eth_signTransaction", `"x"`)
		}
		_, _, answer := f.do(t, "POST", "/", body)
		require.Contains(t, answer, text)
		require.Contains(t, answer, `"error"`)
	}
}

// A transaction signed for another way to the chain would take the nonce of one
// that was accepted; REST has the same rule.
func TestRPC_SignTransactionNotWhileTheQueueIsBusy(t *testing.T) {
	t.Parallel()
	f := serveWith(t, func(d *Deps, _ *Config) { d.Keys = signing.NewKeyring(signerOf(t, webKey)) })
	call := rpc("eth_signTransaction", `{"from":"`+webAccount+`","to":"`+bob+`","gas":"0x5208","nonce":"0x7","gasPrice":"0x0"}`)
	for text, sender := range map[string]queue.Sender{
		"the queue gives out the nonces of this sender: 0 transactions are queued and 1 are on their way": {State: queue.SenderPaused, Open: 1},
		"2 transactions are queued": {State: queue.SenderActive, Queued: 2},
		`"result":"0x`:              {State: queue.SenderPaused, Queued: 2},
	} {
		sender.Address = common.HexToAddress(webAccount)
		f.queue.senders = []queue.Sender{sender}
		_, _, answer := f.do(t, "POST", "/", call)
		require.Contains(t, answer, text)
		require.NotContains(t, answer, "-32603")
	}
}

func TestRPC_SendTransactionHasTheTypeThatIsAskedFor(t *testing.T) {
	t.Parallel()
	f := serve(t)
	const entry = `"accessList":[{"address":"` + bob + `","storageKeys":[]}]`
	list := types.AccessList{{Address: common.HexToAddress(bob), StorageKeys: []common.Hash{}}}
	for fields, want := range map[string]queue.Request{
		`"type":"0x0"`:                           {Fees: queue.Fees{IsGasPrice: true}},
		`"type":0,"accessList":[]`:               {Fees: queue.Fees{IsGasPrice: true}},
		`"type":"0x0","gasPrice":"0x5"`:          {Fees: queue.Fees{GasPrice: big.NewInt(5)}},
		`"type":"0x1"`:                           {Fees: queue.Fees{IsGasPrice: true}, AccessList: types.AccessList{}},
		`"type":"0x1","gasPrice":"0x5",` + entry: {Fees: queue.Fees{GasPrice: big.NewInt(5)}, AccessList: list},
		`"type":"0x2"`:                           {},
		entry:                                    {AccessList: list},
	} {
		before := len(f.queue.list)
		_, _, answer := f.do(t, "POST", "/", rpc("eth_sendTransaction", `{"from":"`+alice+`","to":"`+bob+`",`+fields+`}`))
		require.Contains(t, answer, `"result":"0x`, fields)
		got := f.queue.list[before].Request
		require.Equal(t, want.Fees, got.Fees, fields)
		require.Equal(t, want.AccessList, got.AccessList, fields)
	}
	for fields, want := range map[string]string{
		`"type":"0x0","maxFeePerGas":"0x1"`:         "do not go with types 0x0 and 0x1",
		`"type":"0x1","maxPriorityFeePerGas":"0x1"`: "do not go with types 0x0 and 0x1",
		`"type":"0x0",` + entry:                     "accessList does not go with type 0x0",
		`"type":"0x2","gasPrice":"0x1"`:             "gasPrice goes with types 0x0 and 0x1 only",
		`"type":"0x4"`:                              "needs an authorizationList",
		`"type":"0x5"`:                              "transaction type not supported",
	} {
		_, _, answer := f.do(t, "POST", "/", rpc("eth_sendTransaction", `{"from":"`+alice+`","to":"`+bob+`",`+fields+`}`))
		require.Contains(t, answer, want)
		require.Contains(t, answer, `"code":-32602`)
	}
}

func TestRPC_SendTransactionTakesNonceAndAuthorizations(t *testing.T) {
	t.Parallel()
	f := serve(t)
	authorization, err := types.SignSetCode(signerOf(t, cowKey).key, types.SetCodeAuthorization{Address: common.Address{7}})
	require.NoError(t, err)
	list, err := json.Marshal([]types.SetCodeAuthorization{authorization})
	require.NoError(t, err)

	_, _, answer := f.do(t, "POST", "/", rpc("eth_sendTransaction", `{"from":"`+alice+`","to":"`+bob+`","nonce":"0x5","authorizationList":`+string(list)+`}`))

	require.Contains(t, answer, `"result":"0x`)
	require.EqualValues(t, 5, *f.queue.list[0].Request.Nonce)
	require.Equal(t, []types.SetCodeAuthorization{authorization}, f.queue.list[0].Request.Authorizations)
}
