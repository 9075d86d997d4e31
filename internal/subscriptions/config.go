package subscriptions

import (
	"errors"
	"time"
)

// Config is the configuration of a hub.
type Config struct {
	// MaxPerClient bounds the subscriptions of one client.
	MaxPerClient int
	// MaxQueuedEvents and MaxQueuedBytes bound what waits for one client. The
	// bytes are shared by all clients that wait for the same.
	MaxQueuedEvents int
	MaxQueuedBytes  int
	// JoinTimeout bounds the wait for the feed when the first client subscribes.
	JoinTimeout time.Duration
	// Linger is how long a feed is kept when its last subscriber has gone.
	Linger time.Duration
	// StallAfter is how long a followed node may stay silent about a block that
	// other nodes show.
	StallAfter time.Duration
	// MinPoll and MaxPoll bound the time between two looks at the head where no
	// node can be followed. Within them it is a quarter of the time between blocks.
	MinPoll, MaxPoll time.Duration
	// CallTimeout bounds one question to the nodes.
	CallTimeout time.Duration
	// MaxGap is the longest gap that is filled, in blocks. Beyond it clients are
	// told that they lost track, instead of being flooded with old blocks.
	MaxGap uint64
}

// Default is the configuration that needs no change.
func Default() Config {
	return Config{
		MaxPerClient:    1000,
		MaxQueuedEvents: 16384,
		MaxQueuedBytes:  16 << 20,
		JoinTimeout:     5 * time.Second,
		Linger:          5 * time.Second,
		StallAfter:      2 * time.Second,
		MinPoll:         100 * time.Millisecond,
		MaxPoll:         time.Second,
		CallTimeout:     5 * time.Second,
		MaxGap:          1024,
	}
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	for name, n := range map[string]int64{
		"subscriptions per client": int64(c.MaxPerClient), "queued events": int64(c.MaxQueuedEvents), "queued bytes": int64(c.MaxQueuedBytes),
		"join timeout": int64(c.JoinTimeout), "stall time": int64(c.StallAfter), "shortest poll": int64(c.MinPoll),
		"call timeout": int64(c.CallTimeout), "longest gap": int64(c.MaxGap),
	} {
		if n <= 0 {
			errs = append(errs, errors.New(name+": must be more than zero"))
		}
	}
	if c.MaxPoll < c.MinPoll {
		errs = append(errs, errors.New("longest poll: must not be less than the shortest"))
	}
	return errors.Join(errs...)
}
