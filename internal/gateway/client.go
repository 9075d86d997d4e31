package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// TrustedProxies says whose word about a client's address is taken.
type TrustedProxies struct {
	// Networks are the proxies' addresses, each an address or a CIDR.
	Networks []string
	// Headers are the fields in which they tell the client's address, the first
	// one present holds. Empty takes X-Forwarded-For.
	Headers []string
}

// Validate reports everything that is wrong.
func (t TrustedProxies) Validate() error {
	var errs []error
	for _, text := range t.Networks {
		if _, err := parsePrefix(text); err != nil {
			errs = append(errs, fmt.Errorf("trusted proxy %q: must be an address or a CIDR", text))
		}
	}
	for _, name := range t.Headers {
		if !isToken(name) {
			errs = append(errs, fmt.Errorf("header of trusted proxies %q: is no name of a header field", name))
		}
	}
	return errors.Join(errs...)
}

func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// proxies is a TrustedProxies made ready.
type proxies struct {
	networks []netip.Prefix
	headers  []string
}

func newProxies(t TrustedProxies) proxies {
	var p proxies
	for _, text := range t.Networks {
		if prefix, err := parsePrefix(text); err == nil { // Validate has told of the others
			p.networks = append(p.networks, prefix.Masked())
		}
	}
	for _, name := range t.Headers {
		p.headers = append(p.headers, http.CanonicalHeaderKey(name))
	}
	if len(p.headers) == 0 {
		p.headers = []string{"X-Forwarded-For"}
	}
	return p
}

func (p *proxies) trusts(addr netip.Addr) bool {
	for _, n := range p.networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// client is the address of the client of a request. What a header says counts
// only when a trusted proxy sent it; of several addresses in it, the last one
// that is not a trusted proxy's own, because those before it can be forged.
func (p *proxies) client(r *http.Request) netip.Addr {
	remote := address(r.RemoteAddr)
	if len(p.networks) == 0 || !p.trusts(remote) {
		return remote
	}
	for _, name := range p.headers {
		if lines := r.Header[name]; len(lines) > 0 {
			return p.told(strings.Join(lines, ","), remote)
		}
	}
	return remote
}

// told reads a list of addresses from its end.
func (p *proxies) told(list string, proxy netip.Addr) netip.Addr {
	for list != "" {
		at := strings.LastIndexByte(list, ',')
		text := strings.TrimSpace(list[at+1:])
		list = list[:max(at, 0)]
		addr := address(text)
		if !addr.IsValid() {
			return proxy // what stands before it cannot be trusted either
		}
		if !p.trusts(addr) {
			return addr
		}
		proxy = addr
	}
	return proxy
}

// address reads an address with or without its port; it is not valid when the
// text is none.
func address(text string) netip.Addr {
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
