package network_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/genesis"
	"github.com/slipwayhq/slipway/internal/network"
)

func spec() network.Spec {
	return network.Spec{
		Names: network.DefaultNames(), FaucetBalance: genesis.DefaultFaucetBalance(),
		Alloc: genesis.Alloc{common.HexToAddress("c0"): {Code: []byte{1, 2}}},
		ABIs:  []network.ABI{{File: "Token.json", Content: "[]"}},
	}
}

func keys(t *testing.T, validators, rpcNodes int) network.Keys {
	t.Helper()
	keys, err := network.NewKeys(validators, rpcNodes)
	require.NoError(t, err)
	return keys
}

func derive(t *testing.T, spec network.Spec, keys network.Keys) network.Material {
	t.Helper()
	material, err := network.Derive(spec, keys)
	require.NoError(t, err)
	return material
}

// written writes a network's folder and gives its path.
func written(t *testing.T) (string, network.Material) {
	t.Helper()
	material := derive(t, spec(), keys(t, 4, 2))
	dir := filepath.Join(t.TempDir(), "network")
	require.NoError(t, material.WriteFolder(dir))
	return dir, material
}

func TestDerive_SameKeysSameNetwork(t *testing.T) {
	t.Parallel()
	set := keys(t, 4, 2)
	var texts [2]bytes.Buffer
	for i := range texts {
		require.NoError(t, derive(t, spec(), set).WriteManifest(&texts[i]))
	}
	require.Equal(t, texts[0].String(), texts[1].String())
	require.NotEqual(t, derive(t, spec(), set).Hash, derive(t, spec(), keys(t, 4, 2)).Hash)
}

func TestDerive_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	set := keys(t, 2, 1)
	same := set
	same.RPCNodes = []genesis.NodeKey{set.Validators[1]}
	faucet := set
	faucet.Faucet = set.Validators[0]
	change := func(change func(*network.Spec)) network.Spec {
		s := spec()
		change(&s)
		return s
	}
	cases := map[string]struct {
		spec network.Spec
		keys network.Keys
		want string
	}{
		"zero validators":    {spec(), network.Keys{Faucet: set.Faucet}, "at least one validator"},
		"one key twice":      {spec(), same, "besu-node-validator-1 and besu-node-rpc-0 have the same key, of address 0x"},
		"the faucet's key":   {spec(), faucet, "besu-faucet and besu-node-validator-0 have the same key"},
		"bad name":           {change(func(s *network.Spec) { s.Names.ValidatorPrefix = "Besu_Node" }), set, `validators' prefix "Besu_Node" is not a name of Kubernetes`},
		"one prefix for two": {change(func(s *network.Spec) { s.Names.RPCPrefix = s.Names.ValidatorPrefix }), set, "the same prefix"},
		"no discovery port":  {change(func(s *network.Spec) { s.Names.DiscoveryPort = 0 }), set, "the discovery port must not be 0"},
		"bad subgraph":       {change(func(s *network.Spec) { s.Subgraph = "kit:x" }), set, "is not a content id of IPFS"},
		"ABI outside": {
			change(func(s *network.Spec) { s.ABIs = []network.ABI{{File: "../x"}} }), set,
			`the ABI file "../x" has a name that cannot be used`,
		},
		"ABIs of one name": {change(func(s *network.Spec) { s.ABIs = []network.ABI{{File: "A.json"}, {File: "a.json"}} }), set, "differ only in upper and lower case"},
		"the faucet in the allocations": {change(func(s *network.Spec) {
			s.Alloc = genesis.Alloc{set.Faucet.Address(): {Balance: genesis.NewQuantity(1)}}
		}), set, "the allocations have the faucet's account"},
		"faucet too rich": {change(func(s *network.Spec) { s.FaucetBalance = new(big.Int).Lsh(big.NewInt(1), 256) }), set, "the faucet's balance must be"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := network.Derive(c.spec, c.keys)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestFolder_KeysReadBackGiveTheSameNetwork(t *testing.T) {
	t.Parallel()
	dir, material := written(t)

	again, err := network.ReadKeys(dir, network.DefaultNames())
	require.NoError(t, err)
	require.Equal(t, material.Hash, derive(t, spec(), again).Hash)

	found, err := network.VerifyFolder(dir)
	require.NoError(t, err)
	require.Empty(t, found.Differences)
	require.Equal(t, material.Hash, found.Hash)

	require.ErrorContains(t, material.WriteFolder(dir), "is not empty: a network's keys are never overwritten")
	info, err := os.Stat(filepath.Join(dir, "besu-node-validator-0", "key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".slipway*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// replaceIn changes a file of a folder.
func replaceIn(t *testing.T, dir, name, old, with string) {
	t.Helper()
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), old)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, with, 1)), 0o600))
}

func TestVerifyFolder_SaysWhatDiffers(t *testing.T) {
	t.Parallel()
	stranger, err := genesis.NewNodeKey()
	require.NoError(t, err)
	cases := map[string]struct {
		change func(t *testing.T, dir string, m network.Material)
		want   []string
	}{
		"a key": {func(t *testing.T, dir string, m network.Material) {
			t.Helper()
			replaceIn(t, dir, "besu-node-validator-2/key", m.Keys.Validators[2].Private().Reveal(), stranger.Private().Reveal())
		}, []string{
			"extraData does not have the validator " + stranger.Address().Hex(), "which is none of the validators",
			"besu-node-validator-2/address is not that of the private key beside it", "static-nodes.json does not have besu-node-validator-2",
		}},
		"the chain id": {func(t *testing.T, dir string, _ network.Material) {
			t.Helper()
			replaceIn(t, dir, "genesis.json", "53771311147", "53771311148")
		}, []string{"the chain id is 53771311148, not 53771311147"}},
		"an account": {func(t *testing.T, dir string, _ network.Material) {
			t.Helper()
			replaceIn(t, dir, "genesis.json", `"0x0102"`, `"0x0103"`)
		}, []string{"the genesis hash is 0x"}},
		"a number that is not in the hash": {func(t *testing.T, dir string, _ network.Material) {
			t.Helper()
			replaceIn(t, dir, "genesis.json", `"blockperiodseconds": 2`, `"blockperiodseconds": 3`)
		}, []string{`is "blockperiodseconds": 3,, the record gives "blockperiodseconds": 2,`}},
		"extraData": {func(t *testing.T, dir string, m network.Material) {
			t.Helper()
			address := strings.ToLower(m.Keys.Validators[0].Address().Hex()[2:])
			replaceIn(t, dir, "genesis.json", address, strings.ToLower(stranger.Address().Hex()[2:]))
		}, []string{"extraData does not have the validator", "extraData has " + stranger.Address().Hex()}},
		"a static node": {func(t *testing.T, dir string, _ network.Material) {
			t.Helper()
			replaceIn(t, dir, "static-nodes.json", "besu-node-rpc-1.", "besu-node-rpc-9.")
		}, []string{"static-nodes.json does not have besu-node-rpc-1", "which is none of the nodes"}},
		"an address file": {func(t *testing.T, dir string, _ network.Material) {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Join(dir, "besu-faucet", "address")))
		}, []string{"besu-faucet/address is missing"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, material := written(t)
			c.change(t, dir, material)
			found, err := network.VerifyFolder(dir)
			require.NoError(t, err)
			all := strings.Join(found.Differences, "\n")
			for _, want := range c.want {
				require.Contains(t, all, want)
			}
			require.NotContains(t, all, stranger.Private().Reveal())
		})
	}
}

func TestReadKeys_SaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := network.ReadKeys("/nonexistent", network.DefaultNames())
	require.ErrorContains(t, err, "the folder of keys cannot be read: open /nonexistent")

	_, err = network.ReadKeys(t.TempDir(), network.DefaultNames())
	require.ErrorContains(t, err, "the folder has no validator's key")

	dir, _ := written(t)
	require.NoError(t, os.Remove(filepath.Join(dir, "besu-faucet", "key")))
	_, err = network.ReadKeys(dir, network.DefaultNames())
	require.ErrorContains(t, err, "the folder has no key of the faucet")

	dir, _ = written(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "besu-node-validator-1", "key"), []byte("0x1234"), 0o600))
	_, err = network.ReadKeys(dir, network.DefaultNames())
	require.ErrorContains(t, err, "besu-node-validator-1/key: a private key is 64 hex digits")
	require.NotContains(t, err.Error(), "1234")
}

func TestAddNode_KeepsTheGenesis(t *testing.T) {
	t.Parallel()
	dir, material := written(t)

	node, err := network.AddNode(dir, network.Validator)
	require.NoError(t, err)
	require.Equal(t, "besu-node-validator-4", node.Name)

	found, err := network.VerifyFolder(dir)
	require.NoError(t, err)
	require.Empty(t, found.Differences)
	require.Equal(t, material.Hash, found.Hash)
	require.Len(t, found.Validators, 4)
}

func TestVerifyGenesis_OnlyClaimsAreCompared(t *testing.T) {
	t.Parallel()
	material := derive(t, spec(), keys(t, 3, 0))
	text, err := material.Genesis.JSON()
	require.NoError(t, err)
	found, err := network.VerifyGenesis(text, network.Claims{})
	require.NoError(t, err)
	require.Empty(t, found.Differences)
	require.Len(t, found.Validators, 3)

	sparse, err := material.Genesis.Sparse(material.Keys.Faucet.Address()).JSON()
	require.NoError(t, err)
	found, err = network.VerifyGenesis(sparse, network.Claims{})
	require.NoError(t, err)
	require.Contains(t, found.Differences[0], "1 accounts have nothing in them")

	for _, text := range []string{"", "{", "[]", `{"config":{}}`} {
		_, err = network.VerifyGenesis([]byte(text), network.Claims{})
		require.Error(t, err, text)
	}
}

func TestWriteManifest_IsAListOfTheObjects(t *testing.T) {
	t.Parallel()
	material := derive(t, spec(), keys(t, 1, 0))
	var out bytes.Buffer
	require.NoError(t, material.WriteManifest(&out))
	var list struct {
		Kind  string
		Items []struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Data     map[string]string
		}
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &list))
	require.Equal(t, "List", list.Kind)
	require.Equal(t, "Secret", list.Items[0].Kind)
	require.Equal(t, "besu-genesis", list.Items[len(list.Items)-1].Metadata.Name, "the genesis is the last")
	require.NotContains(t, out.String(), material.Keys.Faucet.Private().Reveal(), "Secrets are in base64")
}

func TestWriteScreen_ShowsKeysOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	material := derive(t, spec(), keys(t, 1, 0))
	var without, with bytes.Buffer
	require.NoError(t, material.WriteScreen(&without, false))
	require.NoError(t, material.WriteScreen(&with, true))
	secret := material.Keys.Validators[0].Private().Reveal()
	require.NotContains(t, without.String(), secret)
	require.Contains(t, with.String(), secret)
	require.Contains(t, without.String(), material.Hash.Hex())
}

func TestEnode_ValidatorsMayHaveServicesOfTheirOwn(t *testing.T) {
	t.Parallel()
	set := keys(t, 1, 1)
	names := network.DefaultNames()
	require.Contains(t, names.Enode(network.Validator, 0, set.Validators[0]), "@besu-node-validator-0.besu-node.default.svc.cluster.local:30303")
	names.ValidatorService = ""
	require.Contains(t, names.Enode(network.Validator, 0, set.Validators[0]), "@besu-node-validator-0.default.svc.cluster.local:30303")
	require.Contains(t, names.Enode(network.RPC, 0, set.RPCNodes[0]), "@besu-node-rpc-0.besu-node-rpc.default.svc.cluster.local:30303")
}
