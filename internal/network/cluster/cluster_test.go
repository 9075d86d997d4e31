package cluster_test

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/slipwayhq/slipway/internal/clustertest"
	"github.com/slipwayhq/slipway/internal/genesis"
	"github.com/slipwayhq/slipway/internal/network"
	"github.com/slipwayhq/slipway/internal/network/cluster"
)

func TestMain(m *testing.M) { os.Exit(clustertest.Main(m)) }

// contract is an account with everything that an account can have.
var contract = common.HexToAddress("0xC0ffee") //nolint:gochecknoglobals // a constant that cannot be written as one

// request asks for a network of four validators and one RPC node.
func request() cluster.Request {
	return cluster.Request{
		Spec: network.Spec{
			Names: network.DefaultNames(), FaucetBalance: genesis.DefaultFaucetBalance(),
			Alloc: genesis.Alloc{
				contract:                  {Code: []byte{0x60, 0x00}, Storage: map[common.Hash]common.Hash{{31: 1}: {31: 2}}},
				common.HexToAddress("aa"): {Balance: genesis.NewQuantity(7)},
			},
			ABIs:     []network.ABI{{File: "Token.json", Content: "[]"}},
			Subgraph: "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
		},
		Validators: 4, RPCNodes: 1, Labels: map[string]string{"app.kubernetes.io/instance": "atk"},
	}
}

func connect(t *testing.T, config *rest.Config, namespace string) *cluster.Cluster {
	t.Helper()
	c, err := cluster.New(config, namespace)
	require.NoError(t, err)
	return c
}

func admin(t *testing.T, api *clustertest.API) *corev1.CoreV1Client {
	t.Helper()
	config := rest.CopyConfig(api.Config)
	config.ContentType = "application/json"
	client, err := corev1.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// everything is the data of all objects of a namespace, by kind and name.
func everything(t *testing.T, api *clustertest.API) map[string]map[string]string {
	t.Helper()
	client, out := admin(t, api), map[string]map[string]string{}
	maps, err := client.ConfigMaps(api.Namespace).List(t.Context(), meta.ListOptions{})
	require.NoError(t, err)
	for _, item := range maps.Items {
		if item.Name != "kube-root-ca.crt" {
			out["ConfigMap "+item.Name] = item.Data
		}
	}
	secrets, err := client.Secrets(api.Namespace).List(t.Context(), meta.ListOptions{})
	require.NoError(t, err)
	for _, item := range secrets.Items {
		data := map[string]string{}
		for key, value := range item.Data {
			data[key] = string(value)
		}
		out["Secret "+item.Name] = data
	}
	return out
}

// requireWhole checks that the namespace has one network and nothing is missing
// or from another one.
func requireWhole(t *testing.T, api *clustertest.API, hash common.Hash) {
	t.Helper()
	objects := everything(t, api)
	// 5 nodes of 4 objects, 3 of the faucet, 2 accounts, an ABI, a subgraph,
	// static nodes, genesis, and the record.
	require.Len(t, objects, 5*4+3+2+1+1+1+1+1)
	static := objects["ConfigMap besu-static-nodes"]["static-nodes.json"]
	var validators []common.Address
	for i := range 5 {
		name := fmt.Sprintf("besu-node-validator-%d", i)
		if i == 4 {
			name = "besu-node-rpc-0"
		}
		key, err := genesis.ParseNodeKey(objects["Secret "+name+"-private-key"]["privateKey"])
		require.NoError(t, err)
		require.Equal(t, key.Address().Hex(), objects["ConfigMap "+name+"-node-address"]["nodeAddress"])
		require.Equal(t, key.ID(), objects["ConfigMap "+name+"-enode"]["enode"])
		require.Equal(t, key.PublicKey(), objects["ConfigMap "+name+"-pubkey"]["publicKey"])
		require.Contains(t, static, key.ID())
		if i < 4 {
			validators = append(validators, key.Address())
		}
	}
	compiled, err := connect(t, api.Config, api.Namespace).CompileGenesis(t.Context(), "besu-genesis", time.Second, 10*time.Millisecond)
	require.NoError(t, err)
	found, err := network.VerifyGenesis(compiled.Text, network.Claims{Validators: validators, Hash: &hash})
	require.NoError(t, err)
	require.Empty(t, found.Differences)
}

func TestBootstrap_MakesEverythingOnceAndNothingTwice(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	c := connect(t, api.Config, api.Namespace)

	first, err := c.Bootstrap(t.Context(), request())
	require.NoError(t, err)
	require.True(t, first.New)
	require.Len(t, first.Made, 30)
	requireWhole(t, api, first.GenesisHash)
	before := everything(t, api)

	second, err := c.Bootstrap(t.Context(), request())
	require.NoError(t, err)
	require.False(t, second.New)
	require.Empty(t, second.Made)
	require.Equal(t, 29, second.Kept)
	require.Equal(t, first.GenesisHash, second.GenesisHash)
	require.Equal(t, before, everything(t, api))

	withoutFile := request()
	withoutFile.Spec.Alloc = nil
	third, err := c.Bootstrap(t.Context(), withoutFile)
	require.NoError(t, err, "the accounts are read from the cluster")
	require.Empty(t, third.Made)
}

func TestBootstrap_NamesKeysAndFlagsThatConsumersReadBy(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	_, err := connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), request())
	require.NoError(t, err)

	objects := everything(t, api)
	require.Equal(t, "[]", objects["ConfigMap abi-token.json"]["Token.json"])
	require.Equal(t, "kit:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", objects["ConfigMap besu-subgraph"]["SUBGRAPH"])
	require.Contains(t, objects, "ConfigMap alloc-0000000000000000000000000000000000c0ffee")
	require.Contains(t, objects, "ConfigMap besu-faucet-address")
	require.Contains(t, objects, "Secret besu-faucet-private-key")
	require.Contains(t, objects["ConfigMap besu-static-nodes"]["static-nodes.json"],
		"@besu-node-validator-3.besu-node."+api.Namespace+".svc.cluster.local:30303?discport=30303")
	sparse, err := genesis.Parse([]byte(objects["ConfigMap besu-genesis"]["genesis.json"]))
	require.NoError(t, err)
	require.Len(t, sparse.Missing(), 2, "the faucet's account alone is whole")

	secret, err := admin(t, api).Secrets(api.Namespace).Get(t.Context(), "besu-node-validator-0-private-key", meta.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, core.SecretTypeOpaque, secret.Type)
	require.True(t, *secret.Immutable)
	require.Equal(t, "slipway", secret.Labels["app.kubernetes.io/managed-by"])
	require.Equal(t, "atk", secret.Labels["app.kubernetes.io/instance"])
	abi, err := admin(t, api).ConfigMaps(api.Namespace).Get(t.Context(), "abi-token.json", meta.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "abi", abi.Annotations["settlemint.com/artifact"])
}

// errKilled is what a run sees whose process is as good as dead.
var errKilled = errors.New("killed")

// killer is a connection that breaks at one write: before the server has it, or
// before its answer is back. Nothing goes through afterwards.
type killer struct {
	next      http.RoundTripper
	at        int64
	answered  bool
	writes    *atomic.Int64
	isOver    *atomic.Bool
	countOnly bool
}

func (k killer) RoundTrip(r *http.Request) (*http.Response, error) {
	if k.isOver.Load() {
		return nil, errKilled
	}
	if r.Method == http.MethodGet || k.writes.Add(1) != k.at || k.countOnly {
		return k.next.RoundTrip(r)
	}
	k.isOver.Store(true)
	if k.answered {
		response, err := k.next.RoundTrip(r)
		if err == nil {
			_ = response.Body.Close()
		}
	}
	return nil, errKilled
}

func killedAt(config *rest.Config, at int64, answered bool) (*rest.Config, *atomic.Int64) {
	out, writes := rest.CopyConfig(config), new(atomic.Int64)
	isOver := new(atomic.Bool)
	out.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return killer{next: next, at: at, answered: answered, writes: writes, isOver: isOver, countOnly: at == 0}
	})
	return out, writes
}

func TestBootstrap_KilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	config, writes := killedAt(api.Config, 0, false)
	_, err := connect(t, config, api.Namespace).Bootstrap(t.Context(), request())
	require.NoError(t, err)
	require.EqualValues(t, 30, writes.Load())

	for at := int64(1); at <= 30; at++ {
		for _, answered := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d, done %v", at, answered), func(t *testing.T) {
				t.Parallel()
				api := clustertest.Start(t)
				config, _ := killedAt(api.Config, at, answered)
				_, err := connect(t, config, api.Namespace).Bootstrap(t.Context(), request())
				require.ErrorIs(t, err, errKilled)
				left := everything(t, api)

				report, err := connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), request())

				require.NoError(t, err)
				requireWhole(t, api, report.GenesisHash)
				after := everything(t, api)
				for name, data := range left {
					require.Equal(t, data, after[name], "%s was kept", name)
				}
			})
		}
	}
}

func TestBootstrap_ManyAtOnceMakeOneNetwork(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	const runs = 6
	reports, failures := make([]cluster.Report, runs), make([]error, runs)
	var all sync.WaitGroup
	for i := range runs {
		c := connect(t, api.Config, api.Namespace)
		all.Go(func() { reports[i], failures[i] = c.Bootstrap(t.Context(), request()) })
	}
	all.Wait()

	decided, made := 0, 0
	for i := range runs {
		require.NoError(t, failures[i])
		require.Equal(t, reports[0].GenesisHash, reports[i].GenesisHash)
		made += len(reports[i].Made)
		if reports[i].New {
			decided++
		}
	}
	require.Equal(t, 1, decided)
	require.Equal(t, 30, made, "no object was made twice")
	requireWhole(t, api, reports[0].GenesisHash)
}

func TestBootstrap_DryRunMakesNothing(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	asked := request()
	asked.DryRun = true

	report, err := connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), asked)

	require.NoError(t, err)
	require.Len(t, report.Made, 30)
	require.Empty(t, everything(t, api))
}

func TestBootstrap_GivenKeysAreUsed(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	keys, err := network.NewKeys(4, 1)
	require.NoError(t, err)
	asked := request()
	asked.Keys = &keys
	c := connect(t, api.Config, api.Namespace)

	report, err := c.Bootstrap(t.Context(), asked)
	require.NoError(t, err)
	asked.Spec.Names.Namespace = api.Namespace
	same, err := network.Derive(asked.Spec, keys)
	require.NoError(t, err)
	require.Equal(t, same.Hash, report.GenesisHash)

	others, err := network.NewKeys(4, 1)
	require.NoError(t, err)
	asked.Keys = &others
	_, err = c.Bootstrap(t.Context(), asked)
	require.ErrorIs(t, err, cluster.ErrDrift)
	require.ErrorContains(t, err, "the given keys are not those of the network")
}

func TestBootstrap_ReportsDriftAndTouchesNothing(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	c := connect(t, api.Config, api.Namespace)
	_, err := c.Bootstrap(t.Context(), request())
	require.NoError(t, err)
	before := everything(t, api)

	cases := map[string]struct {
		change func(*cluster.Request)
		want   []string
	}{
		"chain id":       {func(r *cluster.Request) { r.Spec.Params.ChainID = 5 }, []string{"chain id is 53771311147, and 5 is wanted"}},
		"profile":        {func(r *cluster.Request) { r.Spec.Params.Profile = genesis.Quiet }, []string{"profile is steady, and quiet is wanted", "request timeout is 4, and 65 is wanted"}},
		"faucet balance": {func(r *cluster.Request) { r.Spec.FaucetBalance = big.NewInt(1) }, []string{"faucet balance is 1"}},
		"an account": {
			func(r *cluster.Request) { r.Spec.Alloc[contract] = genesis.Account{Code: []byte{1}} },
			[]string{"account 0x0000000000000000000000000000000000c0ffee is another one in the genesis"},
		},
		"names": {func(r *cluster.Request) { r.Spec.Names.ValidatorPrefix = "v" }, []string{"names are"}},
	}
	for name, example := range cases {
		asked := request()
		example.change(&asked)
		report, err := c.Bootstrap(t.Context(), asked)
		require.ErrorIs(t, err, cluster.ErrDrift, name)
		for _, want := range example.want {
			require.ErrorContains(t, err, want, name)
		}
		require.Empty(t, report.Made, name)
		require.Equal(t, before, everything(t, api), name)
	}
}

func TestBootstrap_ReportsAnObjectThatIsNotTheNetworks(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	_, err := admin(t, api).ConfigMaps(api.Namespace).Create(t.Context(), &core.ConfigMap{
		ObjectMeta: meta.ObjectMeta{Name: "besu-node-validator-2-enode"}, Data: map[string]string{"enode": "of somebody else"},
	}, meta.CreateOptions{})
	require.NoError(t, err)

	_, err = connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), request())

	require.ErrorIs(t, err, cluster.ErrDrift)
	require.ErrorContains(t, err, "ConfigMap besu-node-validator-2-enode is not what the network's record gives")
	require.Equal(t, "of somebody else", everything(t, api)["ConfigMap besu-node-validator-2-enode"]["enode"])
}

func TestBootstrap_LeavesANetworkOfAnotherToolAlone(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	_, err := admin(t, api).ConfigMaps(api.Namespace).Create(t.Context(), &core.ConfigMap{
		ObjectMeta: meta.ObjectMeta{Name: "besu-genesis"}, Data: map[string]string{"genesis.json": "{}"},
	}, meta.CreateOptions{})
	require.NoError(t, err)

	_, err = connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), request())

	require.ErrorContains(t, err, "there is no Secret slipway-network, but there is ConfigMap besu-genesis")
	require.Len(t, everything(t, api), 1)
}

func TestBootstrap_MoreNodesLater(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	c := connect(t, api.Config, api.Namespace)
	first, err := c.Bootstrap(t.Context(), request())
	require.NoError(t, err)
	before := everything(t, api)

	more := request()
	more.Validators, more.RPCNodes = 6, 2
	second, err := c.Bootstrap(t.Context(), more)
	require.NoError(t, err)
	require.Equal(t, first.GenesisHash, second.GenesisHash)
	require.Len(t, second.Made, 3*4)
	require.Contains(t, strings.Join(second.Notes, "\n"), "besu-node-validator-5 (0x")
	after := everything(t, api)
	for name, data := range before {
		if name != "ConfigMap besu-static-nodes" {
			require.Equal(t, data, after[name], name)
		}
	}
	enodes, err := genesis.ParseStaticNodes([]byte(after["ConfigMap besu-static-nodes"]["static-nodes.json"]))
	require.NoError(t, err)
	require.Len(t, enodes, 8)

	// Fewer than there are changes nothing: keys are not thrown away.
	third, err := c.Bootstrap(t.Context(), request())
	require.NoError(t, err)
	require.Empty(t, third.Made)
	require.Equal(t, after, everything(t, api))
}

func TestBootstrap_MoreNodesLaterByManyAtOnceAndKilled(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	first, err := connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), request())
	require.NoError(t, err)
	more := request()
	more.Validators, more.RPCNodes = 5, 2

	// Two nodes of four objects and the static nodes are nine writes.
	for at := int64(1); at <= 9; at++ {
		config, _ := killedAt(api.Config, 1, at%2 == 0)
		_, err := connect(t, config, api.Namespace).Bootstrap(t.Context(), more)
		if err != nil {
			require.ErrorIs(t, err, errKilled)
		}
	}
	const runs = 5
	failures := make([]error, runs)
	var all sync.WaitGroup
	for i := range runs {
		c := connect(t, api.Config, api.Namespace)
		wanted := more
		wanted.Validators += i // they change the static nodes between each other's look and write
		all.Go(func() { _, failures[i] = c.Bootstrap(t.Context(), wanted) })
	}
	all.Wait()
	for _, err := range failures {
		require.NoError(t, err)
	}

	objects := everything(t, api)
	enodes, err := genesis.ParseStaticNodes([]byte(objects["ConfigMap besu-static-nodes"]["static-nodes.json"]))
	require.NoError(t, err)
	require.Len(t, enodes, 9+2)
	for i := range 9 {
		key, err := genesis.ParseNodeKey(objects[fmt.Sprintf("Secret besu-node-validator-%d-private-key", i)]["privateKey"])
		require.NoError(t, err)
		require.Contains(t, strings.Join(enodes, " "), key.ID())
	}
	last, err := connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), more)
	require.NoError(t, err)
	require.Empty(t, last.Made)
	require.Equal(t, first.GenesisHash, last.GenesisHash)
}

// meddler lets somebody else write between our look and our write.
type meddler struct {
	next   http.RoundTripper
	meddle func()
}

func (m meddler) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut {
		m.meddle()
	}
	return m.next.RoundTrip(r)
}

func TestBootstrap_StaticNodesThatChangeMeanwhileAreKept(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	_, err := connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), request())
	require.NoError(t, err)
	const stranger = "enode://of-somebody@elsewhere:30303"
	var once sync.Once
	config := rest.CopyConfig(api.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return meddler{next: next, meddle: func() {
			once.Do(func() {
				maps := admin(t, api).ConfigMaps(api.Namespace)
				is, err := maps.Get(t.Context(), "besu-static-nodes", meta.GetOptions{})
				require.NoError(t, err)
				is.Data["static-nodes.json"] = strings.Replace(is.Data["static-nodes.json"], "[", `["`+stranger+`",`, 1)
				_, err = maps.Update(t.Context(), is, meta.UpdateOptions{})
				require.NoError(t, err)
			})
		}}
	})
	more := request()
	more.Validators = 5

	_, err = connect(t, config, api.Namespace).Bootstrap(t.Context(), more)
	require.NoError(t, err)
	static := everything(t, api)["ConfigMap besu-static-nodes"]["static-nodes.json"]
	require.Contains(t, static, stranger)
	require.Contains(t, static, "besu-node-validator-4.")
}

func TestBootstrap_TheRoleIsEnoughAndNotMore(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	asked := request()
	asked.Spec.Names.Namespace = api.Namespace
	role := cluster.BootstrapRole("bootstrap", asked.Spec.Names, 4, 1)
	restricted := connect(t, api.As(t, "bootstrap", role), api.Namespace)

	report, err := restricted.Bootstrap(t.Context(), request())
	require.NoError(t, err)
	requireWhole(t, api, report.GenesisHash)
	_, err = restricted.Bootstrap(t.Context(), request())
	require.NoError(t, err)

	more := request()
	more.Validators = 5
	_, err = connect(t, api.As(t, "bootstrap-five", cluster.BootstrapRole("five", asked.Spec.Names, 5, 1)), api.Namespace).Bootstrap(t.Context(), more)
	require.NoError(t, err)

	// There are more nodes than the Role of a smaller request may look at.
	sixth := request()
	sixth.Validators = 6
	_, err = connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), sixth)
	require.NoError(t, err)
	last, err := restricted.Bootstrap(t.Context(), request())
	require.NoError(t, err)
	require.Empty(t, last.Made)

	// Every rule is needed.
	for i := range role.Rules {
		less := *role.DeepCopy()
		less.Name = fmt.Sprintf("without-%d", i)
		less.Rules = append(append([]rbac.PolicyRule{}, role.Rules[:i]...), role.Rules[i+1:]...)
		c := connect(t, api.As(t, less.Name, less), api.Namespace)
		again := request()
		again.Validators = 7 // something to read, to make and to change
		_, err := c.Bootstrap(t.Context(), again)
		require.ErrorContains(t, err, "slipway bootstrap --print-role", "without rule %d", i)
	}
}

func TestReaders_TheRoleIsEnoughAndReadsNoSecret(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	report, err := connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), request())
	require.NoError(t, err)
	reader := connect(t, api.As(t, "node", cluster.ReaderRole("reader", api.Namespace)), api.Namespace)

	compiled, err := reader.CompileGenesis(t.Context(), "besu-genesis", time.Second, 10*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, report.GenesisHash, compiled.Hash)
	abis, err := reader.ABIs(t.Context())
	require.NoError(t, err)
	require.Equal(t, []network.ABI{{File: "Token.json", Content: "[]"}}, abis)
	_, err = reader.Bootstrap(t.Context(), request())
	require.ErrorContains(t, err, "read Secret slipway-network")
	require.ErrorContains(t, err, "give the service account the Role")
}

func TestCompileGenesis_AnAccountThatIsMissingOrChangedIsFatal(t *testing.T) {
	t.Parallel()
	name := network.AllocObject(contract)
	cases := map[string]struct {
		data map[string]string // nil deletes the object
		want string
	}{
		"missing": {nil, "there is no ConfigMap " + name},
		"changed": {map[string]string{"alloc.json": `{"balance":"0x1"}`}, "the genesis hash is 0x"},
		"empty":   {map[string]string{"alloc.json": `{"balance":"0x0"}`}, "has an account without anything in it"},
		"broken":  {map[string]string{"alloc.json": `{`}, "ConfigMap " + name + ":"},
	}
	for what, example := range cases {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if example.data == nil {
				// The imitation deletes nothing: a genesis whose account was never there.
				api := clustertest.Start(t)
				requireCompileFails(t, api, example.want)
				return
			}
			api := clustertest.Start(t)
			_, err := admin(t, api).ConfigMaps(api.Namespace).Create(t.Context(), &core.ConfigMap{
				ObjectMeta: meta.ObjectMeta{Name: name}, Data: example.data,
			}, meta.CreateOptions{})
			require.NoError(t, err)
			requireCompileFails(t, api, example.want)
		})
	}
}

// requireCompileFails puts a genesis into the namespace, which needs the
// contract's account, and compiles it.
func requireCompileFails(t *testing.T, api *clustertest.API, want string) {
	t.Helper()
	keys, err := network.NewKeys(1, 0)
	require.NoError(t, err)
	spec := request().Spec
	delete(spec.Alloc, common.HexToAddress("aa"))
	material, err := network.Derive(spec, keys)
	require.NoError(t, err)
	objects, err := material.Objects()
	require.NoError(t, err)
	last := objects[len(objects)-1]
	_, err = admin(t, api).ConfigMaps(api.Namespace).Create(t.Context(), &core.ConfigMap{
		ObjectMeta: meta.ObjectMeta{Name: last.Name, Annotations: last.Annotations}, Data: last.Data,
	}, meta.CreateOptions{})
	require.NoError(t, err)

	_, err = connect(t, api.Config, api.Namespace).CompileGenesis(t.Context(), "besu-genesis", time.Second, 10*time.Millisecond)
	require.ErrorContains(t, err, want)
}

func TestCompileGenesis_WaitsAndSaysForWhat(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	c := connect(t, api.Config, api.Namespace)
	_, err := c.CompileGenesis(t.Context(), "besu-genesis", 200*time.Millisecond, 10*time.Millisecond)
	require.ErrorContains(t, err, "waited 200ms: there is no ConfigMap besu-genesis in namespace "+api.Namespace)

	compiled := make(chan error, 1)
	go func() {
		_, err := c.CompileGenesis(t.Context(), "besu-genesis", 30*time.Second, 10*time.Millisecond)
		compiled <- err
	}()
	_, err = c.Bootstrap(t.Context(), request())
	require.NoError(t, err)
	require.NoError(t, <-compiled, "the genesis appears last, with all its accounts there")
}

func TestStaticNodes_WaitsUntilTheNodeIsListed(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	c := connect(t, api.Config, api.Namespace)
	of := func(node string, wait time.Duration) ([]byte, error) {
		return c.StaticNodes(t.Context(), "besu-static-nodes", node, wait, 10*time.Millisecond)
	}
	_, err := of("besu-node-validator-0", 200*time.Millisecond)
	require.ErrorContains(t, err, "waited 200ms: there is no ConfigMap besu-static-nodes")
	_, err = c.Bootstrap(t.Context(), request())
	require.NoError(t, err)
	_, err = of("besu-node-validator-0", 10*time.Second)
	require.NoError(t, err)
	_, err = of("besu-node-validator-5", 200*time.Millisecond)
	require.ErrorContains(t, err, "ConfigMap besu-static-nodes does not list besu-node-validator-5: has the bootstrap Job run?")

	listed := make(chan []byte, 1)
	go func() {
		text, _ := of("besu-node-validator-5", 30*time.Second)
		listed <- text
	}()
	more := request()
	more.Validators = 6
	_, err = c.Bootstrap(t.Context(), more)
	require.NoError(t, err)
	enodes, err := genesis.ParseStaticNodes(<-listed)
	require.NoError(t, err)
	require.Len(t, enodes, 7, "those before it are there too")

	// Who brings a list of his own knows whom it is to name.
	own, err := admin(t, api).ConfigMaps(api.Namespace).Create(t.Context(), &core.ConfigMap{
		ObjectMeta: meta.ObjectMeta{Name: "mine"}, Data: map[string]string{"static-nodes.json": "[]"},
	}, meta.CreateOptions{})
	require.NoError(t, err)
	text, err := c.StaticNodes(t.Context(), own.Name, "besu-node-validator-0", 10*time.Second, time.Second)
	require.NoError(t, err)
	require.Equal(t, "[]", string(text))
}

func TestBootstrap_AKeyThatIsLostIsNotDrawnAgain(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	c := connect(t, api.Config, api.Namespace)
	_, err := c.Bootstrap(t.Context(), request())
	require.NoError(t, err)
	_, err = admin(t, api).ConfigMaps(api.Namespace).Create(t.Context(), &core.ConfigMap{
		ObjectMeta: meta.ObjectMeta{Name: "besu-node-validator-4-enode"}, Data: map[string]string{"enode": "of the key that was lost"},
	}, meta.CreateOptions{})
	require.NoError(t, err)

	more := request()
	more.Validators = 5
	_, err = c.Bootstrap(t.Context(), more)
	require.ErrorContains(t, err, "secret besu-node-validator-4-private-key is lost")
	require.ErrorContains(t, err, "delete the ConfigMaps besu-node-validator-4-node-address, besu-node-validator-4-enode")
	require.NotContains(t, everything(t, api), "Secret besu-node-validator-4-private-key")
}

func TestABIs_MoreThanAPage(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	asked := request()
	asked.Spec.ABIs = nil
	for i := range 130 {
		asked.Spec.ABIs = append(asked.Spec.ABIs, network.ABI{File: fmt.Sprintf("C%03d.json", i), Content: "[]"})
	}
	c := connect(t, api.Config, api.Namespace)
	_, err := c.Bootstrap(t.Context(), asked)
	require.NoError(t, err)

	abis, err := c.ABIs(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, asked.Spec.ABIs, abis)
}

func TestNew_SaysWhatIsWrongWithTheConnection(t *testing.T) {
	t.Parallel()
	_, err := cluster.New(&rest.Config{Host: "https://127.0.0.1:1", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}, "x")
	require.ErrorContains(t, err, "insecure-skip-tls-verify")

	_, err = connect(t, &rest.Config{Host: "https://127.0.0.1:1"}, "x").Bootstrap(t.Context(), request())
	require.ErrorContains(t, err, "the cluster at https://127.0.0.1:1 cannot be reached")

	api := clustertest.Start(t)
	untrusted := &rest.Config{Host: api.Config.Host}
	_, err = connect(t, untrusted, api.Namespace).Bootstrap(t.Context(), request())
	require.ErrorContains(t, err, "certificate signed by unknown authority")

	_, err = connect(t, api.Config, "missing").Bootstrap(t.Context(), request())
	require.ErrorContains(t, err, `namespaces "missing" not found: does the namespace exist? kubectl create namespace missing`)

	_, err = cluster.Connect(cluster.Config{Kubeconfig: "/nonexistent"})
	require.ErrorContains(t, err, "no cluster is configured")
}

// ask puts a request for a Secret into the namespace, as charts do.
func ask(t *testing.T, api *clustertest.API, name, keys string) {
	t.Helper()
	_, err := admin(t, api).ConfigMaps(api.Namespace).Create(t.Context(), &core.ConfigMap{
		ObjectMeta: meta.ObjectMeta{Name: "secret-request-" + name, Labels: map[string]string{"slipway.io/secret-request": "true"}},
		Data:       map[string]string{"name": name, "keys": keys},
	}, meta.CreateOptions{})
	require.NoError(t, err)
}

func TestBootstrap_MakesRequestedSecretsOnce(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	ask(t, api, "postgresql", `{"password":"password"}`)
	ask(t, api, "signer-mnemonic", `{"mnemonic":"mnemonic"}`)
	ask(t, api, "cipher", `{"key":"hexKey","other":"password"}`)
	asked := request()
	asked.Spec.Names.Namespace = api.Namespace
	role := cluster.BootstrapRole("bootstrap", asked.Spec.Names, 4, 1, "postgresql", "signer-mnemonic", "cipher")
	c := connect(t, api.As(t, "bootstrap", role), api.Namespace)

	report, err := c.Bootstrap(t.Context(), request())
	require.NoError(t, err)
	require.Contains(t, report.Made, "Secret postgresql")
	before := everything(t, api)
	require.Regexp(t, `^[A-Za-z0-9]{32}$`, before["Secret postgresql"]["password"])
	require.Len(t, strings.Fields(before["Secret signer-mnemonic"]["mnemonic"]), 12)
	require.Regexp(t, `^[0-9a-f]{64}$`, before["Secret cipher"]["key"])
	require.NotEqual(t, before["Secret postgresql"]["password"], before["Secret cipher"]["other"])

	ask(t, api, "later", `{"password":"password"}`)
	report, err = connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), request())
	require.NoError(t, err)
	require.Equal(t, []string{"Secret later"}, report.Made)
	after := everything(t, api)
	for name, data := range before {
		require.Equal(t, data, after[name], name)
	}
}

func TestSecrets_MakesNoNetwork(t *testing.T) {
	t.Parallel()
	api := clustertest.Start(t)
	ask(t, api, "postgresql", `{"password":"password"}`)
	c := connect(t, api.As(t, "bootstrap", cluster.SecretsRole("bootstrap", api.Namespace, "postgresql")), api.Namespace)
	for _, made := range [][]string{{"Secret postgresql"}, nil} {
		report, err := c.Secrets(t.Context(), cluster.Request{Labels: map[string]string{"team": "chain"}})
		require.NoError(t, err)
		require.Equal(t, made, report.Made)
	}
	require.Equal(t, []string{"ConfigMap secret-request-postgresql", "Secret postgresql"}, slices.Sorted(maps.Keys(everything(t, api))))
}

func TestBootstrap_RequestsThatCannotBeMet(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ keys, want string }{
		"a key is missing": {`{"password":"password","more":"password"}`, "secret there is there, but has no more, which ConfigMap secret-request-there asks for"},
		"unknown kind":     {`{"password":"pin"}`, `asks for the kind "pin", which is not known`},
		"no keys":          {`{}`, "does not say a name and keys with their kinds"},
		"no JSON":          {`password`, "does not say a name and keys with their kinds"},
	}
	for name, example := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := clustertest.Start(t)
			_, err := admin(t, api).Secrets(api.Namespace).Create(t.Context(), &core.Secret{
				ObjectMeta: meta.ObjectMeta{Name: "there"}, StringData: map[string]string{"password": "sesame"},
			}, meta.CreateOptions{})
			require.NoError(t, err)
			ask(t, api, "there", example.keys)
			_, err = connect(t, api.Config, api.Namespace).Bootstrap(t.Context(), request())
			require.ErrorContains(t, err, example.want)
			require.NotContains(t, err.Error(), "sesame")
			require.Equal(t, "sesame", everything(t, api)["Secret there"]["password"])
		})
	}
}
