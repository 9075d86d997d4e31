package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/release"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/slipwayhq/slipway/internal/genesis"
)

func TestNextStep(t *testing.T) {
	t.Parallel()
	old := func(name string) validator { return validator{name: name, pod: name + "-0", ready: true} }
	taken := func(name string) validator {
		return validator{name: name, pod: name + "-0", ready: true, current: true}
	}
	down := func(v validator, since time.Duration) validator {
		v.ready, v.why, v.downFor = false, "does not answer", since
		return v
	}
	for name, c := range map[string]struct {
		all     []validator
		highest uint64
		want    step
	}{
		"all are taken":                  {all: []validator{taken("a"), taken("b")}},
		"the first of healthy ones":      {all: []validator{old("a"), old("b"), old("c"), old("d")}, want: step{delete: "a-0"}},
		"the next one":                   {all: []validator{taken("a"), old("b"), old("c"), old("d")}, want: step{delete: "b-0"}},
		"waits for the one underway":     {all: []validator{down(taken("a"), time.Second), old("b"), old("c"), old("d")}, want: step{wait: "a does not answer"}},
		"a broken one goes first":        {all: []validator{old("a"), down(old("b"), 0), old("c"), old("d")}, want: step{delete: "b-0"}},
		"not while the new one is away":  {all: []validator{down(taken("a"), time.Hour), down(old("b"), time.Second), old("c"), old("d")}, want: step{wait: "a does not answer; b does not answer"}},
		"unless the chain stands anyway": {all: []validator{down(taken("a"), time.Hour), down(old("b"), time.Hour), old("c"), old("d")}, want: step{delete: "b-0"}},
		"without peers it does not work": {all: []validator{{name: "a", current: true, ready: true, asked: true}, old("b")}, want: step{wait: "a has no peer"}},
		"a lone one needs no peers":      {all: []validator{{name: "a", current: true, ready: true, asked: true}}},
		"must reach the height it had":   {all: []validator{{name: "a", current: true, ready: true, asked: true, peers: 3, height: 5}, old("b")}, highest: 9, want: step{wait: "a is at block 5 and must reach 9"}},
	} {
		require.Equal(t, c.want, nextStep(c.all, c.highest), name)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	installed := chain{
		Bootstrap: map[string]string{"--chain-id": "1", "--consensus": "qbft"}, Storage: map[string]string{rpcName: "FOREST"},
		Besu: map[string]string{rpcName: "25.10.0"}, Validators: 4, Sets: map[string]string{rpcName: "x"},
	}
	for name, c := range map[string]struct {
		change func(*situation)
		want   string // rule; empty is none
	}{
		"the same":             {func(*situation) {}, ""},
		"another chain id":     {func(s *situation) { s.wanted.Bootstrap = map[string]string{"--chain-id": "2"} }, "genesis"},
		"an option not known":  {func(s *situation) { s.wanted.Bootstrap = map[string]string{"--new-option": "2"} }, ""},
		"another genesis":      {func(s *situation) { s.genesisHash, s.wantedHash = "0x1", "0x2" }, "genesis"},
		"hash not known":       {func(s *situation) { s.wantedHash = "0x2" }, ""},
		"another format":       {func(s *situation) { s.wanted.Storage = map[string]string{rpcName: "BONSAI"} }, "storage-format"},
		"an older Besu":        {func(s *situation) { s.wanted.Besu = map[string]string{rpcName: "25.9.1"} }, "besu-downgrade"},
		"a newer Besu":         {func(s *situation) { s.wanted.Besu = map[string]string{rpcName: "26.1.0"} }, ""},
		"a tag that is a name": {func(s *situation) { s.wanted.Besu = map[string]string{rpcName: "latest"} }, ""},
		"more":                 {func(s *situation) { s.wanted.Validators = 7 }, ""},
		"another claim":        {func(s *situation) { s.wanted.Sets = map[string]string{rpcName: "y"} }, "immutable"},
		"two on a machine":     {func(s *situation) { s.placed = map[string]string{"a": "m", "b": "m", "c": "n", "d": "o"} }, "placement"},
		"one on each":          {func(s *situation) { s.placed = map[string]string{"a": "m", "b": "n", "c": "o", "d": "p"} }, ""},
		"three machines":       {func(s *situation) { s.machines = machines(3, 0) }, "placement"},
		"four machines":        {func(s *situation) { s.machines = machines(4, 0) }, ""},
		"four of more":         {func(s *situation) { s.machines = machines(4, 3) }, ""},
		"three of more":        {func(s *situation) { s.machines = machines(3, 3) }, "placement"},
		"none of them":         {func(s *situation) { s.machines = machines(0, 9) }, "placement"},
	} {
		s := situation{wanted: installed, installed: &installed}
		c.change(&s)
		found := s.judge(nil)
		if c.want == "" {
			require.Empty(t, found, name)
			continue
		}
		require.Len(t, found, 1, name)
		require.Equal(t, c.want, found[0].Rule, name)
		require.ErrorIs(t, found, ErrRefused, name)
		require.Empty(t, s.judge([]string{c.want}), "%s: allowed", name)
	}
}

// A validator whose pod goes counts until it is voted out.
func TestJudge_ValidatorsThatLeave(t *testing.T) {
	t.Parallel()
	four := []common.Address{{1}, {2}, {3}, {4}}
	third, fourth := leaving{"v-2", four[2]}, leaving{"v-3", four[3]}
	for name, c := range map[string]struct {
		leaving []leaving
		set     []common.Address
		want    string // empty is no refusal
	}{
		"nobody":                     {nil, nil, ""},
		"voted out":                  {[]leaving{fourth}, four[:3], ""},
		"both voted out":             {[]leaving{third, fourth}, four[:2], ""},
		"one more could go":          {[]leaving{fourth}, four, "v-3 would go without being voted out: of 4 validators 3 would be left, and 3 must agree on every block"},
		"one of two":                 {[]leaving{third, fourth}, four[:3], "v-2 would go without being voted out: of 3 validators 2 would be left, and 2 must agree on every block"},
		"an earlier one still votes": {[]leaving{third}, four, "v-2 would go without being voted out: of 4 validators 3 would be left, and 3 must agree on every block"},
		"of no known address":        {[]leaving{{name: "v-3"}}, four, "v-3 would go without being voted out: of 4 validators 3 would be left, and 3 must agree on every block"},
		"nobody answers":             {[]leaving{third, fourth}, nil, "v-2, v-3 would go, and no validator says whether it has been voted out"},
	} {
		found := situation{leaving: c.leaving, chainSet: c.set}.judgeQuorum()
		if c.want == "" {
			require.Empty(t, found, name)
			continue
		}
		require.Equal(t, c.want, found[0].What, name)
		require.Contains(t, found[0].Next, "slipway network validator remove v-", name)
	}
}

// ofTheSet are nodes that all see these validators.
type ofTheSet []common.Address

func (s ofTheSet) ask(context.Context, string) (nodeState, error) {
	return nodeState{Height: 7, Validators: s}, nil
}

func TestGatherLeaving(t *testing.T) {
	t.Parallel()
	address := common.HexToAddress("0x00000000000000000000000000000000000000a3")
	client := fake.NewClientset(&core.ConfigMap{
		ObjectMeta: meta.ObjectMeta{Namespace: "ns", Name: validatorName + "-3-node-address"}, Data: map[string]string{"nodeAddress": address.Hex() + "\n"},
	})
	c := &Cluster{namespace: "ns", api: client, nodes: ofTheSet{{1}, address}}
	pods := []core.Pod{{ObjectMeta: meta.ObjectMeta{Name: "v-0-0", Labels: map[string]string{nodeLabel: "v-0"}}, Status: core.PodStatus{Phase: core.PodRunning}}}
	s := situation{wanted: chain{Validators: 2}, installed: &chain{Validators: 4}}
	require.NoError(t, c.gatherLeaving(t.Context(), pods, &s))
	require.Equal(t, []leaving{{validatorName + "-2", common.Address{}}, {validatorName + "-3", address}}, s.leaving)
	require.Equal(t, []common.Address{{1}, address}, s.chainSet)

	// The third and fourth were made by an upgrade that failed, and voted in.
	made := pods[0]
	made.Labels = map[string]string{nodeLabel: validatorName + "-3"}
	pods = append(pods, made)
	s = situation{wanted: chain{Validators: 2}, installed: &chain{Validators: 2}}
	require.NoError(t, c.gatherLeaving(t.Context(), pods, &s))
	require.Len(t, s.leaving, 2)
	require.NotEmpty(t, s.judgeQuorum())

	away := fake.NewClientset()
	away.PrependReactor("get", "configmaps", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("the API server is away")
	})
	c.api = away
	require.ErrorContains(t, c.gatherLeaving(t.Context(), pods, &s), "the API server is away", "and not that nobody has an address")

	s = situation{wanted: chain{Validators: 4}, installed: &chain{Validators: 2}}
	require.NoError(t, c.gatherLeaving(t.Context(), pods, &s))
	require.Empty(t, s.leaving)
	require.Nil(t, s.chainSet, "nobody was asked")
}

func TestJudge_GenesisThatIsThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ values, says string }{
		"that of the values":     {`global: {chainId: "7"}`, ""},
		"another chain id":       {"", "[genesis] the genesis in this namespace has --chain-id=7, and the values say 53771311147"},
		"another protocol":       {`{global: {chainId: "7"}, network: {bootstrap: {consensus: ibft2}}}`, "has --consensus=qbft, and the values say ibft2"},
		"another time of blocks": {`{global: {chainId: "7"}, network: {bootstrap: {blockPeriod: 5}}}`, "has --block-period=2, and the values say 5"},
	} {
		wanted, err := chainOf(mustRender(t, c.values).objects)
		require.NoError(t, err)
		refused := situation{wanted: wanted, genesis: &genesis.File{Config: genesis.Config{ChainID: 7, QBFT: &genesis.BFTConfig{BlockPeriodSeconds: 2}}}}.judge(nil)
		if c.says == "" {
			require.Empty(t, refused, name)
			continue
		}
		require.Len(t, refused, 1, name)
		require.ErrorContains(t, refused, c.says, name)
	}
}

// machines are some that take validators and some that do not.
func machines(take, others int) map[string]machine {
	out := make(map[string]machine)
	for i := range take + others {
		out[string(rune('a'+i))] = machine{takesValidators: i < take}
	}
	return out
}

func TestChainOf_NamesTheGenesis(t *testing.T) {
	t.Parallel()
	out, err := chainOf(mustRender(t, "global: {networkNodes: {genesisConfigMapName: mine}}").objects)
	require.NoError(t, err)
	require.Equal(t, "mine", out.Genesis)
}

func TestChainOf_LabelsAndCountsMayChange(t *testing.T) {
	t.Parallel()
	plain, err := chainOf(mustRender(t, "").objects)
	require.NoError(t, err)
	labelled, err := chainOf(mustRender(t, "global: {labels: {team: ledger}, networkNodes: {rpcReplicaCount: 3}}").objects)
	require.NoError(t, err)
	require.Equal(t, plain.Bootstrap, labelled.Bootstrap)
	require.Equal(t, "53771311147", plain.Bootstrap["--chain-id"])
}

func TestZoneNote(t *testing.T) {
	t.Parallel()
	s := situation{
		wanted: chain{Validators: 4}, machines: map[string]machine{"m": {zone: "z1"}, "n": {zone: "z1"}, "o": {zone: "z2"}, "p": {zone: "z3"}},
		placed: map[string]string{"a": "m", "b": "n", "c": "o", "d": "p"},
	}
	require.Contains(t, s.zoneNote(), "zone z1 holds 2 of 4")
	s.machines["n"] = machine{zone: "z4"}
	require.Empty(t, s.zoneNote())
}

func TestHistory(t *testing.T) {
	t.Parallel()
	of := func(statuses ...release.Status) history {
		var out history
		for i, status := range statuses {
			out = append(out, &release.Release{Name: "r", Version: i + 1, Info: &release.Info{Status: status}})
		}
		return out
	}
	for name, c := range map[string]struct {
		h                 history
		state             State
		running, previous int // revisions; 0 is none
		mixed             string
	}{
		"nothing":                {nil, Absent, 0, 0, "[]"},
		"installed":              {of("deployed"), Deployed, 1, 0, "[]"},
		"first failed":           {of("failed"), Failed, 1, 0, "[1]"},
		"upgrade failed":         {of("deployed", "failed"), Failed, 1, 1, "[1 2]"},
		"killed in an install":   {of("pending-install"), Stuck, 1, 0, "[1]"},
		"killed in an upgrade":   {of("superseded", "deployed", "pending-upgrade"), Stuck, 2, 2, "[2 3]"},
		"killed in a rollback":   {of("superseded", "deployed", "pending-rollback"), Stuck, 2, 2, "[2 3]"},
		"killed in a deletion":   {of("uninstalling"), Stuck, 1, 0, "[1]"},
		"back skips what failed": {of("superseded", "failed", "deployed"), Deployed, 3, 1, "[]"},
		"failed again":           {of("superseded", "deployed", "failed", "failed"), Failed, 2, 2, "[2 3 4]"},
		"never worked":           {of("failed", "failed"), Failed, 2, 0, "[1 2]"},
		"history kept":           {of("uninstalled"), Absent, 0, 0, "[]"},
	} {
		require.Equal(t, c.state, c.h.state(), name)
		number := func(r *release.Release) int {
			if r == nil {
				return 0
			}
			return r.Version
		}
		require.Equal(t, c.running, number(c.h.running()), name)
		require.Equal(t, c.previous, number(c.h.previous()), name)
		mixed := []int{}
		for _, one := range c.h.mixed() {
			mixed = append(mixed, one.Version)
		}
		require.Equal(t, c.mixed, fmt.Sprint(mixed), name)
	}
}

func TestChanges_NeverShowSecrets(t *testing.T) {
	t.Parallel()
	object := func(kind, name, text string) Object { return Object{Kind: kind, Name: name, Text: text} }
	before := []Object{
		object("Secret", "s", "kind: Secret\nstringData:\n  a: hunter2\n  b: same\n"),
		object("ConfigMap", "gone", "kind: ConfigMap\n"),
		object("Job", "bootstrap-1", "kind: Job\nmetadata: {name: bootstrap-1}\n"),
	}
	after := []Object{
		object("Secret", "s", "kind: Secret\nstringData:\n  a: hunter3\n  b: same\n  c: fresh\n"),
		object("Secret", "new", "kind: Secret\ndata:\n  k: aHVudGVyNA==\n"),
		object("Job", "bootstrap-2", "kind: Job\nmetadata: {name: bootstrap-2}\n"),
	}
	changes, err := changesBetween(before, after)
	require.NoError(t, err)
	var all strings.Builder
	actions := make(map[string]string)
	for _, change := range changes {
		all.WriteString(change.Diff)
		actions[change.Object] = change.Action
	}
	require.Equal(t, map[string]string{"Secret s": "change", "Secret new": "create", "ConfigMap gone": "delete"}, actions)
	require.Contains(t, all.String(), "+  a: <another value>")
	require.Contains(t, all.String(), "+  c: <value>")
	for _, secret := range []string{"hunter", "same", "fresh", "aHVudGVy"} {
		require.NotContains(t, all.String(), secret)
	}
}

// Revision 1 was installed, 2 and 3 did not get to their end.
func TestAnyOf_ShowsWhatMustGo(t *testing.T) {
	t.Parallel()
	object := func(name, text string) Object { return Object{Kind: "ConfigMap", Name: name, Text: text + "\n"} }
	wanted := []Object{object("same", "a"), object("left", "a"), object("turned", "c"), object("new", "a")}
	installed, err := anyOf([][]Object{
		{object("same", "a"), object("left", "a"), object("turned", "a")},
		{object("same", "a"), object("left", "broken"), object("turned", "b"), object("added", "a")},
		{object("same", "a"), object("left", "a"), object("turned", "c")},
	}, wanted)
	require.NoError(t, err)
	changes, err := changesBetween(installed, wanted)
	require.NoError(t, err)
	var said []string
	for _, change := range changes {
		said = append(said, change.Action+" "+change.Object)
	}
	require.Equal(t, []string{"delete ConfigMap added", "change ConfigMap left", "create ConfigMap new", "change ConfigMap turned"}, said)
	require.Contains(t, changes[1].Diff, "-broken")
}

func TestPodReason(t *testing.T) {
	t.Parallel()
	waiting := func(reason, message string) core.ContainerStatus {
		return core.ContainerStatus{Name: "x", Image: "i:1", State: core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: reason, Message: message}}}
	}
	crashing := waiting("CrashLoopBackOff", "")
	crashing.LastTerminationState.Terminated = &core.ContainerStateTerminated{ExitCode: 3, Reason: "Error"}
	saying := waiting("CrashLoopBackOff", "")
	saying.LastTerminationState.Terminated = &core.ContainerStateTerminated{ExitCode: 3, Reason: "Error", Message: "begins\nUnknown option\n"}
	ended := core.ContainerStatus{Name: "x"}
	ended.State.Terminated = &core.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "no key"}
	placed := core.PodSpec{NodeName: "m"}
	now := meta.Now()
	for name, c := range map[string]struct {
		pod  core.Pod
		want string
	}{
		"ready":      {core.Pod{Spec: placed, Status: core.PodStatus{Conditions: []core.PodCondition{{Type: core.PodReady, Status: core.ConditionTrue}}}}, ""},
		"ending":     {core.Pod{ObjectMeta: meta.ObjectMeta{DeletionTimestamp: &now}}, "is ending"},
		"no machine": {core.Pod{Status: core.PodStatus{Conditions: []core.PodCondition{{Type: core.PodScheduled, Status: core.ConditionFalse, Message: "0/3 nodes"}}}}, "no machine takes it: 0/3 nodes"},
		"no image":   {core.Pod{Spec: placed, Status: core.PodStatus{ContainerStatuses: []core.ContainerStatus{waiting("ImagePullBackOff", "denied")}}}, "image i:1 cannot be pulled: denied"},
		"says why":   {core.Pod{Spec: placed, Status: core.PodStatus{ContainerStatuses: []core.ContainerStatus{saying}}}, "x ends again and again (exit code 3, Error): Unknown option"},
		"has ended":  {core.Pod{Spec: placed, Status: core.PodStatus{ContainerStatuses: []core.ContainerStatus{ended}}}, "x ended with exit code 1 (Error): no key"},
		"crashes":    {core.Pod{Spec: placed, Status: core.PodStatus{ContainerStatuses: []core.ContainerStatus{crashing}}}, "x ends again and again (exit code 3, Error): kubectl logs --previous shows why"},
		"no Secret":  {core.Pod{Spec: placed, Status: core.PodStatus{ContainerStatuses: []core.ContainerStatus{waiting("CreateContainerConfigError", `secret "k" not found`)}}}, `x: CreateContainerConfigError secret "k" not found`},
		"waits":      {core.Pod{Spec: placed, Status: core.PodStatus{InitContainerStatuses: []core.ContainerStatus{{Name: "wait-for-redis", State: core.ContainerState{Running: &core.ContainerStateRunning{}}}}}}, "wait-for-redis is waiting for what it is named after"},
		"not ready":  {core.Pod{Spec: placed, Status: core.PodStatus{Phase: core.PodRunning}}, "it runs and its readiness probe does not succeed yet"},
	} {
		require.Equal(t, c.want, podReason(c.pod), name)
	}
}
