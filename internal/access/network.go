package access

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Network is a caller that is known by nothing but where it calls from. Whoever
// gets an address in it, may do what it may do.
type Network struct {
	// Name is the caller's: net:NAME.
	Name string `yaml:"name"`
	// CIDRs are its addresses, such as 10.1.0.0/16; a single address may stand alone.
	CIDRs []string `yaml:"cidrs"`
	// Tenant is the caller's.
	Tenant string `yaml:"tenant"`
	// Roles are the caller's.
	Roles []Role `yaml:"roles"`
}

func (n Network) validate() error {
	errs := []error{checkName(n.Name), checkTenant(n.Tenant), checkRoles(n.Roles)}
	if len(n.CIDRs) == 0 {
		errs = append(errs, errors.New("cidrs: at least one is needed"))
	}
	_, err := parsePrefixes(n.CIDRs)
	if err != nil {
		err = fmt.Errorf("cidrs: %w", err)
	}
	return errors.Join(append(errs, err)...)
}

// parsePrefixes reads networks and single addresses.
func parsePrefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if !strings.Contains(text, "/") {
			var a netip.Addr
			a, err = netip.ParseAddr(text)
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if err != nil || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			return nil, fmt.Errorf("%q is no network such as 10.1.0.0/16", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// networks finds callers by where they call from.
type networks struct {
	list    []network
	proxies []netip.Prefix
	hosts   []string
}

type network struct {
	prefixes []netip.Prefix
	caller   Caller
}

func newNetworks(cfg Config) (networks, error) {
	proxies, err := parsePrefixes(cfg.TrustedProxies)
	out := networks{proxies: proxies, hosts: cfg.Hosts}
	for _, n := range cfg.Networks {
		prefixes, wrong := parsePrefixes(n.CIDRs)
		err = errors.Join(err, wrong)
		out.list = append(out.list, network{prefixes, Caller{Tenant: n.Tenant, Name: "net:" + n.Name, Roles: n.Roles}})
	}
	return out, err
}

// caller is the caller of a request that shows no credentials. Its errors are
// ErrMissing, ErrProxied and ErrWebPage.
func (n networks) caller(r *http.Request) (Caller, error) {
	if len(n.list) == 0 {
		return Caller{}, ErrMissing
	}
	from, err := n.from(r)
	if err != nil {
		return Caller{}, err
	}
	for _, known := range n.list {
		if !contains(known.prefixes, from) {
			continue
		}
		// The page of anybody, open in the browser of somebody inside, would be let
		// in: directly, or under a name that was re-bound to this machine.
		if r.Header.Get("Origin") != "" || !n.isOurName(r.Host) {
			return Caller{}, ErrWebPage
		}
		return known.caller, nil
	}
	return Caller{}, ErrMissing
}

// from is where a request comes from: the other end of the connection, or who is
// behind a trusted proxy. A proxy that nobody said is trusted hides who calls.
func (n networks) from(r *http.Request) (netip.Addr, error) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, ErrMissing
	}
	from := plain(peer.Addr())
	if !contains(n.proxies, from) {
		for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"} {
			if r.Header.Get(name) != "" {
				return netip.Addr{}, ErrProxied
			}
		}
		return from, nil
	}
	// Each proxy adds who called it at the end; before that, callers write what they like.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return netip.Addr{}, ErrProxied
		}
		if from = plain(a); !contains(n.proxies, from) {
			return from, nil
		}
	}
	return netip.Addr{}, ErrProxied // proxies only: who called is not told
}

// plain is an address without the ways to write it differently.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// isOurName says whether a host, with or without port, cannot be a name of somebody
// else: an address, a name without a dot, one of a cluster or a private network, or one
// that is configured.
func (n networks) isOurName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	if host != "" && !strings.Contains(host, ".") {
		return true
	}
	// Nobody can register names under these (RFC 6761, RFC 6762, ICANN's board on .internal).
	for _, suffix := range []string{".svc", ".cluster.local", ".internal", ".localhost"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return slices.ContainsFunc(n.hosts, func(known string) bool { return strings.EqualFold(known, host) })
}

// Attached are the networks that are directly attached to a machine with these
// addresses, as far as they are private (RFC 1918, RFC 4193), and its loopback.
func Attached(own []net.Addr) []netip.Prefix {
	private := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7"),
	}
	out := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, a := range own {
		attached, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue // no IP address
		}
		for _, p := range private {
			if p.Contains(attached.Addr()) {
				p = netip.PrefixFrom(attached.Addr(), max(p.Bits(), attached.Bits())).Masked()
				if !slices.Contains(out, p) {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// AttachedNetwork is the caller that access.attachedNetworks lets in: TxSigner's,
// who sends and signs and looks after wallets, and neither operates nor approves.
func AttachedNetwork(own []net.Addr) Network {
	n := Network{Name: "attached", Tenant: DefaultTenant, Roles: []Role{RoleRead, RoleSubmit, RoleSign, RoleWallets}}
	for _, p := range Attached(own) {
		n.CIDRs = append(n.CIDRs, p.String())
	}
	return n
}
