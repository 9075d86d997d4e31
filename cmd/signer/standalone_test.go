package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
)

const (
	phrase = "test test test test test test test test test test test junk"
	alice  = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
)

// The environment of TxSigner's compose file, and nothing else but free ports,
// starts the signer: it is healthy, makes wallets, and sends, for callers without
// credentials. Web pages get nothing.
func TestRun_TxSignersComposeFile(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"MODE": "standalone", "RPC_ENDPOINT": chain(t), "DB_CONNECTION_STRING": pgtest.DSN(t),
		"PRIVATE_KEY_MNEMONIC": phrase, "PRIVATE_KEY_DERIVATION_PATH": "m/44'/60'/0'/0/0",
	}
	url, log := start(t, env, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	require.Equal(t, 1, strings.Count(log(), "let in without credentials"), log())
	require.Contains(t, log(), `127.0.0.0/8`)
	require.Contains(t, log(), `access.apiKeys`)

	status, answer := post(t, url, `{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}`)
	require.Equal(t, 200, status, answer)
	require.Contains(t, answer, `"result":"0x`)
	_, answer = post(t, url, `{"jsonrpc":"2.0","id":1,"method":"user_createWallet","params":["atk-hd-private-key",{"name":"ann"}]}`)
	require.Contains(t, answer, `"derivationPath":"m/44'/60'/0'/0/1"`)
	send := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction","params":[{"from":"%s","to":"%s","value":"0x1"}]}`, alice, alice)
	_, answer = post(t, url, send, "Host", "txsigner:3000")
	require.Contains(t, answer, `"result":"0x`)

	for name, headers := range map[string][]string{
		"a page of somebody else": {"Origin", "https://evil.example"},
		"a page under our name":   {"Origin", "http://txsigner:3000", "Host", "txsigner:3000"},
		"a name that was rebound": {"Host", "evil.example:3000"},
		"through a proxy":         {"X-Forwarded-For", "8.8.8.8"},
		"a wrong key":             {"X-Api-Key", "slk_x"},
	} {
		status, answer = post(t, url, send, headers...)
		require.Contains(t, []int{401, 403}, status, name)
		require.NotContains(t, answer, `"result"`, name)
	}

	// What operators do is not for everybody.
	status, answer = post(t, url+"/v1/senders/"+alice+"/pause", "")
	require.Equal(t, 403, status, answer)
	status, answer = post(t, url+"/v1/transactions", `{"from":"`+alice+`","to":"`+alice+`"}`, "Content-Type", "application/json")
	require.Equal(t, 202, status, answer)
}

// Where callers are known in another way, MODE lets nobody in.
func TestRun_StandaloneWithKeys(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"MODE": "standalone", "RPC_ENDPOINT": "http://127.0.0.1:1", "DB_CONNECTION_STRING": pgtest.DSN(t), "SLIPWAY_CHAIN_ID": "1",
		"PRIVATE_KEY_MNEMONIC": phrase, "SLIPWAY_API_KEYS": "true",
	}
	url, log := start(t, env, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	require.NotContains(t, log(), "without credentials")
	status, answer := post(t, url, `{"jsonrpc":"2.0","id":1,"method":"eth_accounts"}`)
	require.Equal(t, 401, status, answer)
}

func chain(t *testing.T) string {
	t.Helper()
	c, err := devnet.New(devnet.Config{
		ChainID: 1337, BlockTime: 50 * time.Millisecond, HTTPAddr: "127.0.0.1:0", WSAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
		Alloc: map[common.Address]*big.Int{common.HexToAddress(alice): new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)},
	})
	require.NoError(t, err)
	lifecycletest.Start(t, c.Run)
	return c.HTTPURL()
}

// start runs the program until the test ends, and waits until it listens.
func start(t *testing.T, env map[string]string, args ...string) (url string, log func() string) {
	t.Helper()
	var out output
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"serve"}, args...), func(name string) string { return env[name] }, io.Discard, &out)
	}()
	t.Cleanup(func() {
		stop()
		require.Zero(t, <-code, out.String())
	})
	listens := regexp.MustCompile(`"signer listens","addr":"([^"]+)"`)
	require.Eventually(t, func() bool { return len(code) > 0 || listens.MatchString(out.String()) }, 60*time.Second, 10*time.Millisecond, "%s", &out)
	found := listens.FindStringSubmatch(out.String())
	require.Len(t, found, 2, out.String())
	return "http://" + found[1], out.String
}

// output is a log that is read while it is written.
type output struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func post(t *testing.T, url, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(answer)
}
