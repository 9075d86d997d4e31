package deploy

import (
	"errors"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
)

// healthy is an installation of four validators and two RPC nodes in which
// nothing is wrong.
func healthy() facts {
	set := []common.Address{{1}, {2}, {3}, {4}}
	f := facts{
		state: Deployed, namespace: "atk", wantChainID: 7, genesisHash: common.Hash{9}.Hex(),
		lookups: []lookup{{"gateway.atk.svc", nil}}, services: []service{{name: "gateway", ready: 2, wantsPods: true}},
		senders: []sender{{Address: "0xa", State: "active", NextNonce: 5, LowWater: 5, chain: 5, chainKnown: true}},
	}
	for _, name := range []string{"v0", "v1", "v2", "v3", "r0", "r1"} {
		f.nodes = append(f.nodes, node{name: name, validator: name[0] == 'v', state: nodeState{Height: 100, Peers: 5, ChainID: 7, Genesis: common.Hash{9}, Validators: set}})
	}
	for i, address := range set {
		f.nodes[i].state.Address = address
	}
	return f
}

// tellSet makes all nodes tell other validators.
func (f *facts) tellSet(set ...common.Address) {
	for i := range f.nodes {
		f.nodes[i].state.Validators = set
	}
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	away := errors.New("connection refused")
	for name, c := range map[string]struct {
		change   func(*facts)
		check    string // the one that finds it
		severity Severity
		says     string
	}{
		"release stuck":      {func(f *facts) { f.state = Stuck }, "release", Broken, "did not end"},
		"release failed":     {func(f *facts) { f.state = Failed }, "release", Broken, "failed"},
		"image":              {func(f *facts) { f.waiting = []Waiting{{Object: "Deployment x", Why: "image i cannot be pulled: no"}} }, "pods", Broken, "cannot be pulled"},
		"name not found":     {func(f *facts) { f.lookups[0].err = errors.New("no such host") }, "dns", Broken, "gateway.atk.svc"},
		"no names from here": {func(f *facts) { f.lookups = nil }, "dns", Unknown, "from here"},
		"nobody behind":      {func(f *facts) { f.services[0].ready = 0 }, "ports", Broken, "nobody behind"},
		"wrong port":         {func(f *facts) { f.services[0].refused = []string{"http"} }, "ports", Broken, "http"},
		"wrong password": {func(f *facts) {
			f.logins = []login{{"signer-x", "wait-for-postgresql", "PostgreSQL does not accept the password"}}
		}, "auth", Broken, "not let in"},
		"node away":          {func(f *facts) { f.nodes[4].err = away }, "nodes", Broken, "r0 does not answer"},
		"chain id":           {func(f *facts) { f.nodes[5].state.ChainID = 8 }, "chain-id", Broken, "r1 has chain id 8, and the values say 7"},
		"genesis of a node":  {func(f *facts) { f.nodes[5].state.Genesis = common.Hash{8} }, "genesis", Broken, "different genesis blocks"},
		"genesis of all":     {func(f *facts) { f.genesisHash = common.Hash{3}.Hex() }, "genesis", Broken, "material has"},
		"no peer":            {func(f *facts) { f.nodes[4].state.Peers = 0 }, "peers", Broken, "r0 has no peer"},
		"few peers":          {func(f *facts) { f.nodes[4].state.Peers = 2 }, "peers", Warning, "2 peers of 5"},
		"one validator away": {func(f *facts) { f.nodes[0].err = away }, "quorum", Warning, "3 of 4 validators work"},
		"quorum lost":        {func(f *facts) { f.nodes[0].err, f.nodes[1].err = away, away }, "quorum", Broken, "2 of 4 validators work, and 3 must agree"},
		"more in the set": {func(f *facts) {
			f.nodes[5].state.Height++
			f.nodes[5].state.Validators = []common.Address{{1}, {2}, {3}, {4}, {5}, {6}, {7}}
		}, "quorum", Broken, "4 of 7 validators work, and 5 must agree"},
		"one has no vote": {func(f *facts) { f.tellSet(common.Address{1}, common.Address{2}, common.Address{3}) }, "quorum", Warning, "v3 runs as a validator and is not in the chain's set"},
		"who has no vote makes no quorum": {func(f *facts) {
			f.tellSet(common.Address{1})
			f.nodes[0].err = away
		}, "quorum", Broken, "quorum is lost: 0 of 1 validators work"},
		"a node of another chain does not tell": {func(f *facts) {
			f.nodes[5].state.ChainID, f.nodes[5].state.Height, f.nodes[5].state.Validators = 8, 200, []common.Address{{9}}
		}, "quorum", OK, "nothing found"},
		"behind":              {func(f *facts) { f.nodes[4].state.Height = 50 }, "height", Warning, "r0 is at block 50"},
		"signer not read":     {func(f *facts) { f.sendersErr = errors.New("status 401") }, "nonces", Unknown, "status 401"},
		"somebody else sends": {func(f *facts) { f.senders[0].chain = 9 }, "nonces", Broken, "somebody else"},
		"another chain":       {func(f *facts) { f.senders[0].chain = 2 }, "nonces", Broken, "another chain"},
		"paused":              {func(f *facts) { f.senders[0].State, f.senders[0].Reason = "paused", "by hand" }, "nonces", Warning, "paused: by hand"},
		"callers":             {func(f *facts) { f.callers = []string{"the signer is exposed"} }, "callers", Warning, "is exposed"},
		"waits for a nonce":   {func(f *facts) { f.senders[0].NextNonce, f.senders[0].Open = 8, 3 }, "nonces", Warning, "nonce 5 is the next one the chain wants, and 2 later ones"},
	} {
		f := healthy()
		c.change(&f)
		var found []Finding
		var said []string
		for _, finding := range diagnose(f) {
			if finding.Check == c.check {
				found, said = append(found, finding), append(said, finding.What)
				if finding.Severity == Broken {
					require.NotEmpty(t, finding.Next, "%s: what to do", name)
				}
			}
		}
		require.Equal(t, c.severity, Worst(found), name)
		require.Contains(t, strings.Join(said, "\n"), c.says, name)
	}
}

func TestDiagnose_NothingWrong(t *testing.T) {
	t.Parallel()
	findings := diagnose(healthy())
	require.Equal(t, OK, Worst(findings), "%+v", findings)
	require.Len(t, findings, len(inspections()), "every check is told")

	alone := healthy()
	alone.nodes = alone.nodes[:1]
	alone.nodes[0].state.Validators, alone.nodes[0].state.Peers = []common.Address{{1}}, 0
	require.Equal(t, OK, Worst(diagnose(alone)), "one validator needs no peer")
}

func TestRefusedLogin(t *testing.T) {
	t.Parallel()
	require.Equal(t, "PostgreSQL does not accept the password", refusedLogin("a\nFATAL: password authentication failed for user \"x\"\n"))
	require.Equal(t, "Redis does not accept the password", refusedLogin("WRONGPASS invalid username-password pair"))
	require.Empty(t, refusedLogin("all is well"))
}
