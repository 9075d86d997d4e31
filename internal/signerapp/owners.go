package signerapp

import (
	"context"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/madekeys"
	"github.com/slipwayhq/slipway/internal/wallets"
)

// owners says which tenants accounts belong to that were made while the signer ran.
type owners struct {
	wallets *wallets.Service // nil for none
	made    *madekeys.Service
}

// Owners implements admission.Wallets.
func (o owners) Owners(ctx context.Context, addresses ...common.Address) (map[common.Address]string, error) {
	if o.wallets == nil {
		return o.made.Owners(ctx, addresses...)
	}
	known, err := o.wallets.Owners(ctx, addresses...)
	if err != nil || len(known) == len(addresses) {
		return known, err
	}
	rest := slices.DeleteFunc(slices.Clone(addresses), func(a common.Address) bool { _, isKnown := known[a]; return isKnown })
	made, err := o.made.Owners(ctx, rest...)
	if err != nil {
		return nil, err
	}
	out := maps.Clone(made)
	maps.Copy(out, known)
	return out, nil
}
