package genesis_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/params"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/genesis"
)

func addresses(hex ...string) []common.Address {
	out := make([]common.Address, len(hex))
	for i, digits := range hex {
		out[i] = common.HexToAddress(digits)
	}
	return out
}

const vanity = "a00000000000000000000000000000000000000000000000000000000000000000"

// extraVectors are values that others have published.
func extraVectors() map[string]struct {
	protocol   genesis.Consensus
	validators []common.Address
	want       string
} {
	type vector = struct {
		protocol   genesis.Consensus
		validators []common.Address
		want       string
	}
	return map[string]vector{
		// The example of Besu's page on QBFT.
		"QBFT, 1 validator": {
			genesis.QBFT, addresses("9811ebc35d7b06b3fa8dc5809a1f9c52751e1deb"),
			"0xf83a" + vanity + "d5949811ebc35d7b06b3fa8dc5809a1f9c52751e1debc080c0",
		},
		// A test vector of GoQuorum, whose QBFT extraData is the same.
		"QBFT, 4 validators in the order given": {
			genesis.QBFT, addresses("44add0ec310f115a0e603b2d7db9f067778eaf8a", "294fc7e8f22b3bcdcf955dd7ff3ba2ed833f8212",
				"6beaaed781d2d2ab6350f5c4566a2c6eaac407a6", "8be76812f765c24641ec63dc2852b378aba2b440"),
			"0xf87a" + vanity + "f8549444add0ec310f115a0e603b2d7db9f067778eaf8a94294fc7e8f22b3bcdcf955dd7ff3ba2ed833f8212" +
				"946beaaed781d2d2ab6350f5c4566a2c6eaac407a6948be76812f765c24641ec63dc2852b378aba2b440c080c0",
		},
		// From a published network of up to ten Besu validators.
		"QBFT, 7 validators": {
			genesis.QBFT, addresses("033c007add93008949e50420cb8cb719f1437b3d", "1adc1efb2e45e4465f1d7dbe861fe108377d0d64",
				"279e295979c94b3a6f4602f35cad8660bff762db", "3ec844a79db1f0371cacf5b63b4cc9a42a2dfa8e",
				"5ca4b4d85d68b21571b7a1cd6b77f3fce7de15e5", "5ee364876ad13587ac27ee3b2b1251147c3797ca",
				"704340fb15e92cb0850b490ad1ee72ee1fa06a5e"),
			"0xf8b9" + vanity + "f89394033c007add93008949e50420cb8cb719f1437b3d941adc1efb2e45e4465f1d7dbe861fe108377d0d64" +
				"94279e295979c94b3a6f4602f35cad8660bff762db943ec844a79db1f0371cacf5b63b4cc9a42a2dfa8e945ca4b4d85d68b21571b7a1cd6b77f3fce7de15e5" +
				"945ee364876ad13587ac27ee3b2b1251147c3797ca94704340fb15e92cb0850b490ad1ee72ee1fa06a5ec080c0",
		},
		// Published output of `besu rlp encode --type=IBFT_EXTRA_DATA`.
		"IBFT 2.0, 4 validators": {
			genesis.IBFT2, addresses("12880f549a47b8374ae6155063e39971c5438871", "f78341e7dc842f525436e8c5657de2eece373b91",
				"21c544e17bdddea40fc8889c60b29de25805f555", "067d60b8b8569299ce766760c0347011dc1fba0b"),
			"0xf87e" + vanity + "f8549412880f549a47b8374ae6155063e39971c543887194f78341e7dc842f525436e8c5657de2eece373b91" +
				"9421c544e17bdddea40fc8889c60b29de25805f55594067d60b8b8569299ce766760c0347011dc1fba0b808400000000c0",
		},
	}
}

func TestExtraData_IsWhatOthersPublished(t *testing.T) {
	t.Parallel()
	for name, v := range extraVectors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := genesis.ExtraData(v.protocol, v.validators)
			require.NoError(t, err)
			require.Equal(t, v.want, hexutil.Encode(got))

			back, err := genesis.Validators(v.protocol, got)
			require.NoError(t, err)
			require.Equal(t, v.validators, back)
		})
	}
}

func TestValidators_RefusesWhatIsNoGenesisExtraData(t *testing.T) {
	t.Parallel()
	one := "d5949811ebc35d7b06b3fa8dc5809a1f9c52751e1deb"
	cases := map[string]struct{ text, want string }{
		"nothing":          {"0x", "extraData is not that of qbft"},
		"that of IBFT 2.0": {"0xf83e" + vanity + one + "808400000000c0", "extraData is not that of qbft"},
		"a round":          {"0xf83a" + vanity + one + "c001c0", "has a vote, a round or seals"},
		"a vote":           {"0xf850" + vanity + one + "d6949811ebc35d7b06b3fa8dc5809a1f9c52751e1deb8080c0", "has a vote, a round or seals"},
		"short vanity":     {"0xdc820000" + one + "c080c0", "2 bytes of vanity"},
		"more behind":      {"0xf83a" + vanity + one + "c080c000", "extraData is not that of qbft"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := genesis.Validators(genesis.QBFT, hexutil.MustDecode(c.text))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func fourKeys(t *testing.T) []genesis.NodeKey {
	t.Helper()
	keys := make([]genesis.NodeKey, 4)
	for i := range keys {
		key, err := genesis.ParseNodeKey(strings.Repeat("0", 63) + string(rune('1'+i)))
		require.NoError(t, err)
		keys[i] = key
	}
	return keys
}

// The public networks' genesis blocks have no BFT in them, but every other
// field of a header and a state of up to thousands of accounts, two of them
// empty. Besu follows these networks, so their hashes are Besu's.
func TestHash_IsThatOfPublicNetworks(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		genesis *core.Genesis
		want    common.Hash
	}{
		"mainnet": {core.DefaultGenesisBlock(), params.MainnetGenesisHash},
		"Sepolia": {core.DefaultSepoliaGenesisBlock(), params.SepoliaGenesisHash},
		"Hoodi":   {core.DefaultHoodiGenesisBlock(), params.HoodiGenesisHash},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal(c.genesis)
			require.NoError(t, err)
			file, err := genesis.Parse(text)
			require.NoError(t, err)
			got, err := file.Hash()
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// No hash that Besu computed for a published QBFT genesis file was found, for
// no count of validators. go-ethereum's own reader of genesis files is an
// implementation that shares nothing with ours above the trie.
func TestHash_IsThatOfGoEthereum(t *testing.T) {
	t.Parallel()
	seven := addresses("01", "02", "03", "04", "05", "06", "07")
	alloc := genesis.Alloc{
		common.HexToAddress("f0"): {Balance: genesis.Quantity{Int: *genesis.DefaultFaucetBalance()}},
		common.HexToAddress("c0"): {
			Code: hexutil.MustDecode("0x6001600055"), Nonce: quantity(1),
			Storage: map[common.Hash]common.Hash{{31: 1}: {31: 7}, {31: 2}: {1: 0xff}, {31: 3}: {}},
		},
	}
	cases := map[string]genesis.Params{
		"defaults": {},
		"quiet":    {Profile: genesis.Quiet},
		"priced":   {GasPrice: 1000, ChainID: 1337},
		"IBFT 2.0": {Consensus: genesis.IBFT2},
		"London":   {Fork: genesis.London, Timestamp: 0x58ee40ba},
		"Shanghai": {Fork: genesis.Shanghai, GasLimit: 30_000_000},
	}
	for name, p := range cases {
		for _, count := range []int{1, 4, 7} {
			file, err := genesis.Build(p, seven[:count], alloc)
			require.NoError(t, err, name)
			text, err := file.JSON()
			require.NoError(t, err, name)
			got, err := file.Hash()
			require.NoError(t, err, name)

			require.Equal(t, gethHash(t, text), got, "%s, %d validators", name, count)
		}
	}
}

func quantity(value uint64) *genesis.Quantity {
	q := genesis.NewQuantity(value)
	return &q
}

// gethHash is what go-ethereum makes of a genesis file.
func gethHash(t *testing.T, text []byte) common.Hash {
	t.Helper()
	var g core.Genesis
	require.NoError(t, json.Unmarshal(text, &g))
	return g.ToBlock().Hash()
}

// These were made by this package once, checked as above, and may never change:
// another hash is another network.
func TestBuild_GoldenHashes(t *testing.T) {
	t.Parallel()
	want := map[int]string{
		1: "0x70af6d0a38598a35afc3decd16d18b96165c1099c6ba591b2caa9630d692acba",
		4: "0x5fedd9a5f9ec048946f547bd05b867c916b843bfa305c007b06ae43beb3bf80b",
		7: "0x75a1d0c835bec3d6b71c0203d9ecf360dec60f67fc319eee4e25ddbc0007534a",
	}
	all := addresses("07", "02", "03", "04", "05", "06", "01")
	for count, hash := range want {
		file, err := genesis.Build(genesis.Params{}, all[:count], nil)
		require.NoError(t, err)
		got, err := file.Hash()
		require.NoError(t, err)
		require.Equal(t, hash, got.Hex(), "%d validators", count)
	}
}

func TestBuild_SameInputSameBytesWhateverTheOrder(t *testing.T) {
	t.Parallel()
	keys := fourKeys(t)
	faucet := genesis.Alloc{common.HexToAddress("f0"): {Balance: genesis.NewQuantity(1)}}
	forwards, err := genesis.Build(genesis.Params{}, genesis.Addresses(keys), faucet)
	require.NoError(t, err)
	backwards, err := genesis.Build(genesis.Params{},
		[]common.Address{keys[3].Address(), keys[2].Address(), keys[1].Address(), keys[0].Address()}, faucet)
	require.NoError(t, err)

	a, err := forwards.JSON()
	require.NoError(t, err)
	b, err := backwards.JSON()
	require.NoError(t, err)
	require.Equal(t, string(a), string(b))
}

func TestBuild_Profiles(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		params                 genesis.Params
		period, empty, timeout uint64
	}{
		"steady":             {genesis.Params{}, 2, 0, 4},
		"quiet":              {genesis.Params{Profile: genesis.Quiet}, 2, 60, 65},
		"quiet, slow blocks": {genesis.Params{Profile: genesis.Quiet, BlockPeriod: 10}, 10, 60, 73},
		"steady, 5 s":        {genesis.Params{BlockPeriod: 5}, 5, 0, 10},
		"own numbers":        {genesis.Params{Profile: genesis.Quiet, BlockPeriod: 1, EmptyBlockPeriod: 30, RequestTimeout: 45}, 1, 30, 45},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := genesis.Build(c.params, addresses("01"), nil)
			require.NoError(t, err)
			section := file.Config.QBFT
			require.EqualValues(t, c.period, section.BlockPeriodSeconds)
			require.EqualValues(t, c.timeout, section.RequestTimeoutSeconds)
			if c.empty == 0 {
				require.Nil(t, section.EmptyBlockPeriodSeconds)
			} else {
				require.EqualValues(t, c.empty, *section.EmptyBlockPeriodSeconds)
			}
		})
	}
}

func TestBuild_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	one := addresses("01")
	cases := map[string]struct {
		params     genesis.Params
		validators []common.Address
		alloc      genesis.Alloc
		want       string
	}{
		"no validators":         {genesis.Params{}, nil, nil, "at least one validator"},
		"one key twice":         {genesis.Params{}, addresses("01", "02", "01"), nil, "two validators have the same key: address 0x0000000000000000000000000000000000000001"},
		"chain id too large":    {genesis.Params{ChainID: 1 << 63}, one, nil, "chain id 9223372036854775808 is above 9223372036854775771"},
		"unknown profile":       {genesis.Params{Profile: "loud"}, one, nil, `profile "loud" is not known`},
		"unknown consensus":     {genesis.Params{Consensus: "pow"}, one, nil, `consensus "pow" is not known`},
		"unknown fork":          {genesis.Params{Fork: "byzantium"}, one, nil, `fork "byzantium" is not known`},
		"quiet IBFT 2.0":        {genesis.Params{Profile: genesis.Quiet, Consensus: genesis.IBFT2}, one, nil, "IBFT 2.0 has no period for empty blocks"},
		"timeout too short":     {genesis.Params{Profile: genesis.Quiet, RequestTimeout: 60}, one, nil, "the request timeout, 60 s, must be longer"},
		"empty blocks faster":   {genesis.Params{BlockPeriod: 10, EmptyBlockPeriod: 5}, one, nil, "is shorter than that of blocks"},
		"gas limit too large":   {genesis.Params{GasLimit: 1 << 63}, one, nil, "gas limit 9223372036854775808 is above"},
		"number above Java int": {genesis.Params{ContractSizeLimit: 1 << 31}, one, nil, "contract size limit 2147483648 is above"},
		"empty account": {
			genesis.Params{},
			one,
			genesis.Alloc{common.HexToAddress("aa"): {}},
			"the allocation of 0x00000000000000000000000000000000000000aa is empty",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := genesis.Build(c.params, c.validators, c.alloc)
			require.ErrorContains(t, err, strings.ReplaceAll(c.want, "00aa", "00AA"))
		})
	}
}

func TestFile_SparseAndFilledAgain(t *testing.T) {
	t.Parallel()
	faucet, contract := common.HexToAddress("f0"), common.HexToAddress("c0")
	file, err := genesis.Build(genesis.Params{}, addresses("01"), genesis.Alloc{
		faucet: {Balance: genesis.NewQuantity(5)}, contract: {Code: []byte{1}},
	})
	require.NoError(t, err)

	sparse := file.Sparse(faucet)
	require.Equal(t, []common.Address{contract}, sparse.Missing())
	require.Empty(t, file.Missing(), "the whole file stays as it is")
	require.NotEqual(t, mustHash(t, file), mustHash(t, sparse))
}

func TestParse_ReadsWhatBesuReads(t *testing.T) {
	t.Parallel()
	file, err := genesis.Parse([]byte(`{
		"config": {"chainid": "0x2a", "londonBlock": "0", "QBFT": {"blockperiodseconds": "2"}},
		"gaslimit": 5, "difficulty": "1", "mixhash": "` + "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365" + `",
		"extraData": "0x", "somethingElse": [1],
		"alloc": {"fe3b557e8fb62b89f4916b721be55ceb828dbd73": {"privateKey": "ignored", "balance": "0xad", "storage": {"0x1": "02"}}}
	}`))
	require.NoError(t, err)
	require.EqualValues(t, 42, file.Config.ChainID)
	require.EqualValues(t, 2, file.Config.QBFT.BlockPeriodSeconds)
	account := file.Alloc[common.HexToAddress("fe3b557e8fb62b89f4916b721be55ceb828dbd73")]
	require.Equal(t, common.Hash{31: 2}, account.Storage[common.Hash{31: 1}])
	require.Zero(t, account.Balance.Cmp(big.NewInt(0xad)))
	_, err = file.Hash()
	require.NoError(t, err)
}

func TestNodeKey_KnownPair(t *testing.T) {
	t.Parallel()
	// The first account of the public development phrase.
	key, err := genesis.ParseNodeKey("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80\n")
	require.NoError(t, err)
	require.Equal(t, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", key.Address().Hex())
	require.Len(t, key.ID(), 128)
	require.Equal(t, "0x04"+key.ID(), key.PublicKey())

	for _, id := range []string{key.ID(), key.PublicKey()} {
		address, err := genesis.AddressOfID(id)
		require.NoError(t, err)
		require.Equal(t, key.Address(), address)
	}
	address, err := genesis.AddressOfEnode(genesis.Enode(key.ID(), "besu-node-validator-0.besu-node.x.svc.cluster.local", 30303, 30304))
	require.NoError(t, err)
	require.Equal(t, key.Address(), address)
}

func TestParseNodeKey_NeverShowsTheText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "0x12", strings.Repeat("zz", 32), strings.Repeat("0", 64), strings.Repeat("f", 64)} {
		_, err := genesis.ParseNodeKey(text)
		require.Error(t, err)
		if text != "" {
			require.NotContains(t, err.Error(), text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"config":{"chainId":1,"qbft":{}},"alloc":{"0x0000000000000000000000000000000000000001":{"balance":"1"}},"extraData":"0x","gasLimit":"0x1"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := genesis.Parse(text)
		if err != nil {
			return
		}
		if _, err := file.Hash(); err != nil {
			return
		}
		written, err := file.JSON()
		require.NoError(t, err)
		again, err := genesis.Parse(written)
		require.NoError(t, err)
		require.Equal(t, mustHash(t, file), mustHash(t, again))
	})
}

func FuzzValidators(f *testing.F) {
	f.Add(hexutil.MustDecode("0xf83a" + vanity + "d5949811ebc35d7b06b3fa8dc5809a1f9c52751e1debc080c0"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, protocol := range []genesis.Consensus{genesis.QBFT, genesis.IBFT2} {
			validators, err := genesis.Validators(protocol, raw)
			if err != nil {
				continue
			}
			written, err := genesis.ExtraData(protocol, validators)
			require.NoError(t, err)
			require.Len(t, written, len(raw))
			again, err := genesis.Validators(protocol, written)
			require.NoError(t, err)
			require.ElementsMatch(t, validators, again)
		}
	})
}

func mustHash(t *testing.T, file genesis.File) common.Hash {
	t.Helper()
	hash, err := file.Hash()
	require.NoError(t, err)
	return hash
}
