package upstreams

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// vendors are the programs that a node may be, as metric labels. The first one
// is a node that has not said what it is, the second one of another kind.
func vendors() []string {
	return []string{"unknown", "other", "besu", "geth", "nethermind", "erigon", "reth", "anvil"}
}

// vendorOf reads the answer to web3_clientVersion, such as
// "besu/v25.7.0/linux-x86_64/openjdk-java-21", as a place in vendors.
func vendorOf(version string) uint32 {
	name, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(version)), "/")
	if name == "" {
		return 0
	}
	return uint32(max(1, slices.Index(vendors(), name)))
}

// askForVendor asks the node what program it is. That it does not say so is no
// failure: its namespace web3 may be closed.
func (u *Upstream) askForVendor(ctx context.Context) {
	answer, err := call(ctx, u.probes, "web3_clientVersion", `[]`)
	if err != nil {
		return
	}
	if version, err := strconv.Unquote(string(answer.Result)); err == nil {
		u.vendor.Store(vendorOf(version))
	}
}

// Vendor is the program that the node is: besu, geth, nethermind, erigon, reth,
// anvil, other, or unknown when it has not said so.
func (u *Upstream) Vendor() string { return vendors()[u.vendor.Load()] }
