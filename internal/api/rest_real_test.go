package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/keyswitch"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

const realChain = 424242

// parrot is the creation code of a contract that reverts with its calldata, and
// accepts transfers: runtime 36600557005b366000600037366000fd. So a call of a
// "method" is a revert with the error of that name.
const parrot = "0x6010600c60003960106000f336600557005b366000600037366000fd"

// serveReal is the API over a real queue, a real database and a real chain.
func serveReal(t *testing.T) (*fixture, *queue.Queue) {
	t.Helper()
	signers, err := local.Accounts(local.Config{Mnemonic: secret.New("test test test test test test test test test test test junk"), Accounts: 2})
	require.NoError(t, err)
	ring := signing.NewKeyring(signers...)
	alloc := map[common.Address]*big.Int{}
	for _, s := range signers {
		alloc[s.Address()] = new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)
	}
	chain, err := devnet.New(devnet.Config{
		ChainID: realChain, BlockTime: 50 * time.Millisecond, HTTPAddr: "127.0.0.1:0", WSAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Alloc: alloc,
	})
	require.NoError(t, err)
	lifecycletest.Start(t, chain.Run)
	node, err := nodeclient.New(nodeclient.Config{URL: secret.New(chain.HTTPURL())})
	require.NoError(t, err)
	t.Cleanup(node.Close)
	pool, err := pgxpool.New(t.Context(), pgtest.DSN(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)

	keys := keyswitch.New(ring, keyswitch.NewStore(pool), slog.New(slog.DiscardHandler))
	lifecycletest.Start(t, keys.Run)
	cfg := queue.Default()
	cfg.ChainID, cfg.HeadPoll = realChain, 10*time.Millisecond
	log := slog.New(slog.DiscardHandler)
	q, err := queue.New(cfg, queue.Deps{Store: queue.NewStore(pool, realChain), Node: node, Keys: keys, Metrics: telemetry.NewFactory(), Log: log})
	require.NoError(t, err)
	require.NoError(t, q.Register(t.Context()))
	lifecycletest.Start(t, func(ctx context.Context, ready func()) error { ready(); return q.Run(ctx) })
	handler, err := NewHandler(Default(), Deps{Queue: q, Node: node, Keys: keys, KeySwitch: keys, ChainID: realChain, LocalOnly: true, Metrics: telemetry.NewFactory(), Log: log})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &fixture{handler: handler, url: server.URL}, q
}

// object is an answer in JSON. What is not there, or of another kind, is empty.
type object map[string]any

func (o object) text(name string) string { s, _ := o[name].(string); return s }

func (o object) obj(name string) object { m, _ := o[name].(map[string]any); return m }

func (o object) list(name string) []object {
	values, _ := o[name].([]any)
	out := make([]object, len(values))
	for i, v := range values {
		out[i], _ = v.(map[string]any)
	}
	return out
}

// ask reads the JSON of an answer with a certain status.
func (f *fixture) ask(t *testing.T, want int, method, path, body string, header ...string) object {
	t.Helper()
	status, _, answer := f.do(t, method, path, body, header...)
	require.Equal(t, want, status, "%s %s: %s", method, path, answer)
	var out object
	require.NoError(t, json.Unmarshal([]byte(answer), &out))
	return out
}

// settled reads a transaction once nothing follows any more: what is mined may
// still want confirmations.
func (f *fixture) settled(t *testing.T, tx object) object {
	t.Helper()
	var last object
	require.Eventually(t, func() bool {
		last = f.ask(t, 200, "GET", "/v1/transactions/"+tx.text("id"), "")
		return queue.Status(last.text("status")).IsEnd()
	}, 20*time.Second, 10*time.Millisecond, "%v", &last)
	return last
}

func TestReal_ContractsAndReverts(t *testing.T) {
	t.Parallel()
	f, q := serveReal(t)

	made := f.ask(t, 201, "POST", "/v1/transactions?wait=mined&timeout=30", `{"from":"`+alice+`","bytecode":"`+parrot+`","abi":["constructor(uint256 supply)"],"arguments":{"supply":"1000"}}`)
	require.NotNil(t, made["receipt"])
	require.Equal(t, "confirmed", f.settled(t, made)["status"])
	require.True(t, strings.HasSuffix(made.text("data"), fmt.Sprintf("%064x", 1000)), "the argument of the constructor follows the code")
	to := made.obj("receipt").text("contractAddress")

	abi := `"abi":["function InsufficientBalance(uint256 available, uint256 required)","error InsufficientBalance(uint256 available, uint256 required)"]`
	call := func(fields string) string { return `{"from":"` + alice + `","to":"` + to + `",` + fields + `}` }

	// A revert in the simulation: no nonce is used, the reason is in words.
	refused := f.ask(t, 201, "POST", "/v1/transactions?wait=submitted", call(abi+`,"method":"InsufficientBalance","arguments":[1,"2"]`))
	require.Equal(t, "rejected", refused["status"])
	refused = f.ask(t, 200, "GET", "/v1/transactions/"+refused.text("id"), "")
	reason := refused.obj("error")
	require.Equal(t, "execution_reverted", reason["code"])
	require.Equal(t, "InsufficientBalance(available: 1, required: 2)", reason.obj("revert")["message"])

	// A revert on the chain, since the caller gave the gas.
	for name, c := range map[string]struct{ fields, message, signature string }{
		"a custom error": {abi + `,"method":"InsufficientBalance","arguments":["3",4]`, "InsufficientBalance(available: 3, required: 4)", "InsufficientBalance(uint256,uint256)"},
		"a reason":       {`"method":"Error(string)","arguments":["too late"]`, "too late", "Error(string)"},
		"a panic":        {`"method":"Panic(uint256)","arguments":[17]`, "arithmetic overflow or underflow (panic 0x11)", "Panic(uint256)"},
	} {
		done := f.settled(t, f.ask(t, 201, "POST", "/v1/transactions?wait=mined&timeout=30", call(`"gas":100000,"reference":"reverts",`+c.fields)))
		require.Equal(t, "reverted", done["status"], name)
		id := done.text("id")
		receipt := f.ask(t, 200, "GET", "/v1/transactions/"+id+"/receipt", "")
		require.Equal(t, false, receipt["success"])
		revert := receipt.obj("revert")
		require.Equal(t, c.message, revert["message"], name)
		require.Equal(t, c.signature, revert["signature"], name)
		require.Equal(t, "replay", revert["source"])

		known, err := q.Explanation(t.Context(), "", uuid.MustParse(id))
		require.NoError(t, err)
		require.NotNil(t, known.Revert, "the answer of the node is kept")
		require.Equal(t, receipt, f.ask(t, 200, "GET", "/v1/transactions/"+id+"/receipt", ""))

		again := f.ask(t, 202, "POST", "/v1/transactions/"+id+"/redrive", "")
		require.NotEqual(t, id, again["id"])
		require.Equal(t, again["id"], f.ask(t, 200, "POST", "/v1/transactions/"+id+"/redrive", "")["id"])
	}
	require.Len(t, f.ask(t, 200, "GET", "/v1/transactions/by-reference/reverts?status=reverted,queued,signed,submitted,mined", "")["items"], 6)

	none := f.ask(t, 404, "GET", "/v1/transactions/"+refused.text("id")+"/receipt", "")
	require.Equal(t, "no_receipt", none["code"])
}

func TestReal_ListsAreAcceptedTogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	f, _ := serveReal(t)
	list := func(n int) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = fmt.Sprintf(`{"from":"%s","to":"%s","value":%d,"reference":"list"}`, alice, bob, i)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}

	first := f.ask(t, 201, "POST", "/v1/transactions?wait=mined&timeout=30", list(5), "Idempotency-Key", "k")
	made := first.list("transactions")
	require.Len(t, made, 5)
	for i, tx := range made {
		require.Equal(t, "confirmed", f.settled(t, tx)["status"])
		require.EqualValues(t, i, tx["nonce"])
	}

	status, header, again := f.do(t, "POST", "/v1/transactions", list(5), "Idempotency-Key", "k")
	require.Equal(t, 200, status)
	require.Equal(t, "true", header.Get("Idempotent-Replayed"))
	require.Contains(t, again, made[4]["id"])
	// Neither a part of the list, nor a longer one, nor one of them alone is the same request.
	for _, other := range []string{list(4), list(6), `{"from":"` + alice + `","to":"` + bob + `","value":0,"reference":"list"}`} {
		require.Equal(t, "idempotency_mismatch", f.ask(t, 409, "POST", "/v1/transactions", other, "Idempotency-Key", "k")["code"])
	}
	// One that cannot be accepted keeps all the others out.
	unknown := strings.Replace(list(3), alice, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", 1)
	require.Equal(t, "unknown_sender", f.ask(t, 422, "POST", "/v1/transactions", unknown)["code"])

	var seen []string
	next := ""
	for pages := 0; pages == 0 || next != ""; pages++ {
		require.Less(t, pages, 4)
		page := f.ask(t, 200, "GET", "/v1/transactions?reference=list&limit=2"+next, "")
		for _, item := range page.list("items") {
			seen = append(seen, item.text("value"))
		}
		next = ""
		if cursor := page.text("next"); cursor != "" {
			next = "&cursor=" + cursor
		}
	}
	require.Equal(t, []string{"4", "3", "2", "1", "0"}, seen)

	one := made[2]
	require.Equal(t, one["id"], f.ask(t, 200, "GET", "/v1/transactions/by-hash/"+one.text("hash"), "")["id"])
	history := f.ask(t, 200, "GET", "/v1/transactions/"+one.text("id")+"/history", "").list("items")
	require.Equal(t, "queued", history[0]["type"])
	require.Equal(t, "confirmed", history[len(history)-1]["type"])
	for query, want := range map[string]int{
		"": 5, "?status=confirmed": 5, "?status=queued,rejected": 0, "?from=" + bob: 0, "?chainId=424242": 5, "?chainId=1": 0,
		"?since=2020-01-01T00:00:00Z": 5, "?since=2090-01-01T00:00:00Z": 0, "?until=2020-01-01T00:00:00Z": 0, "?idempotencyKey=k": 1, "?idempotencyKey=k%233": 1,
	} {
		require.Len(t, f.ask(t, 200, "GET", "/v1/transactions"+query, "")["items"], want, query)
	}
}

func TestReal_SendersAndOperations(t *testing.T) {
	t.Parallel()
	f, _ := serveReal(t)
	sender := "/v1/senders/" + alice
	body := `{"from":"` + alice + `","to":"` + bob + `","value":1}`

	require.Len(t, f.ask(t, 200, "GET", "/v1/senders", "")["items"], 2)
	require.Len(t, f.ask(t, 200, "GET", "/v1/keys", "")["items"], 2)
	paused := f.ask(t, 200, "POST", sender+"/pause", `{"reason":"a look"}`)
	require.Equal(t, "paused", paused["state"])
	require.Equal(t, "a look", paused["reason"])

	tx := f.ask(t, 202, "POST", "/v1/transactions?wait=signed&timeout=200ms", body)
	path := "/v1/transactions/" + tx.text("id")
	require.Equal(t, "queued", tx["status"])
	require.Equal(t, "suspended", f.ask(t, 200, "POST", path+"/suspend", "")["status"])
	require.Equal(t, "queued", f.ask(t, 200, "POST", path+"/resume", "")["status"])
	require.Equal(t, "wrong_status", f.ask(t, 409, "POST", path+"/speed-up", `{"gasPrice":"1"}`)["code"])
	require.Equal(t, "cancelled", f.ask(t, 200, "POST", path+"/cancel", "")["status"])
	late := f.ask(t, 409, "POST", path+"/cancel", "")
	require.Equal(t, "wrong_status", late["code"])
	require.Contains(t, late["detail"], "cancelled")

	sign := `{"from":"` + alice + `","to":"` + bob + `","value":1,"nonce":7,"gas":21000,"gasPrice":0}`
	require.NotEmpty(t, f.ask(t, 200, "POST", "/v1/sign/transaction", sign)["raw"])
	require.Equal(t, "active", f.ask(t, 200, "POST", sender+"/resume", "")["state"])
	done := f.ask(t, 201, "POST", "/v1/transactions", body, "Prefer", "wait=30")
	require.Equal(t, "confirmed", f.settled(t, done)["status"])

	nonces := f.ask(t, 200, "GET", sender+"/nonces", "")
	require.EqualValues(t, 1, nonces["latest"])
	require.EqualValues(t, 1, nonces["nextNonce"])
	require.Equal(t, "draining", f.ask(t, 200, "POST", sender+"/drain", "")["state"])
	require.Equal(t, "sender_draining", f.ask(t, 409, "POST", "/v1/transactions", body)["code"])
	require.EqualValues(t, 0, f.ask(t, 200, "POST", "/v1/senders/rebalance", "")["released"])
	require.Equal(t, "not_found", f.ask(t, 404, "POST", "/v1/senders/0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC/pause", "")["code"])
}

func TestReal_AKeyIsTurnedOffAndOn(t *testing.T) {
	t.Parallel()
	f, _ := serveReal(t)
	body := `{"from":"` + alice + `","to":"` + bob + `","value":1}`

	status, _, answer := f.do(t, "POST", "/v1/keys/"+alice+"/disable", "")
	require.Equal(t, 204, status, answer)
	for _, c := range []struct{ path, body string }{
		{"/v1/transactions", body},
		{"/v1/sign/message", `{"from":"` + alice + `","message":"x"}`},
		{"/v1/sign/transaction", `{"from":"` + alice + `","to":"` + bob + `","nonce":0,"gas":21000,"gasPrice":0}`},
	} {
		require.Equal(t, "signer_refused", f.ask(t, 422, "POST", c.path, c.body)["code"], c.path)
	}
	keys := f.ask(t, 200, "GET", "/v1/keys", "").list("items")
	require.Len(t, keys, 2)
	require.Equal(t, object{"address": alice, "disabled": true}, keys[1])

	status, _, _ = f.do(t, "POST", "/v1/keys/"+alice+"/enable", "")
	require.Equal(t, 204, status)
	f.settled(t, f.ask(t, 201, "POST", "/v1/transactions?wait=mined", body))
}
