package main

import (
	"io"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
)

func TestRequest_SaysTheSameBothWays(t *testing.T) {
	t.Parallel()
	const tx = `{"from":"0x0000000000000000000000000000000000000001","to":"0x000000000000000000000000000000000000dEaD",` +
		`"data":"0x0000000000000000000000000000000000000000000000000000005100000007"`
	r := request{number: 7, from: common.HexToAddress("0x1")}
	require.Equal(t, "/v1/transactions", r.path())
	require.Equal(t, tx+`}`, r.body())
	r.gas = 25_000
	require.Equal(t, tx+`,"gas":25000}`, r.body())
	r.isRPC = true
	require.Equal(t, "/", r.path())
	require.Equal(t, `{"jsonrpc":"2.0","id":7,"method":"eth_sendTransaction","params":[`+tx+`,"gas":"0x61a8"}]}`, r.body())
}

func TestNewRequest_EverySenderUsesBothWays(t *testing.T) {
	t.Parallel()
	from := []common.Address{{1}, {2}}
	ways := map[common.Address]int{}
	for i := range 4 {
		if r := newRequest(options{via: viaBoth}, from, i); r.isRPC {
			ways[r.from]++
		}
	}
	require.Equal(t, map[common.Address]int{{1}: 1, {2}: 1}, ways)
	require.True(t, newRequest(options{via: viaRPC}, from, 0).isRPC)
	require.False(t, newRequest(options{via: viaREST}, from, 3).isRPC)
}

func TestRequest_CheckTakesOnlyAcceptance(t *testing.T) {
	t.Parallel()
	hash := common.Hash{}.Hex()
	rest, rpc := request{}, request{isRPC: true}
	require.NoError(t, rest.check(202, []byte(`{"id":"x"}`)))
	require.NoError(t, rpc.check(200, []byte(`{"id":1,"result":"`+hash+`"}`)))
	require.Error(t, rest.check(400, []byte(`{"id":"x"}`)))
	require.Error(t, rest.check(202, []byte(`{}`)))
	require.Error(t, rpc.check(200, []byte(`{"id":1,"error":{"code":-32000}}`)))
	require.Error(t, rpc.check(200, []byte(`not JSON`)))
}

func TestCheckExactlyOnce_FindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := request{number: 1}
	items := map[string]item{r.key(): {Hash: "0xa", Data: r.marker()}}
	require.NoError(t, checkExactlyOnce([]request{r}, items, map[string][]string{r.marker(): {"0xa"}}))
	require.ErrorContains(t, checkExactlyOnce([]request{r}, items, nil), "0 times")
	require.ErrorContains(t, checkExactlyOnce([]request{r}, items, map[string][]string{r.marker(): {"0xa", "0xb"}}), "2 times")
	require.ErrorContains(t, checkExactlyOnce([]request{r}, items, map[string][]string{r.marker(): {"0xb"}}), "the signer shows")
	require.ErrorContains(t, checkExactlyOnce([]request{r}, items, map[string][]string{r.marker(): {"0xa"}, "0x": {"0xc"}}), "2 on the chain")
}

func TestParse_RefusesNonsense(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-senders", "1,x"}, {"-senders", "0"}, {"-transactions", "0"}, {"-via", "post"}, {"-senders", "1,8", "-profiles", "x"}, {"-senders", "1,8", "-flat", "5"},
	} {
		_, err := parse(args, io.Discard)
		require.Error(t, err, args)
	}
	o, err := parse([]string{"-senders", "1,64"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []int{1, 64}, o.senders)
	o, err = parse([]string{"-flat", "200000"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []int{8}, o.senders)
	require.Equal(t, 200_000, o.transactions)
}
