package sharedstate

import (
	"time"

	"github.com/slipwayhq/slipway/internal/redisconn"
)

// Config says where the state is shared, and with whom.
type Config struct {
	// Redis is where; not set shares nothing.
	Redis redisconn.Config
	// Cluster names the installation: gateways with the same name share. It is
	// eRPC's clusterKey.
	Cluster string
	// Networks whose heads are read from the start, such as evm:1. A network is
	// also read once something was published of it.
	Networks []string
	// OnHead is called when another gateway has changed what is known of a
	// network. It is called from one goroutine and should return soon. It may be
	// nil.
	OnHead func(network string, latest, finalized uint64)
	// OnCordons is called with all cordons when they have changed, whoever changed
	// them. It may be nil; it must not call back.
	OnCordons func([]Cordon)
	// OnPurge is called with each purge of another gateway. It may be nil; it must
	// not call back.
	OnPurge func(Purge)
}

const (
	// interval is how often state is sent and read.
	interval = 500 * time.Millisecond
	// headLife is how long a head is believed that nobody confirms: a network that
	// began anew is lower than what is stored.
	headLife = time.Minute
	// headRepeat is how often a head that does not change is confirmed.
	headRepeat = headLife / 4
)

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	if !c.Redis.IsSet() {
		return nil
	}
	return c.Redis.Validate()
}
