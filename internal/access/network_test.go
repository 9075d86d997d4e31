package access

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func inside() Config {
	return Config{
		Networks: []Network{
			{Name: "portal", CIDRs: []string{"10.1.2.3"}, Tenant: "acme", Roles: []Role{RoleSubmit}},
			{Name: "cluster", CIDRs: []string{"10.0.0.0/8", "fd00::/8"}, Tenant: "other", Roles: []Role{RoleRead}},
		},
		TrustedProxies: []string{"10.9.0.0/16"}, Hosts: []string{"signer.example.com"},
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	a := authenticator(t, inside(), nil)
	for name, c := range map[string]struct {
		peer, host string
		headers    []string
		want       string
		err        error
	}{
		"the first that matches":        {peer: "10.1.2.3:99", want: "net:portal"},
		"another one":                   {peer: "10.1.2.4:99", want: "net:cluster"},
		"IPv4 written as IPv6":          {peer: "[::ffff:10.1.2.3]:99", want: "net:portal"},
		"IPv6 with a zone":              {peer: "[fd00::1%eth0]:99", want: "net:cluster"},
		"the loopback is no network":    {peer: "127.0.0.1:99", err: ErrMissing},
		"elsewhere":                     {peer: "11.1.2.3:99", err: ErrMissing},
		"no address":                    {peer: "@", err: ErrMissing},
		"a wrong key":                   {peer: "10.1.2.3:99", headers: []string{"X-Api-Key", "slk_x"}, err: ErrKey},
		"somebody else's proxy":         {peer: "10.1.2.3:99", headers: []string{"X-Forwarded-For", "10.1.2.3"}, err: ErrProxied},
		"the same with another name":    {peer: "10.1.2.3:99", headers: []string{"Forwarded", "for=10.1.2.3"}, err: ErrProxied},
		"a claim from elsewhere":        {peer: "11.1.2.3:99", headers: []string{"X-Forwarded-For", "10.1.2.3"}, err: ErrProxied},
		"through our proxy":             {peer: "10.9.0.1:99", headers: []string{"X-Forwarded-For", "10.1.2.3"}, want: "net:portal"},
		"from elsewhere through it":     {peer: "10.9.0.1:99", headers: []string{"X-Forwarded-For", "8.8.8.8"}, err: ErrMissing},
		"what the caller wrote himself": {peer: "10.9.0.1:99", headers: []string{"X-Forwarded-For", "10.1.2.3, 8.8.8.8"}, err: ErrMissing},
		"through two of ours":           {peer: "10.9.0.1:99", headers: []string{"X-Forwarded-For", "8.8.8.8, 10.1.2.3, 10.9.0.2"}, want: "net:portal"},
		"our proxy says nothing":        {peer: "10.9.0.1:99", err: ErrProxied},
		"our proxy says nonsense":       {peer: "10.9.0.1:99", headers: []string{"X-Forwarded-For", "10.1.2.3, unknown"}, err: ErrProxied},
		"a web page":                    {peer: "10.1.2.3:99", headers: []string{"Origin", "https://evil.example"}, err: ErrWebPage},
		"a page without an origin":      {peer: "10.1.2.3:99", headers: []string{"Origin", "null"}, err: ErrWebPage},
		"a page of the very host":       {peer: "10.1.2.3:99", host: "txsigner:3000", headers: []string{"Origin", "http://txsigner:3000"}, err: ErrWebPage},
		"a name that was re-bound":      {peer: "10.1.2.3:99", host: "evil.example:3000", err: ErrWebPage},
		"a name like ours":              {peer: "10.1.2.3:99", host: "signer.example.com.evil.example", err: ErrWebPage},
		"no name":                       {peer: "10.1.2.3:99", host: "-", err: ErrWebPage},
		"a container's name":            {peer: "10.1.2.3:99", host: "txsigner:3000", want: "net:portal"},
		"a service's name":              {peer: "10.1.2.3:99", host: "signer.payments.svc.cluster.local:3000", want: "net:portal"},
		"a short one":                   {peer: "10.1.2.3:99", host: "signer.payments.svc", want: "net:portal"},
		"a configured name":             {peer: "10.1.2.3:99", host: "Signer.example.com.:3000", want: "net:portal"},
		"an address":                    {peer: "10.1.2.3:99", host: "10.1.2.9:3000", want: "net:portal"},
		"an IPv6 address":               {peer: "10.1.2.3:99", host: "[fd00::9]:3000", want: "net:portal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://signer/", nil)
			r.RemoteAddr = c.peer
			if c.host != "" {
				r.Host = c.host
			}
			if c.host == "-" {
				r.Host = ""
			}
			for i := 0; i < len(c.headers); i += 2 {
				r.Header.Set(c.headers[i], c.headers[i+1])
			}

			got, err := a.Authenticate(r)

			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, got.Name)
			if c.err == nil {
				require.NoError(t, a.Renew(t.Context(), got))
			}
		})
	}
}

func TestNetworks_Validate(t *testing.T) {
	t.Parallel()
	require.NoError(t, inside().Validate())
	require.True(t, inside().IsSet())
	require.True(t, Config{AttachedNetworks: true}.IsSet())
	good := inside().Networks[0]
	for want, change := range map[string]func(*Config){
		"cidrs: at least one is needed":    func(c *Config) { c.Networks[0].CIDRs = nil },
		`cidrs: "10.1.2.3/33" is no netwo`: func(c *Config) { c.Networks[0].CIDRs = []string{"10.1.2.3/33"} },
		`cidrs: "::ffff:10.1.2.3" is no n`: func(c *Config) { c.Networks[0].CIDRs = []string{"::ffff:10.1.2.3"} },
		`cidrs: "cluster" is no network`:   func(c *Config) { c.Networks[0].CIDRs = []string{"cluster"} },
		"roles: there is no role":          func(c *Config) { c.Networks[0].Roles = []Role{"root"} },
		"tenant: must begin":               func(c *Config) { c.Networks[0].Tenant = "" },
		"used twice":                       func(c *Config) { c.Networks = append(c.Networks, good) },
		"access.trustedProxies: ":          func(c *Config) { c.TrustedProxies = []string{"traefik"} },
		"access.hosts: ":                   func(c *Config) { c.Hosts = []string{"https://signer.example.com"} },
	} {
		cfg := inside()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), want)
	}
}

func TestAttached(t *testing.T) {
	t.Parallel()
	cidr := func(text string) net.Addr {
		ip, n, err := net.ParseCIDR(text)
		require.NoError(t, err)
		return &net.IPNet{IP: ip, Mask: n.Mask}
	}
	var got []string
	for _, p := range Attached([]net.Addr{
		cidr("127.0.0.1/8"), cidr("::1/128"), cidr("172.18.0.5/16"), cidr("172.18.0.6/16"), cidr("8.8.8.8/24"), cidr("fe80::1/64"), cidr("fd12::5/64"),
		cidr("192.168.3.4/8"), cidr("10.244.1.7/32"), cidr("100.64.0.3/10"), cidr("2001:db8::1/64"), &net.UnixAddr{Name: "/tmp/x"},
	}) {
		got = append(got, p.String())
	}
	require.Equal(t, []string{"127.0.0.0/8", "::1/128", "172.18.0.0/16", "fd12::/64", "192.168.0.0/16", "10.244.1.7/32"}, got)

	n := AttachedNetwork(nil)
	require.NoError(t, n.validate())
	c := Caller{Roles: n.Roles}
	require.True(t, c.Has(RoleSubmit) && c.Has(RoleSign) && c.Has(RoleWallets))
	require.False(t, c.Has(RoleOperate) || c.Has(RoleApprove))
}

func FuzzNetworks(f *testing.F) {
	f.Add("10.1.2.3:1", "a", "10.1.2.3")
	f.Add("10.9.0.1:1", "[::1]:2", "x,,10.9.0.1")
	a, err := newNetworks(inside())
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, peer, host, forwarded string) {
		c, err := a.caller(&http.Request{RemoteAddr: peer, Host: host, Header: http.Header{"X-Forwarded-For": {forwarded}}})
		if err == nil {
			addr := netip.MustParseAddrPort(peer).Addr()
			require.NotEmpty(t, c.Name)
			require.True(t, contains(a.proxies, plain(addr)) || forwarded == "", "only what a trusted proxy says counts")
		}
	})
}
