package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/contract"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/queue"
)

func transfer(fields string) string {
	return `{"from":"` + alice + `","to":"` + bob + `"` + fields + `}`
}

func TestREST_Waits(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		query, prefer string
		never         bool // the queue does not get there
		status        int
		at            string // the status that is shown
		applied       string
	}{
		"not at all":              {"", "", true, 202, "queued", ""},
		"for accepting":           {"?wait=accepted", "", true, 202, "queued", ""},
		"for the hash":            {"?wait=signed", "", false, 201, "signed", ""},
		"for the node":            {"?wait=submitted&timeout=5", "", false, 201, "submitted", ""},
		"for a block":             {"?wait=mined&timeout=1m", "", false, 201, "mined", ""},
		"in vain":                 {"?wait=mined&timeout=20ms", "", true, 202, "queued", ""},
		"by preference":           {"", "wait=5", false, 201, "mined", "wait=5"},
		"by preference, for less": {"?wait=signed", "wait=5", false, 201, "signed", "wait=5"},
		"zero seconds":            {"", "wait=0", true, 202, "queued", "wait=0"},
		"asynchronously":          {"?wait=mined", "respond-async", true, 202, "queued", "respond-async"},
		"a while":                 {"", "respond-async, wait=5", false, 201, "mined", "respond-async, wait=5"},
		"with spaces and more":    {"", ` foo; x=1 , Wait = "5" ;y , handling=lenient`, false, 201, "mined", "wait=5"},
		"an unknown preference":   {"", "return=minimal", true, 202, "queued", ""},
		"a senseless preference":  {"", "wait=soon", true, 202, "queued", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t)
			f.queue.unsig = c.never
			var header []string
			if c.prefer != "" {
				header = []string{"Prefer", c.prefer}
			}
			status, h, answer := f.do(t, "POST", "/v1/transactions"+c.query, transfer(""), header...)
			require.Equal(t, c.status, status, answer)
			require.Contains(t, answer, `"status":"`+c.at+`"`)
			require.Equal(t, c.applied, h.Get("Preference-Applied"))
			require.NotEmpty(t, h.Get("Location"))
			require.Equal(t, "Prefer", h.Get("Vary"))
		})
	}

	f := serve(t)
	for _, query := range []string{"?wait=forever", "?wait=", "?timeout=0", "?timeout=-1s", "?timeout=x", "?wiat=mined", "?wait=mined&timeout=9999999999"} {
		require.Equal(t, "invalid_request", f.ask(t, 400, "POST", "/v1/transactions"+query, transfer(""))["code"], query)
	}
	require.Empty(t, f.queue.list)

	// What ended before it got there is over, too. A replay stays a replay.
	f.queue.ended = &queue.Reason{Code: queue.ReasonInsufficientFunds, Message: "insufficient funds"}
	require.Equal(t, "rejected", f.ask(t, 201, "POST", "/v1/transactions?wait=mined", transfer(`,"idempotencyKey":"k"`))["status"])
	f.ask(t, 200, "POST", "/v1/transactions?wait=mined", transfer(`,"idempotencyKey":"k"`))
}

// At the stop, who waits is told that the transaction goes on.
func TestREST_WaitsEndAtTheStop(t *testing.T) {
	t.Parallel()
	f := serve(t)
	f.queue.unsig, f.queue.onWait = true, func() {
		f.handler.StopWaiting()
		f.handler.StopWaiting()
	}
	// The client of these tests has less patience than the 80 seconds.
	f.ask(t, 202, "POST", "/v1/transactions?wait=mined&timeout=80", transfer(""))
}

// scriptedNode answers by method.
type scriptedNode map[string]string

func (n scriptedNode) Forward(_ context.Context, body []byte) ([]byte, int, error) {
	r, _ := jsonrpc.ScanRequest(body)
	answer, known := n[r.Method]
	if !known {
		return nil, 0, nodeclient.ErrUnreachable
	}
	return []byte(`{"jsonrpc":"2.0","id":1,` + answer + `}`), 200, nil
}

func TestREST_WhereTheReasonOfARevertComesFrom(t *testing.T) {
	t.Parallel()

	late := "0x08c379a0" + fmt.Sprintf("%064x%064x", 32, 4) + "6c617465" + strings.Repeat("0", 56)
	cases := map[string]struct {
		node            scriptedNode
		message, source string
	}{
		"the receipt":               {scriptedNode{"eth_getTransactionReceipt": `"result":{"revertReason":"` + late + `"}`}, "late", "receipt"},
		"the call":                  {scriptedNode{"eth_getTransactionReceipt": `"result":{"status":"0x0"}`, "eth_call": `"error":{"code":3,"message":"execution reverted","data":"` + late + `"}`}, "late", "replay"},
		"the call, as old Besu":     {scriptedNode{"eth_call": `"error":{"code":-32000,"message":"Execution reverted","data":"` + late + `"}`}, "late", "replay"},
		"a call without a reason":   {scriptedNode{"eth_call": `"error":{"code":3,"message":"execution reverted"}`}, "reverted without a reason", "replay"},
		"nowhere, out of gas":       {scriptedNode{"eth_call": `"error":{"code":-32000,"message":"out of gas"}`}, "", ""},
		"nowhere, the call is fine": {scriptedNode{"eth_call": `"result":"0x"`}, "", ""},
		"nowhere, no state":         {scriptedNode{"eth_getTransactionReceipt": `"result":null`, "eth_call": `"error":{"code":-32000,"message":"missing trie node"}`}, "", ""},
		"nowhere, nonsense":         {scriptedNode{"eth_getTransactionReceipt": `"result":{"revertReason":7}`, "eth_call": `"error":{"code":3,"message":"x","data":{"a":1}}`}, "", ""},
		"nowhere, no node":          {scriptedNode{}, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serveWith(t, func(d *Deps, _ *Config) { d.Node = c.node })
			id := f.ask(t, 202, "POST", "/v1/transactions", transfer("")).text("id")
			f.queue.list[0].Status, f.queue.list[0].Receipt = queue.StatusReverted, &queue.Receipt{BlockNumber: 7, Final: true}

			revert := f.ask(t, 200, "GET", "/v1/transactions/"+id+"/receipt", "").obj("revert")

			require.Equal(t, c.message, revert.text("message"))
			require.Equal(t, c.source, revert.text("source"))
			require.Equal(t, c.source != "", f.queue.explanation.Revert != nil, "what was found is kept")
		})
	}
}

func TestREST_LogsOfAReceipt(t *testing.T) {
	t.Parallel()
	block, topic := "0x"+strings.Repeat("0a", 32), "0x"+strings.Repeat("0b", 32)
	logs := func(block, list string) scriptedNode {
		return scriptedNode{"eth_getTransactionReceipt": `"result":{"blockHash":"` + block + `","logs":` + list + `}`}
	}
	one := `[{"address":"` + strings.ToLower(bob) + `","topics":["` + topic + `"],"data":"0x01","logIndex":"0x3","removed":false},{"address":"` + bob + `","topics":[],"data":"0x","logIndex":"0x4"}]`
	for name, c := range map[string]struct {
		node scriptedNode
		want string
	}{
		"two":           {logs(block, one), `"logs":[{"address":"` + bob + `","topics":["` + topic + `"],"data":"0x01","index":3},{"address":"` + bob + `","topics":[],"data":"0x","index":4}]`},
		"none":          {logs(block, `[]`), `"logs":[]`},
		"another block": {logs(topic, one), ""},
		"no receipt":    {scriptedNode{"eth_getTransactionReceipt": `"result":null`}, ""},
		"nonsense":      {logs(block, `[{"address":7}]`), ""},
		"no node":       {scriptedNode{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serveWith(t, func(d *Deps, _ *Config) { d.Node = c.node })
			id := f.ask(t, 202, "POST", "/v1/transactions", transfer("")).text("id")
			f.queue.list[0].Status, f.queue.list[0].Receipt = queue.StatusConfirmed, &queue.Receipt{BlockNumber: 7, BlockHash: common.HexToHash(block), Success: true, Final: true}
			_, _, answer := f.do(t, "GET", "/v1/transactions/"+id+"/receipt", "")
			require.Equal(t, c.want != "", strings.Contains(answer, `"logs"`), answer)
			require.Contains(t, answer, c.want)
		})
	}
}

func TestREST_LogsAreDecodedByTheABIOfTheRequest(t *testing.T) {
	t.Parallel()
	block, event := "0x"+strings.Repeat("0a", 32), crypto.Keccak256Hash([]byte("Paid(address,uint256)")).Hex()
	list := `[{"address":"` + bob + `","topics":["` + event + `","0x000000000000000000000000` + bob[2:] + `"],"data":"0x` + fmt.Sprintf("%064x", 250) + `","logIndex":"0x0"},` +
		`{"address":"` + bob + `","topics":["` + block + `"],"data":"0x","logIndex":"0x1"}]`
	f := serveWith(t, func(d *Deps, _ *Config) {
		d.Node = scriptedNode{"eth_getTransactionReceipt": `"result":{"blockHash":"` + block + `","logs":` + list + `}`}
	})
	fields := `,"abi":["f()","error E()","event Paid(address indexed who, uint256 amount)"],"method":"f","arguments":[]`
	id := f.ask(t, 202, "POST", "/v1/transactions", transfer(fields)).text("id")
	f.queue.list[0].Status, f.queue.list[0].Receipt = queue.StatusConfirmed, &queue.Receipt{BlockNumber: 7, BlockHash: common.HexToHash(block), Success: true, Final: true}
	f.queue.explanation.ABI = f.queue.list[0].Request.ABI
	require.Equal(t, []string{"error E()", "event Paid(address indexed who, uint256 amount)"}, f.queue.explanation.ABI)

	_, _, answer := f.do(t, "GET", "/v1/transactions/"+id+"/receipt", "")
	require.Contains(t, answer, `"index":0,"event":{"name":"Paid","signature":"Paid(address,uint256)","arguments":[`+
		`{"name":"who","type":"address","value":"`+bob+`","indexed":true},{"name":"amount","type":"uint256","value":"250","indexed":false}]}}`)
	require.Contains(t, answer, `"data":"0x","index":1}]`, "unknown ones are as they are")
	require.Contains(t, answer, fmt.Sprintf(`"data":"0x%064x"`, 250), "the raw form stands beside")
}

func TestExplaining_IsBounded(t *testing.T) {
	t.Parallel()
	long := make([]string, 0, 2000)
	for i := range 1000 {
		long = append(long, fmt.Sprintf("event E%d(address someone)", i), fmt.Sprintf("error R%d(address someone)", i))
	}
	text, err := json.Marshal(long)
	require.NoError(t, err)
	known, err := contract.Parse(text, "")
	require.NoError(t, err)
	size := 0
	for _, kept := range explaining(known) {
		size += len(kept)
	}
	require.LessOrEqual(t, size, 2*maxKept)
	require.Greater(t, size, 2*maxKept-100)
}

func TestREST_CalldataOfMethods(t *testing.T) {
	t.Parallel()

	transferCall := "a9059cbb000000000000000000000000" + strings.ToLower(bob[2:]) + fmt.Sprintf("%064x", 250)
	erc20 := `[{"type":"function","name":"transfer","inputs":[{"name":"to","type":"address"},{"name":"amount","type":"uint256"}]},{"type":"error","name":"E","inputs":[]}]`
	for name, fields := range map[string]string{
		"a signature":       `,"method":"transfer(address,uint256)","arguments":["` + bob + `","250"]`,
		"an ABI":            `,"abi":` + erc20 + `,"method":"transfer","arguments":["` + bob + `",250]`,
		"one fragment":      `,"abi":"function transfer(address to, uint amount)","arguments":{"amount":"0xfa","to":"` + bob + `"}`,
		"a lot of them":     `,"abi":["f()","function transfer(address to, uint256 amount)"],"method":"transfer","arguments":["` + bob + `",250]`,
		"calldata as it is": `,"data":"0x` + transferCall + `"`,
	} {
		f := serve(t)
		got := f.ask(t, 202, "POST", "/v1/transactions", transfer(fields))
		require.Equal(t, "0x"+transferCall, got["data"], name)
		if name == "an ABI" {
			require.Equal(t, []string{"error E()"}, f.queue.list[0].Request.ABI)
		}
	}

	f := serve(t)
	create := func(fields string) string { return `{"from":"` + alice + `",` + fields + `}` }
	got := f.ask(t, 202, "POST", "/v1/transactions", create(`"bytecode":"0x6000","abi":"constructor(bool)","arguments":[true]`))
	require.Equal(t, "0x6000"+fmt.Sprintf("%064x", 1), got["data"])
	require.Nil(t, got["to"])
	f.ask(t, 202, "POST", "/v1/transactions", create(`"bytecode":"0x6000"`))

	for _, c := range []struct{ body, pointer, detail string }{
		{transfer(`,"method":"transfer(address,uint256)","arguments":["` + bob + `",-1]`), "/arguments/1", "arguments[1]: is out of the range of uint256"},
		{transfer(`,"method":"transfer(address,uint256)","arguments":["` + bob + `",9007199254740993]`), "/arguments/1", "2^53-1"},
		{transfer(`,"method":"transfer","arguments":[]`), "/method", "needs an ABI"},
		{transfer(`,"arguments":[]`), "/method", "is missing"},
		{transfer(`,"abi":` + erc20 + `,"method":"transfre","arguments":[]`), "/method", `did you mean \"transfer\"?`},
		{transfer(`,"abi":[7],"method":"f()"`), "/abi/0", "ABI fragment"},
		{transfer(`,"data":"0x","method":"f()"`), "/data", "excludes"},
		{transfer(`,"bytecode":"0x6000"`), "/to", "left out"},
		{create(`"method":"f()"`), "/to", "is missing"},
		{create(`"bytecode":"0x"`), "/bytecode", "empty"},
		{create(`"bytecode":"0x6000","method":"f()"`), "/method", "constructor"},
		{create(`"bytecode":"0x6000","arguments":[1]`), "/arguments", "() takes 0"},
		{transfer(`,"value":9007199254740993`), "/value", "2^53-1"},
		{transfer(`,"reference":7`), "/reference", "must not be a JSON number"},
		{transfer(`,"notAfter":"tomorrow"`), "/notAfter", "RFC 3339"},
		{transfer(`,"accessList":[{"address":"0x12"}]`), "/accessList/0/address", "40 hex digits"},
		{transfer(`,"accessList":[{"adress":"0x12"}]`), "/accessList/0/adress", `did you mean \"address\"?`},
		{transfer(`,"From":"` + bob + `"`), "/From", `did you mean \"from\"?`},
		{transfer(`,"to":"` + alice + `"`), "/to", "occurs twice"},
		{transfer(`,"arguments":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), "", "nested more than 32 deep"},
		{`[` + transfer("") + `,` + transfer(`,"value":"x"`) + `]`, "/1/value", "[1].value: must be a non-negative integer"},
		{`{"transactions":[` + transfer(`,"vlaue":1`) + `]}`, "/transactions/0/vlaue", `transactions[0].vlaue: unknown field \"vlaue\"; did you mean \"value\"?`},
		{`{"transactions":[]}`, "/transactions", "between 1 and 100"},
		{`[` + strings.Repeat(transfer("")+",", 100) + transfer("") + `]`, "", "between 1 and 100"},
		{`[` + transfer(`,"idempotencyKey":"a"`) + `,` + transfer(`,"idempotencyKey":"a"`) + `]`, "/1/idempotencyKey", "twice"},
		{`{"idempotencyKey":"k","transactions":[` + transfer(`,"idempotencyKey":"a"`) + `]}`, "/transactions/0/idempotencyKey", "already"},
	} {
		status, _, answer := f.do(t, "POST", "/v1/transactions", c.body)
		require.Equal(t, 400, status, answer)
		if c.pointer != "" && !strings.Contains(c.detail, "deep") {
			require.Contains(t, answer, `"pointer":"`+c.pointer+`"`, c.body)
		}
		require.Contains(t, answer, c.detail, c.body)
	}
	require.Equal(t, "other_chain", f.ask(t, 422, "POST", "/v1/transactions", transfer(`,"chainId":1`))["code"])
	f.ask(t, 202, "POST", "/v1/transactions", transfer(`,"chainId":"31337","nonce":3`))
	require.EqualValues(t, 3, *f.queue.list[len(f.queue.list)-1].Request.Nonce)
}

func TestREST_Lists(t *testing.T) {
	t.Parallel()
	f := serve(t)

	got := f.ask(t, 202, "POST", "/v1/transactions", `{"idempotencyKey":"k","transactions":[`+transfer(`,"value":1`)+`,`+transfer(`,"value":2`)+`]}`)
	list := got.list("transactions")
	require.Len(t, list, 2)
	require.Equal(t, "k", f.queue.list[0].Request.IdempotencyKey)
	require.Equal(t, "k#1", f.queue.list[1].Request.IdempotencyKey)
	require.Equal(t, "0/2", f.queue.list[0].Request.Batch)
	require.Equal(t, "1/2", f.queue.list[1].Request.Batch)

	mixed := f.ask(t, 202, "POST", "/v1/transactions", `[`+transfer(`,"idempotencyKey":"own","value":3`)+`]`)
	require.Contains(t, fmt.Sprint(mixed), "replayed:false")
	mixed = f.ask(t, 202, "POST", "/v1/transactions", `[`+transfer(`,"idempotencyKey":"own","value":3`)+`,`+transfer(``)+`]`)
	require.Contains(t, fmt.Sprint(mixed), "replayed:true", "some of them were new")

	long := strings.Repeat("k", queue.MaxIdempotencyKey)
	f.ask(t, 400, "POST", "/v1/transactions", `[`+transfer("")+`,`+transfer("")+`]`, "Idempotency-Key", long)

	f.queue.err = &queue.FullError{Whose: "sender", Limit: 7}
	status, h, answer := f.do(t, "POST", "/v1/transactions", transfer(""))
	require.Equal(t, 429, status)
	require.Equal(t, "2", h.Get("Retry-After"))
	require.Contains(t, answer, "queue_full")
}

func TestREST_ReadsAndOperations(t *testing.T) {
	t.Parallel()
	f := serve(t)
	id := f.ask(t, 202, "POST", "/v1/transactions", transfer("")).text("id")
	path := "/v1/transactions/" + id

	require.Len(t, f.ask(t, 200, "GET", path+"/history", "")["items"], 2)
	require.Equal(t, "no_receipt", f.ask(t, 404, "GET", path+"/receipt", "")["code"])
	f.ask(t, 409, "POST", path+"/speed-up", "")
	f.queue.list[0].Status = queue.StatusSubmitted
	nonce := uint64(4)
	f.queue.list[0].Nonce = &nonce
	f.ask(t, 202, "POST", path+"/speed-up", `{"maxFeePerGas":"30","maxPriorityFeePerGas":"0x2"}`)
	require.Equal(t, "30", f.queue.fees[1].MaxFee.String())
	require.Equal(t, "/gasPrise", f.ask(t, 400, "POST", path+"/speed-up", `{"gasPrise":"1"}`)["pointer"])
	require.Equal(t, "/gasPrice", f.ask(t, 400, "POST", path+"/speed-up", `{"gasPrice":"1","maxFeePerGas":"1"}`)["pointer"])
	f.ask(t, 400, "POST", path+"/cancel", `{"really":true}`)
	f.ask(t, 400, "POST", path+"/cancel?force=1", ``)

	hash := common.HexToHash("0x01")
	f.queue.list[0].Hash = &hash
	require.Equal(t, id, f.ask(t, 200, "GET", "/v1/transactions/by-hash/"+hash.Hex(), "")["id"])
	f.ask(t, 404, "GET", "/v1/transactions/by-hash/"+common.HexToHash("0x02").Hex(), "")
	f.ask(t, 400, "GET", "/v1/transactions/by-hash/0x01", "")

	for _, reference := range []string{"order 7/b%", "50%", "a/b", "ä"} {
		f.ask(t, 200, "GET", "/v1/transactions/by-reference/"+url.PathEscape(reference), "")
		require.Equal(t, reference, f.queue.filters[len(f.queue.filters)-1].Reference)
	}
	f.ask(t, 400, "GET", "/v1/transactions/by-reference/a?reference=b", "")
	for _, query := range []string{
		"?status=lost", "?status=", "?status=queued,", "?since=yesterday", "?until=1", "?chainId=x", "?limit=1&limit=2", "?reference=", "?cursor=AQ", "?form=" + alice, "?limit=0",
	} {
		require.Equal(t, "invalid_request", f.ask(t, 400, "GET", "/v1/transactions"+query, "")["code"], query)
	}
	for _, odd := range []string{"{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", "")} {
		f.ask(t, 404, "GET", "/v1/transactions/"+url.PathEscape(odd), "")
	}
	require.Equal(t, []any{}, f.ask(t, 200, "GET", "/v1/transactions?chainId=1", "")["items"])
}

func TestREST_KeysAndWallets(t *testing.T) {
	t.Parallel()
	f := serve(t)
	keys := f.ask(t, 200, "GET", "/v1/keys", "")["items"]
	require.Equal(t, []any{map[string]any{"address": alice, "disabled": false, "kind": "local", "ref": "local:m/44'/60'/0'/0/0"}}, keys)
	for _, path := range []string{"/v1/keys/" + alice + "/disable", "/v1/keys/" + alice + "/enable", "/v1/wallets/" + alice + "/disable"} {
		require.Equal(t, "not_available", f.ask(t, 501, "POST", path, "")["code"])
	}
	require.Equal(t, []any{}, f.ask(t, 200, "GET", "/v1/wallets", "")["items"])
	require.Equal(t, "not_available", f.ask(t, 501, "POST", "/v1/wallets", `{"keyVaultId":"v","name":"n"}`)["code"])

	w := serveWallets(t)
	made := w.ask(t, 201, "POST", "/v1/wallets", `{"keyVaultId":"v","name":"user 1","index":9}`)
	require.Equal(t, "m/44'/60'/0'/0/9", made["path"])
	require.Equal(t, "wallet_index_taken", w.ask(t, 409, "POST", "/v1/wallets", `{"keyVaultId":"v","name":"user 2","index":9}`)["code"])
	require.Equal(t, "invalid_request", w.ask(t, 400, "POST", "/v1/wallets", `{"keyVaultId":"v","name":""}`)["code"])
	require.Equal(t, []object{made}, w.ask(t, 200, "GET", "/v1/wallets", "").list("items"))
	address := made.text("address")
	require.NotEmpty(t, w.ask(t, 200, "POST", "/v1/sign/message", `{"from":"`+address+`","message":"x"}`)["signature"])
}

func TestREST_SignaturesAlone(t *testing.T) {
	t.Parallel()
	f := serve(t)
	check := func(answer object, digest []byte) {
		t.Helper()
		require.Equal(t, hexutil.Encode(digest), answer["digest"])
		sig := hexutil.MustDecode(answer.text("signature"))
		require.Contains(t, []byte{27, 28}, sig[64])
		sig[64] -= 27
		public, err := crypto.SigToPub(digest, sig)
		require.NoError(t, err)
		require.Equal(t, common.HexToAddress(alice), crypto.PubkeyToAddress(*public))
	}
	check(f.ask(t, 200, "POST", "/v1/sign/message", `{"from":"`+alice+`","message":"hello"}`), accounts.TextHash([]byte("hello")))
	check(f.ask(t, 200, "POST", "/v1/sign/message", `{"from":"`+alice+`","data":"0x68656c6c6f"}`), accounts.TextHash([]byte("hello")))
	check(f.ask(t, 200, "POST", "/v1/sign/message", `{"from":"`+alice+`","message":""}`), accounts.TextHash(nil))

	// The example of EIP-712; the type of the domain may be left out.
	mail := func(domainType, chain, amount string) string {
		return `{"from":"` + alice + `","typedData":{"types":{` + domainType + `"Person":[{"name":"name","type":"string"},{"name":"wallet","type":"address"}],"Mail":[{"name":"from","type":"Person"},{"name":"to","type":"Person"},{"name":"contents","type":"string"}` + amount[:strings.IndexByte(amount, '|')] + `]},
		"primaryType":"Mail","domain":{"name":"Ether Mail","version":"1","chainId":` + chain + `,"verifyingContract":"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},
		"message":{"from":{"name":"Cow","wallet":"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},"to":{"name":"Bob","wallet":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},"contents":"Hello, Bob!"` + amount[strings.IndexByte(amount, '|')+1:] + `}}}`
	}
	domain := `"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],`
	whole := f.ask(t, 200, "POST", "/v1/sign/typed-data", mail(domain, "31337", "|"))
	check(whole, hexutil.MustDecode(whole.text("digest")))
	require.Equal(t, whole, f.ask(t, 200, "POST", "/v1/sign/typed-data", mail("", `"0x7a69"`, "|")))
	f.ask(t, 400, "POST", "/v1/sign/typed-data", mail(domain, "1", "|"))
	f.ask(t, 200, "POST", "/v1/sign/typed-data", mail(domain, "31337", `,{"name":"amount","type":"uint256"}|,"amount":"9007199254740993"`))
	rounded := f.ask(t, 400, "POST", "/v1/sign/typed-data", mail(domain, "31337", `,{"name":"amount","type":"uint256"}|,"amount":9007199254740993`))
	require.Equal(t, "/typedData/message/amount", rounded["pointer"])
	require.Equal(t, "/typedData/message/contents", f.ask(t, 400, "POST", "/v1/sign/typed-data", mail(domain, "31337", `|,"contents":"x"`))["pointer"])

	tx := func(fields string) string { return transfer(`,"value":"5","nonce":"2","gas":21000` + fields) }
	signed := f.ask(t, 200, "POST", "/v1/sign/transaction", tx(`,"maxFeePerGas":"10","maxPriorityFeePerGas":1`))
	var got types.Transaction
	require.NoError(t, got.UnmarshalBinary(hexutil.MustDecode(signed.text("raw"))))
	require.Equal(t, signed["hash"], got.Hash().Hex())
	from, err := types.Sender(types.LatestSignerForChainID(got.ChainId()), &got)
	require.NoError(t, err)
	require.Equal(t, alice, from.Hex())
	require.EqualValues(t, 31337, got.ChainId().Uint64())
	require.EqualValues(t, 2, got.Nonce())
	require.EqualValues(t, types.LegacyTxType, typeOf(t, f.ask(t, 200, "POST", "/v1/sign/transaction", tx(`,"gasPrice":0`))))
	require.EqualValues(t, types.AccessListTxType, typeOf(t, f.ask(t, 200, "POST", "/v1/sign/transaction", tx(`,"gasPrice":0,"accessList":[{"address":"`+bob+`","storageKeys":["0x`+strings.Repeat("00", 32)+`"]}]`))))

	for body, pointer := range map[string]string{
		transfer(`,"gas":21000,"gasPrice":0`):                   "/nonce",
		transfer(`,"nonce":1,"gasPrice":0`):                     "/gas",
		transfer(`,"nonce":1,"gas":21000`):                      "/maxFeePerGas",
		transfer(`,"nonce":1,"gas":21000,"maxFeePerGas":"1"`):   "/maxPriorityFeePerGas",
		transfer(`,"nonce":1,"gas":21000,"reference":"x"`):      "/reference",
		transfer(`,"nonce":"99999999999999999999","gas":21000`): "/nonce",
	} {
		require.Equal(t, pointer, f.ask(t, 400, "POST", "/v1/sign/transaction", body)["pointer"], body)
	}
	for body, pointer := range map[string]string{
		`{"from":"` + alice + `"}`:                           "/message",
		`{"from":"` + alice + `","message":"a","data":"0x"}`: "/message",
		`{"message":"a"}`:                                    "/from",
		`{"from":"` + alice + `","data":"hello"}`:            "/data",
	} {
		require.Equal(t, pointer, f.ask(t, 400, "POST", "/v1/sign/message", body)["pointer"], body)
	}
	require.Equal(t, "unknown_sender", f.ask(t, 422, "POST", "/v1/sign/message", `{"from":"`+bob+`","message":"a"}`)["code"])

	// A nonce that the queue may have promised is not signed away.
	f.queue.senders[0].Queued = 1
	require.Equal(t, "sender_busy", f.ask(t, 409, "POST", "/v1/sign/transaction", tx(`,"gasPrice":0`))["code"])
	f.queue.senders[0].State = queue.SenderPaused
	f.ask(t, 200, "POST", "/v1/sign/transaction", tx(`,"gasPrice":0`))
	f.queue.senders[0].Open = 1
	f.ask(t, 409, "POST", "/v1/sign/transaction", tx(`,"gasPrice":0`))
}

func typeOf(t *testing.T, answer object) uint8 {
	t.Helper()
	var tx types.Transaction
	require.NoError(t, tx.UnmarshalBinary(hexutil.MustDecode(answer.text("raw"))))
	return tx.Type()
}

// Every problem has a row of the table, and no two rows are alike.
func TestProblems_AreOneTable(t *testing.T) {
	t.Parallel()
	seen := map[problemCode]bool{}
	for _, p := range ProblemTypes() {
		require.Regexp(t, `^[a-z_]+$`, string(p.Code))
		require.False(t, seen[p.Code], p.Code)
		seen[p.Code] = true
		require.GreaterOrEqual(t, p.Status, 400)
		for _, text := range []string{p.Title, p.Cause, p.Remedy} {
			require.NotEmpty(t, text, p.Code)
			require.NotContains(t, text, "|", "it stands in a table")
		}
		require.Equal(t, p.Code, problemTypeOf(p.Code).Code)
	}
	require.Equal(t, problemInternal, problemTypeOf("no such").Code)
}

// Whatever is asked for, what is accepted is what the queue can sign, and its
// idempotency key fits.
func FuzzReadCreation(f *testing.F) {
	f.Add([]byte(transfer("")), "")
	f.Add([]byte(`[`+transfer(`,"value":"0xff","abi":["error E()"]`)+`]`), "k")
	f.Add([]byte(`{"transactions":[`+transfer(`,"method":"f(uint8[2],(bool,bytes4)[])","arguments":[[1,"2"],[[true,"0x01020304"]]]`)+`],"idempotencyKey":"k"}`), "")
	f.Add([]byte(`{"from":"`+alice+`","bytecode":"0x6000","abi":"constructor(int8)","arguments":[-128],"accessList":[{"address":"`+bob+`","storageKeys":[]}]}`), "x")
	s := &server{cfg: Default(), chainID: 31337}
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		got, err := s.readCreation(body, key)
		if err != nil {
			p := problemFor(err)
			require.Contains(t, []int{400, 422}, p.Status, "%s", body)
			require.Less(t, len(p.Detail), 1000)
			_, err := json.Marshal(p)
			require.NoError(t, err)
			return
		}
		require.NotEmpty(t, got.requests)
		for _, r := range got.requests {
			require.True(t, r.To != nil || len(r.Data) > 0)
			require.LessOrEqual(t, len(r.Data), maxCalldata)
			require.LessOrEqual(t, len(r.IdempotencyKey), queue.MaxIdempotencyKey)
			require.True(t, r.Value == nil || (r.Value.Sign() >= 0 && r.Value.BitLen() <= 256))
		}
	})
}

// No query makes a list of something else than what it says.
func FuzzReadFilter(f *testing.F) {
	f.Add("status=queued,signed&from=" + alice + "&limit=7&since=2026-01-01T00:00:00Z")
	f.Add("cursor=" + cursor(7, url.Values{}))
	s := &server{cfg: Default(), chainID: 31337}
	f.Fuzz(func(t *testing.T, text string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		got, _, err := s.readFilter(query)
		if err != nil {
			require.Equal(t, 400, problemFor(err).Status)
			return
		}
		require.True(t, got.Limit >= 1 && got.Limit <= maxPage)
		require.GreaterOrEqual(t, got.Before, int64(0))
		for name := range query {
			require.Contains(t, filterNames(), name)
		}
		place, err := readCursor(cursor(12345, query), query)
		require.NoError(t, err)
		require.EqualValues(t, 12345, place)
	})
}

func TestConfig_MaxWait(t *testing.T) {
	t.Parallel()
	cfg := Default()
	require.NoError(t, cfg.Validate())
	cfg.MaxWait = 3 * time.Minute
	require.ErrorContains(t, cfg.Validate(), "maxWait")
}
