package signerapp

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/lifecycle"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing/awskms/kmstest"
	"github.com/slipwayhq/slipway/internal/signing/keys"
)

// TestMain gives the AWS SDK the credentials of the fake, and nothing of the machine's
// own.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": kmstest.AccessKeyID, "AWS_SECRET_ACCESS_KEY": kmstest.SecretAccessKey, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(pgtest.Main(m))
}

const (
	phrase  = "test test test test test test test test test test test junk"
	alice   = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
	bob     = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
	chainID = 53771311147
)

func chain(t *testing.T) *devnet.Chain {
	t.Helper()
	return pricedChain(t, nil)
}

// pricedChain is one whose gas costs at least 7 wei; nil makes it free.
func pricedChain(t *testing.T, baseFee *big.Int) *devnet.Chain {
	t.Helper()
	c, err := devnet.New(devnet.Config{
		BaseFee: baseFee, ChainID: chainID, BlockTime: 50 * time.Millisecond, HTTPAddr: "127.0.0.1:0", WSAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
		Alloc: map[common.Address]*big.Int{common.HexToAddress(alice): new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)},
	})
	require.NoError(t, err)
	lifecycletest.Start(t, c.Run)
	return c
}

func config(t *testing.T, gateway, dsn string) Config {
	t.Helper()
	cfg := Default()
	cfg.Listen, cfg.AdminListen, cfg.Dev = "127.0.0.1:0", "127.0.0.1:0", true
	cfg.GatewayURL, cfg.DatabaseURL, cfg.DatabaseWait = secret.New(gateway), secret.New(dsn), time.Second
	cfg.Keys.Mnemonic, cfg.Keys.Accounts = secret.New(phrase), 2
	cfg.Queue.ChainID, cfg.Queue.HeadPoll = chainID, 20*time.Millisecond
	return cfg
}

func call(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(answer)
}

func TestApp_ARealTransaction(t *testing.T) {
	t.Parallel()
	app, err := New(config(t, chain(t).HTTPURL(), pgtest.DSN(t)), Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	lifecycletest.Start(t, app.Run)
	url := "http://" + app.Addr()

	status, answer := call(t, "POST", url+"/v1/transactions", fmt.Sprintf(`{"from":"%s","to":"%s","value":"7","idempotencyKey":"a"}`, alice, bob))
	require.Equal(t, 202, status, answer)
	require.Eventually(t, func() bool {
		_, answer = call(t, "GET", url+"/v1/transactions?idempotencyKey=a", "")
		return strings.Contains(answer, `"status":"confirmed"`)
	}, 20*time.Second, 20*time.Millisecond, "%s", &answer)

	_, answer = call(t, "POST", url, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction","params":[{"from":"%s","to":"%s","value":"0x1"}]}`, alice, bob))
	require.Contains(t, answer, `"result":"0x`)
	_, answer = call(t, "POST", url, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["%s","0x0"]}`, bob))
	require.JSONEq(t, `{"jsonrpc":"2.0","id":1,"result":"0x0"}`, answer)

	// The type that is asked for is the type on the chain.
	for fields, want := range map[string]string{`"type":"0x0"`: "0x0", `"type":"0x1"`: "0x1", `"type":"0x2"`: "0x2", `"gas":"0xc350"`: "0x2"} {
		_, answer = call(t, "POST", url, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction","params":[{"from":"%s","to":"%s",%s}]}`, alice, bob, fields))
		hash := regexp.MustCompile(`0x[0-9a-f]{64}`).FindString(answer)
		require.NotEmpty(t, hash, answer)
		require.Eventually(t, func() bool {
			_, answer = call(t, "POST", url, `{"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByHash","params":["`+hash+`"]}`)
			return strings.Contains(answer, `"type":"`+want+`"`)
		}, 20*time.Second, 20*time.Millisecond, "%s", &answer)
	}

	// A sender without funds is told so in the node's words.
	_, answer = call(t, "POST", url, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction","params":[{"from":"%s","to":"%s","value":"0xffffffffffff"}]}`, bob, alice))
	require.Contains(t, answer, `"code":-32000`)
	require.Contains(t, answer, "insufficient funds")

	admin := "http://" + app.AdminAddr()
	status, answer = call(t, "GET", admin+"/readyz", "")
	require.Equal(t, 200, status, answer)
	_, answer = call(t, "GET", admin+"/metrics", "")
	require.Contains(t, answer, `signer_queue_ended_total{status="confirmed"}`)
}

// A wallet that one replica made sends through the other one.
// Without a configured chain the signer asks for it once; from then on the
// database knows, whether the gateway is there or not.
func TestApp_LearnsItsChain(t *testing.T) { //nolint:tparallel // one start after the other
	t.Parallel()
	gateway, dsn := chain(t).HTTPURL(), pgtest.DSN(t)
	for _, url := range []string{gateway, "http://127.0.0.1:1"} { //nolint:paralleltest // see above
		cfg := config(t, url, dsn)
		cfg.Queue.ChainID = 0
		app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		t.Run(url, func(t *testing.T) {
			lifecycletest.Start(t, app.Run)
			status, answer := call(t, "POST", "http://"+app.Addr()+"/v1/transactions", fmt.Sprintf(`{"from":"%s","to":"%s","value":"7"}`, alice, bob))
			require.Equal(t, 202, status, answer)
			require.Contains(t, answer, fmt.Sprintf(`"chainId":%d`, chainID))
		})
	}
}

func TestApp_AWalletSends(t *testing.T) {
	t.Parallel()
	gateway, dsn := chain(t).HTTPURL(), pgtest.DSN(t)
	var urls []string
	for range 2 {
		app, err := New(config(t, gateway, dsn), Deps{Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		lifecycletest.Start(t, app.Run)
		urls = append(urls, "http://"+app.Addr())
	}

	_, answer := call(t, "POST", urls[0], `{"jsonrpc":"2.0","id":1,"method":"user_createWallet","params":["atk-hd-private-key",{"name":"Alice"}]}`)
	const wallet = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC" // index 2: 0 and 1 are the signer's own
	require.Contains(t, answer, `"address":"`+wallet+`","derivationPath":"m/44'/60'/0'/0/2"`)

	send := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction","params":[{"from":"%s","to":"%s"}]}`, wallet, bob)
	_, answer = call(t, "POST", urls[1], send)
	require.Contains(t, answer, `"result":"0x`)

	_, answer = call(t, "POST", urls[0], fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"user_createWalletVerification","params":["%s",{"name":"pin","verificationType":"PINCODE","pincode":"123456"}]}`, wallet))
	require.Contains(t, answer, `"verificationType":"PINCODE"`)
	_, answer = call(t, "POST", urls[1], send)
	require.Contains(t, answer, "x-auth-challenge-response")
}

func TestApp_SaysWhatKeepsItFromStarting(t *testing.T) {
	t.Parallel()

	run := func(cfg Config) error {
		app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		return app.Run(t.Context(), func() {})
	}
	away := config(t, "http://127.0.0.1:1", "postgres://user:hunter2@127.0.0.1:1/x")
	err := run(away)
	require.ErrorContains(t, err, "the database cannot be reached")
	require.NotContains(t, err.Error(), "hunter2")

	malformed := config(t, "http://127.0.0.1:1", "postgres://user:hunter2@127.0.0.1:port/x")
	err = run(malformed)
	require.ErrorContains(t, err, "the database URL is malformed")
	require.NotContains(t, err.Error(), "hunter2")

	busy := config(t, "http://127.0.0.1:1", pgtest.DSN(t))
	listener, err := lifecycle.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	busy.Listen = listener.Addr().String()
	require.ErrorContains(t, run(busy), "in use by another program")

	other := config(t, chain(t).HTTPURL(), pgtest.DSN(t))
	other.Queue.ChainID = 1
	require.ErrorContains(t, run(other), "queue: the node is on another chain: its chain id is 53771311147, configured is 1")
}

func TestConfig_ReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()

	err := Config{Listen: "0.0.0.0:3000", Dev: true}.Validate()
	for _, part := range []string{"gatewayUrl", "databaseUrl", "databaseConns", "mnemonic", "accounts", "loopback", "leaseTtl", "maxBody"} {
		require.ErrorContains(t, err, part)
	}
	require.ErrorContains(t, Config{}.Validate(), "no authentication")
	sources := config(t, "http://127.0.0.1:1", "postgres://x")
	sources.Keys.Sources = []keys.Config{{Kind: keys.Raw}}
	require.ErrorContains(t, sources.Validate(), "source 1: id: is missing")
	require.ErrorContains(t, sources.Validate(), "developmentOnly")

	bad := config(t, "http://127.0.0.1:1", "postgres://x")
	bad.Keys.Mnemonic, bad.Keys.MnemonicFile = secret.String{}, filepath.Join(t.TempDir(), "missing")
	_, err = New(bad, Deps{})
	require.ErrorContains(t, err, "keys: read mnemonicFile")
	file := filepath.Join(t.TempDir(), "phrase")
	require.NoError(t, os.WriteFile(file, []byte("hunter2 hunter2\n"), 0o600))
	bad.Keys.MnemonicFile = file
	_, err = New(bad, Deps{})
	require.ErrorContains(t, err, "invalid mnemonic: 2 words")
	require.NotContains(t, err.Error(), "hunter2")
	require.NoError(t, os.WriteFile(file, []byte(phrase+"\n"), 0o600))
	_, err = New(bad, Deps{})
	require.NoError(t, err)

	bad.Wallets.EncryptionKeyFile = filepath.Join(t.TempDir(), "missing")
	_, err = New(bad, Deps{})
	require.ErrorContains(t, err, "wallets.encryptionKeyFile")
	bad.Wallets.EncryptionKeyFile = file // the phrase is no key
	_, err = New(bad, Deps{})
	require.EqualError(t, err, "wallets.encryptionKeyFile: must be 32 bytes as hex or base64")
}

// What is asked for as a legacy transaction is one on the chain too where gas costs
// something, and pays enough to get there.
func TestApp_LegacyWhereGasHasAPrice(t *testing.T) {
	t.Parallel()
	app, err := New(config(t, pricedChain(t, big.NewInt(1_000_000_000)).HTTPURL(), pgtest.DSN(t)), Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	lifecycletest.Start(t, app.Run)
	url := "http://" + app.Addr()

	for _, kind := range []string{"0x0", "0x1", "0x2"} {
		_, answer := call(t, "POST", url, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction","params":[{"from":"%s","to":"%s","value":"0x1","type":"%s"}]}`, alice, bob, kind))
		hash := regexp.MustCompile(`0x[0-9a-f]{64}`).FindString(answer)
		require.NotEmpty(t, hash, answer)
		var receipt struct {
			Result *struct{ Type, Status, EffectiveGasPrice string }
		}
		require.Eventually(t, func() bool {
			_, answer = call(t, "POST", url, `{"jsonrpc":"2.0","id":1,"method":"eth_getTransactionReceipt","params":["`+hash+`"]}`)
			return json.Unmarshal([]byte(answer), &receipt) == nil && receipt.Result != nil
		}, 20*time.Second, 20*time.Millisecond, "%s", &answer)
		require.Equal(t, kind, receipt.Result.Type)
		require.Equal(t, "0x1", receipt.Result.Status)
		require.NotEqual(t, "0x0", receipt.Result.EffectiveGasPrice)

		_, answer = call(t, "POST", url, `{"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByHash","params":["`+hash+`"]}`)
		require.Equal(t, kind == "0x2", strings.Contains(answer, "maxFeePerGas"), answer)
	}
}
