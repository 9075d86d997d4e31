package chaos

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
)

// anvilWorld is a world on Foundry's anvil, which has faults of its own. It is
// false where SLIPWAY_CHAOS_ANVIL names no program (npm i @foundry-rs/anvil).
func anvilWorld(t *testing.T, confirmations int) (*world, bool) {
	t.Helper()
	program := os.Getenv(anvilVariable)
	if program == "" {
		t.Log("NOT RUN: " + anvilVariable + " names no anvil")
		return nil, false
	}
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "--host", "127.0.0.1", "--port", port, "--no-mining", "--silent",
		"--chain-id", strconv.Itoa(chainID), "--mnemonic", phrase)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	w := &world{client: newClient(t)}
	url := "http://" + address
	w.eventually(t, "anvil answers", func() bool {
		_, err := w.call(url, "anvil_setBalance", crypto.PubkeyToAddress(deployer(t).PublicKey), "0x8ac7230489e80000")
		return err == nil
	})
	return newWorld(t, options{blockTime: manual, node: url, finalityDepth: 8, queue: map[string]any{"confirmations": confirmations}}), true
}

// Row 7, by a node that can be told to forget.
func TestRow07_AnvilForgetsItsPool(t *testing.T) {
	t.Parallel()
	w, isThere := anvilWorld(t, 1)
	if !isThere {
		return
	}
	n := choose(20, 200)
	w.replica(t).start(t)
	w.load(t, 0, n)
	w.waitStatus(t, "submitted", n)
	var nothing any
	w.rpc(t, w.nodeURL(), &nothing, "anvil_dropAllTransactions")
	w.judge(t, verdict{accepted: n})
}

// Row 9, by a node that puts other blocks in place of its last ones.
func TestRow09_AnvilReorganises(t *testing.T) {
	t.Parallel()
	w, isThere := anvilWorld(t, 7)
	if !isThere {
		return
	}
	n := choose(8, 40)
	w.replica(t).start(t)
	for range 10 {
		w.seal(t)
	}
	w.load(t, 0, n)
	w.waitStatus(t, "submitted", n)
	for range 3 {
		w.seal(t)
	}
	w.waitStatus(t, "mined", n)
	var nothing any
	w.rpc(t, w.nodeURL(), &nothing, "anvil_reorg", 3, []any{})
	require.Empty(t, w.readChain(t).hits, "the blocks are gone")
	pause(t, time.Second)
	w.judge(t, verdict{accepted: n})
}
