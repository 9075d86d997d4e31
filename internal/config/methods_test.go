package config

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
)

func TestLoadGateway_DefinedMethods(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/methods.yaml", environment())
	require.NoError(t, err)
	no := false
	require.Equal(t, []methods.Definition{
		{Name: "eth_getBlockByHash", Block: &methods.BlockRef{}, TellsBlock: true},
		{Name: "eth_getBlockByNumber", Block: &methods.BlockRef{}, TellsBlock: true, PinsLatest: &no, MindsBounds: &no},
		{Name: "ours_balance", Block: &methods.BlockRef{Position: 2}, PinsFinalized: &no},
		{Name: "ours_byMember", Block: &methods.BlockRef{Member: "atBlock"}},
		{Name: "ours_config", Finalized: true},
		{Name: "ours_find", Block: &methods.BlockRef{IsAny: true}, TellsBlock: true},
		{Name: "ours_price", Realtime: true},
		{Name: "ours_range", Block: &methods.BlockRef{IsRange: true}},
		{Name: "ours_session", Stateful: true},
	}, got.App.Projects[0].Networks[0].Methods)
	text, err := got.YAML()
	require.NoError(t, err)
	again, err := parseGateway("again", bytes.ReplaceAll(text, []byte("\"[redacted]\""), []byte("http://one")), environment())
	require.NoError(t, err, string(text))
	require.Equal(t, got.App.Projects[0].Networks[0].Methods, again.App.Projects[0].Networks[0].Methods, "what is printed says the same")
}
