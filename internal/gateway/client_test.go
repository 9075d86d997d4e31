package gateway

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProxies_Client(t *testing.T) {
	t.Parallel()

	trusted := TrustedProxies{Networks: []string{"10.0.0.0/8", "fd00::/8", "192.0.2.1"}}
	real := TrustedProxies{Networks: trusted.Networks, Headers: []string{"x-real-ip", "X-Forwarded-For"}}
	cases := map[string]struct {
		trust  TrustedProxies
		remote string
		header http.Header
		want   string
	}{
		"nobody is trusted":             {TrustedProxies{}, "10.0.0.1:1", http.Header{"X-Forwarded-For": {"198.51.100.7"}}, "10.0.0.1"},
		"the client speaks itself":      {trusted, "198.51.100.9:1", http.Header{"X-Forwarded-For": {"198.51.100.7"}}, "198.51.100.9"},
		"a proxy speaks":                {trusted, "10.0.0.1:1", http.Header{"X-Forwarded-For": {"198.51.100.7"}}, "198.51.100.7"},
		"a proxy says nothing":          {trusted, "10.0.0.1:1", nil, "10.0.0.1"},
		"what the client forged":        {trusted, "10.0.0.1:1", http.Header{"X-Forwarded-For": {"203.0.113.1, 198.51.100.7"}}, "198.51.100.7"},
		"proxies in a row":              {trusted, "10.0.0.1:1", http.Header{"X-Forwarded-For": {"198.51.100.7, 10.0.0.3", "192.0.2.1"}}, "198.51.100.7"},
		"only proxies":                  {trusted, "10.0.0.1:1", http.Header{"X-Forwarded-For": {"10.0.0.3"}}, "10.0.0.3"},
		"no address":                    {trusted, "10.0.0.1:1", http.Header{"X-Forwarded-For": {"198.51.100.7, unknown"}}, "10.0.0.1"},
		"with a port":                   {trusted, "10.0.0.1:1", http.Header{"X-Forwarded-For": {"198.51.100.7:443"}}, "198.51.100.7"},
		"IPv6":                          {trusted, "[fd00::1]:1", http.Header{"X-Forwarded-For": {"2001:db8::7"}}, "2001:db8::7"},
		"IPv4 in IPv6":                  {trusted, "[::ffff:10.0.0.1]:1", http.Header{"X-Forwarded-For": {"::ffff:198.51.100.7"}}, "198.51.100.7"},
		"another header, first of them": {real, "10.0.0.1:1", http.Header{"X-Forwarded-For": {"198.51.100.7"}, "X-Real-Ip": {"198.51.100.8"}}, "198.51.100.8"},
		"another header, second":        {real, "10.0.0.1:1", http.Header{"X-Forwarded-For": {"198.51.100.7"}}, "198.51.100.7"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, c.trust.Validate())
			p := newProxies(c.trust)
			require.Equal(t, c.want, p.client(&http.Request{RemoteAddr: c.remote, Header: c.header}).String())
		})
	}
	require.ErrorContains(t, TrustedProxies{Networks: []string{"10.0.0.0/99"}}.Validate(), "must be an address or a CIDR")
	require.ErrorContains(t, TrustedProxies{Headers: []string{"a b"}}.Validate(), "no name of a header field")
}

func FuzzProxies_Client(f *testing.F) {
	f.Add("10.0.0.1:1", "198.51.100.7, 10.0.0.3")
	f.Add("", ",,")
	p := newProxies(TrustedProxies{Networks: []string{"0.0.0.0/0", "::/0"}})
	f.Fuzz(func(_ *testing.T, remote, list string) {
		p.client(&http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {list}}})
	})
}
