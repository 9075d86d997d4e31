package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/bench/internal/child"
)

// nodeCount is how many nodes there are; at least one of them is good at any time.
const nodeCount = 3

// world is all that runs besides the load, in a folder for its files.
type world struct {
	dir                    string
	nodes                  []*node
	gateway                *child.Process
	gatewayAddr, adminAddr string
	redisProgram           string // empty: there is none
	redisAddr              string
	redis                  *child.Process
}

func startWorld(ctx context.Context, o options, stdout io.Writer) (_ *world, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // a first build takes its time
	defer cancel()
	w := &world{}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	if w.dir, err = os.MkdirTemp("", "slipway-soak-"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	start := time.Now()
	for range nodeCount {
		n, err := startNode(ctx, start)
		if err != nil {
			return nil, err
		}
		w.nodes = append(w.nodes, n)
	}
	if w.redisProgram, err = exec.LookPath("redis-server"); err != nil {
		fmt.Fprintln(stdout, "redis-server is not installed: the gateway keeps answers in memory only")
	}
	for _, addr := range []*string{&w.gatewayAddr, &w.adminAddr, &w.redisAddr} {
		if *addr, err = freeAddr(ctx); err != nil {
			return nil, err
		}
	}
	if err := w.startRedis(); err != nil {
		return nil, err
	}
	return w, w.startGateway(ctx, o.gateway)
}

// stop ends everything and removes the folder.
func (w *world) stop() {
	for _, p := range []*child.Process{w.gateway, w.redis} {
		if p != nil {
			p.Stop()
		}
	}
	for _, n := range w.nodes {
		n.stop()
	}
	_ = os.RemoveAll(w.dir) // a folder of the temporary files
}

func (w *world) configPath() string { return filepath.Join(w.dir, "gateway.yaml") }

// writeConfiguration writes the gateway's file; turns of it differ.
func (w *world) writeConfiguration(turn int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "logLevel: warn\nserver:\n  maxBatchSize: %d\nprojects:\n- id: main\n  networks:\n  - architecture: evm\n    finality: instant\n    evm:\n      chainId: %d\n  upstreams:\n", 1000+turn, chainID)
	for i, n := range w.nodes {
		fmt.Fprintf(&b, "  - id: node-%d\n    endpoint: %s\n", i, n.url)
	}
	if w.redisProgram != "" {
		fmt.Fprintf(&b, "database:\n  evmJsonRpcCache:\n    connectors:\n    - id: memory\n      driver: memory\n      memory:\n        maxTotalSize: 16MB\n    - id: redis\n      driver: redis\n      redis:\n        uri: redis://%s/0\n", w.redisAddr)
	}
	return os.WriteFile(w.configPath(), []byte(b.String()), 0o600)
}

func (w *world) startGateway(ctx context.Context, program string) error {
	if err := w.writeConfiguration(0); err != nil {
		return err
	}
	if program == "" {
		program = filepath.Join(w.dir, "gateway-program")
		build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/slipwayhq/slipway/cmd/gateway")
		if output, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build the gateway: %w: %s", err, output)
		}
	}
	var err error
	w.gateway, err = child.Start(child.Command{
		Name: "gateway", Path: program, Log: filepath.Join(w.dir, "gateway.log"),
		Args: []string{"serve", "--config", w.configPath(), "--listen", w.gatewayAddr, "--admin-listen", w.adminAddr},
	})
	if err != nil {
		return err
	}
	return w.awaitReady(ctx)
}

func (w *world) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.adminAddr+"/readyz", nil)
		if err != nil {
			return fmt.Errorf("make a request: %w", err)
		}
		response, err := new(http.Transport).RoundTrip(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if err := w.gateway.Ended(); err != nil {
			log, _ := os.ReadFile(filepath.Join(w.dir, "gateway.log")) // the folder is about to go
			return fmt.Errorf("%w: %s", err, log)
		}
		select {
		case <-ctx.Done():
			return errors.New("the gateway does not become ready")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// freeAddr finds a port for programs that cannot tell which one they took.
func freeAddr(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// pause waits, or says that ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

const (
	faultLength = 5 * time.Second
	// handover is how long two nodes are good when the good one changes.
	handover = 3 * time.Second
)

// breakNodes lets another node be the good one by turns; the others fail in ways
// that are drawn.
func (w *world) breakNodes(ctx context.Context, seed uint64) {
	draw := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // faults need no secrets
	for turn := 0; ; turn++ {
		w.nodes[turn%len(w.nodes)].fault.Store(int32(good))
		if !pause(ctx, handover) {
			return
		}
		faults := drawFaults(draw)
		for i, n := range w.nodes {
			if i != turn%len(w.nodes) {
				n.fault.Store(int32(faults[i]))
			}
		}
		if !pause(ctx, faultLength) {
			return
		}
	}
}

// drawFaults draws one for each node. Only one of them may say null: two that
// agree about it are believed, as they should be.
func drawFaults(draw *rand.Rand) (out [nodeCount]fault) {
	isTaken := false
	for i := range out {
		out[i] = fault(draw.Int32N(int32(faultCount)))
		for isTaken && out[i] == saysNull {
			out[i] = fault(draw.Int32N(int32(faultCount)))
		}
		isTaken = isTaken || out[i] == saysNull
	}
	return out
}

const (
	redisLives = 20 * time.Second
	redisDead  = 5 * time.Second
)

func (w *world) startRedis() (err error) {
	if w.redisProgram == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(w.redisAddr)
	if err != nil {
		return fmt.Errorf("address of Redis: %w", err)
	}
	w.redis, err = child.Start(child.Command{
		Name: "redis", Path: w.redisProgram, Log: filepath.Join(w.dir, "redis.log"),
		Args: []string{"--port", port, "--bind", "127.0.0.1", "--dir", w.dir, "--save", "", "--appendonly", "no", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"},
	})
	return err
}

// killRedis ends Redis from time to time and starts an empty one in its place.
func (w *world) killRedis(ctx context.Context) error {
	for w.redisProgram != "" && pause(ctx, redisLives) {
		w.redis.Stop()
		w.redis = nil
		pause(ctx, redisDead)
		if err := w.startRedis(); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) changeConfiguration(ctx context.Context, every time.Duration) error {
	for turn := 1; pause(ctx, every); turn++ {
		if err := w.writeConfiguration(turn % 2); err != nil {
			return err
		}
	}
	return nil
}
