package queue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/failpoint"
)

// identity compares the node's chain with the configured id and the pinned
// genesis block, for everybody of this replica.
type identity struct {
	chainID uint64
	node    Node
	store   *Store

	mu     sync.Mutex // guards the fields below; held while asking, so that one asks for all
	pinned common.Hash
	at     time.Time // when the node last showed the right chain
}

const (
	// identifyEvery is how often the chain is compared while it seems to go on: a
	// new one may have overtaken the old one's height while nobody looked.
	identifyEvery = 2 * time.Second
	// identifyAge is how old a comparison may be for a driver that begins anew.
	identifyAge = 100 * time.Millisecond
)

// check asks the node, unless it has shown the right chain within maxAge. It
// returns ErrOtherChain when it shows another one.
func (i *identity) check(ctx context.Context, maxAge time.Duration) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.at.IsZero() && failpoint.Now().Sub(i.at) < maxAge {
		return nil
	}
	id, err := i.node.ChainID(ctx)
	if err != nil {
		return err
	}
	if id != i.chainID {
		return fmt.Errorf("%w: its chain id is %d, configured is %d", ErrOtherChain, id, i.chainID)
	}
	genesis, err := i.node.GenesisHash(ctx)
	if err != nil {
		return err
	}
	if i.pinned == (common.Hash{}) {
		if i.pinned, err = i.store.PinGenesis(ctx, genesis); err != nil {
			i.pinned = common.Hash{}
			return err
		}
	}
	if i.pinned != genesis {
		return fmt.Errorf("%w: its genesis block is %s, this database belongs to %s", ErrOtherChain, genesis, i.pinned)
	}
	i.at = failpoint.Now()
	return nil
}
