package gatewayapp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// startChain runs an embedded chain with a block for each of some transactions,
// each of which makes one log.
func startChain(t *testing.T, logs int) *devnet.Chain {
	t.Helper()
	key, err := crypto.GenerateKey()
	require.NoError(t, err)
	from := crypto.PubkeyToAddress(key.PublicKey)
	c, err := devnet.New(devnet.Config{ChainID: 31337, BlockTime: devnet.Manual, Alloc: map[common.Address]*big.Int{from: big.NewInt(1e18)}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background()) // must outlive the gateway in front of it
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- c.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	<-ready

	client, err := ethclient.DialContext(t.Context(), c.HTTPURL())
	require.NoError(t, err)
	defer client.Close()
	signer := types.LatestSignerForChainID(big.NewInt(31337))
	for nonce := range logs {
		// Init code that does LOG1(0, 0, nonce) and returns nothing.
		code := []byte{0x60, byte(nonce), 0x60, 0, 0x60, 0, 0xa1, 0}
		tx, err := types.SignNewTx(key, signer, &types.LegacyTx{Nonce: uint64(nonce), Gas: 200_000, GasPrice: new(big.Int), Data: code})
		require.NoError(t, err)
		require.NoError(t, client.SendTransaction(t.Context(), tx))
		_, err = c.Commit()
		require.NoError(t, err)
	}
	return c
}

func configForChain(c *devnet.Chain) gatewayapp.Config {
	cfg := config()
	cfg.Pool().Finality = chain.Finality{Mode: chain.Instant}
	cfg.Pool().Upstreams = []upstreams.Endpoint{{URL: secret.New(c.HTTPURL())}}
	return cfg
}

// TestApp_ASearchInPiecesEqualsTheWhole holds a split search against what a real
// node answers at once.
func TestApp_ASearchInPiecesEqualsTheWhole(t *testing.T) {
	t.Parallel()

	const logs = 25
	node := startChain(t, logs)
	whole := start(t, configForChain(node))
	cfg := configForChain(node)
	cfg.Projects[0].Networks[0].Search = gateway.DefaultSearch()
	cfg.Projects[0].Networks[0].Search.Logs.Chunk = 4
	inPieces := start(t, cfg)

	for _, span := range [][2]int{{0, logs}, {3, 17}, {7, 7}, {5, 8}} {
		body := fmt.Sprintf(`{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x%x","toBlock":"0x%x"}]}`, span[0], span[1])
		_, want := post(t, whole, "/", body)
		_, got := post(t, inPieces, "/", body)
		require.Equal(t, want, got)
		var answer struct{ Result []json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(got), &answer))
		require.Len(t, answer.Result, span[1]-max(span[0], 1)+1)
	}
}
