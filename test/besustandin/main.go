// Program besustandin stands in for Hyperledger Besu in tests that run the charts'
// pods. It is not Besu, and nothing that it does proves anything about Besu.
//
// It reads what Besu would read: options, config.toml, genesis file, static nodes and
// the node's key, and refuses what Besu refuses, or what would make a network that
// never produces a block. It answers JSON-RPC as Besu does, its error texts and QBFT
// methods included, from a go-ethereum chain (internal/devnet). Nodes agree on each
// block by a majority of the size that QBFT asks for, keep it on their volumes, and
// take turns as proposers, so that validators may go and come as in a real network.
// They change the set of validators by votes in blocks, as QBFT does: see
// electorate.go. Unlike QBFT it trusts every node, and blocks are not sealed: see
// agree.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/lifecycle"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	set, err := readSettings(args)
	if err != nil {
		return err
	}
	net, err := readNetwork(set)
	if err != nil {
		return err
	}
	if err := claimData(set.dataPath, set.storageFormat); err != nil {
		return err
	}
	chain, err := devnet.New(devnet.Config{
		ChainID: net.chainID, BlockTime: devnet.Manual, Dir: filepath.Join(set.dataPath, "chain"), Genesis: net.genesis, Log: log,
	})
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "this is a stand-in for Besu, for tests", slog.String("node", net.own.address.Hex()))
	node, err := newNode(net, chain, set.dataPath, log)
	if err != nil {
		return err
	}
	return serve(ctx, set, node)
}

// answerWithin is how long the chain has for one call, as in Besu.
const answerWithin = 30 * time.Second

// stopWithin is how long each part has to end.
const stopWithin = 5 * time.Second

func serve(ctx context.Context, set settings, node *node) error {
	group := lifecycle.Group{StopTimeout: stopWithin}
	group.Add("chain", node.chain.Run)
	at := func(host string, port uint16) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }
	listen := func(name string, server lifecycle.HTTPServer) {
		server.Log = node.log
		group.Add(name, server.Run)
	}
	listen("p2p", lifecycle.HTTPServer{Addr: at("0.0.0.0", set.p2pPort), Handler: node.peerHandler()})
	group.Add("peers", node.watchPeers)
	group.Add("proposer", node.takeTurns)
	front := &front{node: node, settings: set, client: &http.Client{Timeout: answerWithin}}
	if set.http.enabled {
		listen("rpc", lifecycle.HTTPServer{Addr: at(set.http.host, set.http.port), Handler: front.http()})
	}
	if set.ws.enabled {
		listen("ws", lifecycle.HTTPServer{Addr: at(set.ws.host, set.ws.port), Handler: front.ws()})
	}
	if set.metrics.enabled {
		listen("metrics", lifecycle.HTTPServer{Addr: at(set.metrics.host, set.metrics.port), Handler: front.metrics()})
	}
	return group.Run(ctx, func() { node.log.InfoContext(ctx, "ready") })
}

// claimData refuses a folder that was made with another storage format, as Besu does.
func claimData(dir, format string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data path: %w", err)
	}
	file := filepath.Join(dir, "storage-format")
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return os.WriteFile(file, []byte(format), 0o600)
	case err != nil:
		return fmt.Errorf("data path: %w", err)
	case string(text) != format:
		return fmt.Errorf("mismatch: DB at %s is %s but config expects %s", dir, text, format)
	}
	return nil
}
