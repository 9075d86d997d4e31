package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/lifecycle"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signerapp"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

const (
	phrase    = "test test test test test test test test test test test junk"
	chainID   = 53771311147
	accounts  = 8
	roleName  = "SLIPWAY_E2E_ROLE" // set: this process is the signer
	patience  = 2 * time.Minute
	leaseTime = 2 * time.Second
)

// TestMain is the tests' main or, with the role variable set, the signer's.
func TestMain(m *testing.M) {
	if os.Getenv(roleName) != "" {
		os.Exit(signerMain())
	}
	os.Exit(withPrograms(func() int { return pgtest.Main(m) }))
}

func signerMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := signerapp.Default()
	cfg.Dev, cfg.Listen, cfg.AdminListen = true, os.Getenv("LISTEN"), "127.0.0.1:0"
	cfg.GatewayURL, cfg.DatabaseURL = secret.New(os.Getenv("GATEWAY")), secret.New(os.Getenv("DATABASE"))
	cfg.Keys.Mnemonic, cfg.Keys.Accounts = secret.New(phrase), accounts
	cfg.Queue.ChainID, cfg.Queue.LeaseTTL, cfg.Queue.ResendAfter = chainID, leaseTime, 3*time.Second
	app, err := signerapp.New(cfg, signerapp.Deps{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err == nil {
		err = app.Run(ctx, func() { fmt.Println("ready") })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// system is everything between a client and the chain.
type system struct {
	client    *http.Client
	chain     *devnet.Chain
	upstreams []*devnet.Proxy
	gateway   string
	signer    *signerProcess
}

func startSystem(t *testing.T) *system {
	t.Helper()
	s := startNetwork(t)
	s.signer = newSignerProcess(t, s.gateway, pgtest.DSN(t))
	require.NoError(t, s.signer.start(t))
	return s
}

// startNetwork starts everything but the signer.
func startNetwork(t *testing.T) *system {
	t.Helper()
	s := &system{client: newClient()}
	log := slog.New(slog.DiscardHandler)
	alloc := map[common.Address]*big.Int{}
	for _, a := range senders(t) {
		alloc[a] = new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)
	}
	var err error
	s.chain, err = devnet.New(devnet.Config{ChainID: chainID, BlockTime: 500 * time.Millisecond, Alloc: alloc, Log: log})
	require.NoError(t, err)
	lifecycletest.Start(t, s.chain.Run)

	cfg := gatewayapp.Default()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Pool().ChainID, cfg.Pool().Finality.Mode = chainID, chain.Instant
	for range 2 {
		proxy, err := devnet.NewProxy(s.chain.HTTPURL())
		require.NoError(t, err)
		lifecycletest.Start(t, proxy.Run)
		s.upstreams = append(s.upstreams, proxy)
		cfg.Pool().Upstreams = append(cfg.Pool().Upstreams, upstreams.Endpoint{URL: secret.New(proxy.URL())})
	}
	gateway, err := gatewayapp.New(cfg, gatewayapp.Deps{Log: log})
	require.NoError(t, err)
	lifecycletest.Start(t, gateway.Run)
	s.gateway = "http://" + gateway.Addr()
	return s
}

func senders(t *testing.T) []common.Address {
	t.Helper()
	signers, err := local.Accounts(local.Config{Mnemonic: secret.New(phrase), Accounts: accounts})
	require.NoError(t, err)
	out := make([]common.Address, len(signers))
	for i, s := range signers {
		out[i] = s.Address()
	}
	return out
}

// signerProcess is the signer, in a process that can be killed and started again.
type signerProcess struct {
	url string
	env []string
	log bytes.Buffer // of all its lives

	mu  sync.Mutex
	cmd *exec.Cmd
}

func newSignerProcess(t *testing.T, gateway, dsn string) *signerProcess {
	t.Helper()
	// The port must stay the same over restarts, as it does behind a Service.
	listener, err := lifecycle.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	p := &signerProcess{url: "http://" + addr, env: append(os.Environ(), roleName+"=signer", "LISTEN="+addr, "GATEWAY="+gateway, "DATABASE="+dsn)}
	t.Cleanup(func() {
		require.NoError(t, p.kill())
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	return p
}

func (p *signerProcess) start(t *testing.T) error {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	// Its life is not bound to a context: the test kills it.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	cmd.Env, cmd.Stderr = p.env, &p.log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd = cmd
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		return fmt.Errorf("the signer did not become ready: %w", err)
	}
	return nil
}

// kill ends the signer as a power cut would.
func (p *signerProcess) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	err := p.cmd.Process.Kill()
	_ = p.cmd.Wait() // "signal: killed" is what was asked for
	p.cmd = nil
	return err
}

// newClient makes the client of a test: thousands of requests need few connections.
func newClient() *http.Client {
	return &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
}

// post sends a body and returns status and answer; an error means that nobody
// knows whether it arrived.
func post(ctx context.Context, client *http.Client, url, body, key string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// rpc makes one call and decodes its result.
func (s *system) rpc(t *testing.T, url, method, params string, into any) {
	t.Helper()
	_, answer, err := post(t.Context(), s.client, url, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}`, method, params), "")
	require.NoError(t, err)
	var response struct {
		Result json.RawMessage
		Error  json.RawMessage
	}
	require.NoError(t, json.Unmarshal(answer, &response), "%s", answer)
	require.Nil(t, response.Error, "%s", answer)
	require.NoError(t, json.Unmarshal(response.Result, into), "%s", answer)
}
