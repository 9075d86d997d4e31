package deploy

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestVotesNote(t *testing.T) {
	t.Parallel()
	with := func(count int) *chain { return &chain{Validators: count} }
	for name, c := range map[string]struct {
		installed *chain
		wanted    int
		says      string // empty is nothing
	}{
		"the first installation":  {nil, 4, ""},
		"as many":                 {with(4), 4, ""},
		"fewer":                   {with(4), 3, ""},
		"no network of the chart": {with(0), 4, ""},
		"more":                    {with(1), 4, "slipway network validator add besu-node-validator-1 --release r --namespace n"},
	} {
		note := situation{installed: c.installed, wanted: *with(c.wanted)}.votesNote("r", "n")
		if c.says == "" {
			require.Empty(t, note, name)
			continue
		}
		require.Contains(t, note, c.says, name)
	}
}

func TestNodeAddress(t *testing.T) {
	t.Parallel()
	configMap := func(name, address string) *core.ConfigMap {
		return &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Namespace: "n", Name: name + "-node-address"}, Data: map[string]string{"nodeAddress": address}}
	}
	want := common.Address{7}
	c := &Cluster{namespace: "n", api: fake.NewClientset(configMap("besu-node-validator-1", want.Hex()), configMap("bad", "0x7"))}
	address, err := c.NodeAddress(t.Context(), "besu-node-validator-1")
	require.NoError(t, err)
	require.Equal(t, want, address)
	_, err = c.NodeAddress(t.Context(), "bad")
	require.ErrorContains(t, err, "ConfigMap bad-node-address has no address")
	_, err = c.NodeAddress(t.Context(), "validator-1")
	require.ErrorContains(t, err, "there is no node validator-1 in namespace n")
}
