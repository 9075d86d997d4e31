package devnet

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/stretchr/testify/require"
)

// helperDir is the variable that makes this test binary run a chain on the
// named folder until it is killed.
const helperDir = "DEVNET_TEST_HELPER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		os.Exit(runHelper(dir))
	}
	os.Exit(m.Run())
}

func runHelper(dir string) int {
	cfg := Config{ChainID: testChainID, BlockTime: 5 * time.Millisecond, Dir: dir}
	chain, err := New(cfg)
	if err == nil {
		err = chain.Run(context.Background(), func() { fmt.Println(chain.HTTPURL()) })
	}
	fmt.Println(err)
	return 1
}

// A block that a client has seen must survive kill -9, whenever it comes.
func TestChain_LosesNothingThatWasSeenWhenKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "chain")
	var seen common.Hash

	for round := range 8 {
		process, client := startHelper(t, dir)
		if seen != (common.Hash{}) {
			requireCanonical(t, client, seen)
		}
		seen = watch(t, client, uint64(5+3*round))
		require.NoError(t, process.Process.Kill())
		_ = process.Wait() // it was killed
	}
	_, client := startHelper(t, dir)
	requireCanonical(t, client, seen)
}

func startHelper(t *testing.T, dir string) (*exec.Cmd, *ethclient.Client) {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), helperDir+"="+dir)
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(line, "http://"), line)
	client, err := ethclient.DialContext(t.Context(), strings.TrimSpace(line))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return process, client
}

// watch polls the head until some blocks have gone by and returns the last one
// it saw, so that the kill follows as closely as it can.
func watch(t *testing.T, client *ethclient.Client, blocks uint64) common.Hash {
	t.Helper()
	first, err := client.BlockNumber(t.Context())
	require.NoError(t, err)
	var seen common.Hash
	require.Eventually(t, func() bool {
		head, err := client.HeaderByNumber(t.Context(), nil)
		if err != nil {
			return false
		}
		seen = head.Hash()
		return head.Number.Uint64() >= first+blocks
	}, 20*time.Second, time.Millisecond)
	return seen
}

func requireCanonical(t *testing.T, client *ethclient.Client, hash common.Hash) {
	t.Helper()
	header, err := client.HeaderByHash(t.Context(), hash)
	require.NoError(t, err, "the block was lost")
	canonical, err := client.HeaderByNumber(t.Context(), header.Number)
	require.NoError(t, err)
	require.Equal(t, hash, canonical.Hash())
}
