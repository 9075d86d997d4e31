package auth

import (
	"context"
	"net/netip"
)

// addressJudge knows clients by their address.
type addressJudge struct {
	ips            map[netip.Addr]*Principal
	cidrs          []allowedCIDR
	allowLocalhost bool
	ipAsUser       bool
	as             Principal
}

type allowedCIDR struct {
	prefix netip.Prefix
	as     *Principal
}

func newAddressJudge(cfg Network, as Principal) *addressJudge {
	j := &addressJudge{ips: map[netip.Addr]*Principal{}, allowLocalhost: cfg.AllowLocalhost, ipAsUser: cfg.IPAsUser, as: as}
	for _, ip := range cfg.IPs {
		ip = ip.Unmap()
		j.ips[ip] = j.named(ip.String())
	}
	for _, prefix := range cfg.CIDRs {
		prefix = unmapPrefix(prefix).Masked()
		j.cidrs = append(j.cidrs, allowedCIDR{prefix, j.named(prefix.String())})
	}
	return j
}

// unmapPrefix turns a prefix of IPv4 addresses written as IPv6 into one of IPv4.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	const mapped = 128 - 32
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p
}

func (j *addressJudge) judge(_ context.Context, c Credentials) (*Principal, Reason) {
	if !c.Remote.IsValid() {
		return nil, ReasonAddress
	}
	if p := j.ips[c.Remote]; p != nil {
		return p, ReasonNone
	}
	if j.allowLocalhost && c.Remote.IsLoopback() {
		return j.named(c.Remote.String()), ReasonNone
	}
	for _, allowed := range j.cidrs {
		if !allowed.prefix.Contains(c.Remote) {
			continue
		}
		if j.ipAsUser {
			return j.named(c.Remote.String()), ReasonNone
		}
		return allowed.as, ReasonNone
	}
	return nil, ReasonAddress
}

func (j *addressJudge) named(user string) *Principal {
	p := j.as
	p.User = user
	return &p
}
