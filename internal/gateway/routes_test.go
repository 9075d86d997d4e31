package gateway

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams"
)

func served(ids ...string) *project {
	p := &project{id: ids[0]}
	for _, id := range ids[1:] {
		name, alias, _ := strings.Cut(id, "=")
		cfg := NetworkConfig{Alias: alias}
		for _, c := range name {
			cfg.ChainID = cfg.ChainID*10 + uint64(c-'0')
		}
		p.networks = append(p.networks, &Network{cfg: cfg, pool: noPool{}})
	}
	return p
}

// noPool has reached no node.
type noPool struct{ Pool }

func (noPool) Identity() upstreams.Identity { return upstreams.Identity{} }

func TestRoutes_Find(t *testing.T) {
	t.Parallel()

	one := routes{projects: []*project{served("main", "7=besu")}}
	fresh := routes{projects: []*project{served("main", "")}}
	many := routes{
		projects: []*project{served("a", "1=eth", "7"), served("b", "7=besu")},
		aliases: []HostAlias{
			{Domain: "b.example.org", Project: "b"},
			{Domain: "*.eth.example.org", Project: "a", Architecture: "evm", Chain: "1"},
			{Domain: "chain.example.org", Chain: "7"},
		},
	}
	cases := []struct {
		routes     *routes
		host, path string
		want       string // project/chain id, or the error
	}{
		{&one, "", "/", "main/7"},
		{&one, "", "/main", "main/7"},
		{&one, "", "/main/", "main/7"},
		{&one, "", "/main/evm", "main/7"},
		{&one, "", "/main/evm/7", "main/7"},
		{&one, "", "/main/besu", "main/7"},
		{&one, "", "/main/7", "main/7"},
		{&one, "", "/besu", "main/7"},
		{&one, "", "/evm/7", "main/7"},
		{&one, "", "/7", "main/7"},
		{&one, "", "/other", "no such network"},
		{&one, "", "/main/evm/8", "no such network"},
		{&one, "", "/main/svm/7", "no such network"},
		{&one, "", "/main/evm/7/x", "no such network"},
		{&one, "", "/main/besu/7", "no such network"},
		{&fresh, "", "/main/evm/99", "main/0"},
		{&fresh, "", "/main/besu", "no such network"},

		{&many, "", "/", "no such project"},
		{&many, "", "/c/evm/1", "no such project"},
		{&many, "", "/a", "a/several"},
		{&many, "", "/a/evm", "a/several"},
		{&many, "", "/a/eth", "a/1"},
		{&many, "", "/a/evm/7", "a/7"},
		{&many, "", "/a/besu", "no such network"},
		{&many, "", "/b", "b/7"},
		{&many, "b.example.org", "/", "b/7"},
		{&many, "B.example.org:4000", "/evm/7", "b/7"},
		{&many, "b.example.org", "/b/besu", "b/7"},
		{&many, "b.example.org", "/a/eth", "no such network"},
		{&many, "x.eth.example.org", "/", "a/1"},
		{&many, "x.eth.example.org", "/evm/7", "a/7"},
		{&many, "eth.example.org", "/", "no such project"},
		{&many, "chain.example.org", "/a", "a/7"},
		{&many, "[::1]:4000", "/b", "b/7"},
	}
	for _, c := range cases {
		t.Run(c.host+c.path, func(t *testing.T) {
			t.Parallel()
			p, n, problem := c.routes.find(c.host, c.path)
			if project, chain, found := strings.Cut(c.want, "/"); found {
				require.Nil(t, problem)
				require.Equal(t, project, p.id)
				if chain == "several" {
					require.Nil(t, n)
					return
				}
				require.Equal(t, chain, string(appendDecimal(n.cfg.ChainID)))
				return
			}
			require.NotNil(t, problem)
			require.Contains(t, problem.Message, c.want)
		})
	}
}

func appendDecimal(n uint64) []byte {
	if n < 10 {
		return []byte{byte('0' + n)}
	}
	return append(appendDecimal(n/10), byte('0'+n%10))
}

func TestRoutes_NetworkInTheBody(t *testing.T) {
	t.Parallel()

	p := served("a", "1=eth", "7")
	n, problem := p.networkID([]byte(`{"id":1,"method":"eth_call","networkId":"evm:7"}`))
	require.Nil(t, problem)
	require.Equal(t, uint64(7), n.cfg.ChainID)
	_, problem = p.networkID([]byte(`{"id":1,"networkId":"evm:8"}`))
	require.Contains(t, problem.Message, "this project serves /a/evm/1, /a/evm/7")
	_, problem = p.networkID([]byte(`[{"id":1}]`))
	require.Contains(t, problem.Message, "which network? this project serves")
}

func TestRoutes_Validate(t *testing.T) {
	t.Parallel()

	require.NoError(t, (&routes{projects: []*project{served("a", "1"), served("b", "1=x", "2")}}).validate())
	cases := map[string]routes{
		"at least one is needed":       {},
		`project "a": stands twice`:    {projects: []*project{served("a", "1"), served("a", "1")}},
		"at least one network":         {projects: []*project{served("a")}},
		"each needs its chain id":      {projects: []*project{served("a", "1", "")}},
		"two networks are called 1":    {projects: []*project{served("a", "1", "1")}},
		"two networks are called x":    {projects: []*project{served("a", "1=x", "2=x")}},
		`there is no project "b"`:      {projects: []*project{served("a", "1")}, aliases: []HostAlias{{Domain: "h", Project: "b"}}},
		"the domain is missing":        {projects: []*project{served("a", "1")}, aliases: []HostAlias{{Project: "a"}}},
		`architecture "svm": must be `: {projects: []*project{served("a", "1")}, aliases: []HostAlias{{Domain: "h", Architecture: "svm"}}},
	}
	for want, r := range cases {
		require.ErrorContains(t, r.validate(), want)
	}
}
