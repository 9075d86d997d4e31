package upstreams

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/secret"
)

// Config is the configuration of one network's pool.
type Config struct {
	// Project is the project's name in metrics.
	Project string
	// Network is the network's name in metrics, such as "evm:31337".
	Network string
	// ChainID is the chain every node must show; 0 takes that of the first node reached.
	ChainID uint64
	// Genesis is the hash of block 0 every node must show; empty takes that of the first node reached.
	Genesis string
	// Finality says which blocks cannot change any more.
	Finality chain.Finality
	// Upstreams are the nodes, the preferred one first.
	Upstreams []Endpoint
	// PollInterval is the time between two looks at a node's head.
	PollInterval time.Duration
	// ProbeTimeout bounds each call of a poller.
	ProbeTimeout time.Duration
	// Failsafe holds for calls that no rule means.
	Failsafe Failsafe
	// Rules change it for some methods; the first that means a call holds.
	Rules []Rule
	// SendTimeout bounds one try of eth_sendRawTransaction at one node.
	SendTimeout time.Duration
	// Broadcast is to how many nodes a signed transaction is sent at once. The
	// first that takes it answers.
	Broadcast int
	// Integrity says how closely answers are looked at.
	Integrity Integrity
	// MaxLag is how many blocks a node may be behind before others are preferred.
	MaxLag uint64
	// AwaitBlock is for how long a request for one of the next blocks, which no
	// node has yet, waits for it; 0 does not wait. It waits only when the block is
	// due within that time, and never longer than two blocks take.
	AwaitBlock time.Duration
	// MaxResponseBytes bounds one answer of a node.
	MaxResponseBytes int64
	// MaxConnections bounds the connections to one node.
	MaxConnections int
}

// Default is the configuration without its nodes.
func Default() Config {
	return Config{
		Finality:     chain.Finality{Mode: chain.Auto, Depth: chain.DefaultDepth},
		PollInterval: time.Second,
		ProbeTimeout: 2 * time.Second,
		Failsafe:     DefaultFailsafe(),
		SendTimeout:  5 * time.Second,
		Broadcast:    1,
		Integrity:    DefaultIntegrity(),
		// Besu's own readiness probe allows a node to be 2 blocks behind.
		MaxLag:           2,
		AwaitBlock:       2 * time.Second,
		MaxResponseBytes: 128 << 20,
		// Besu takes 80 connections by default (--rpc-http-max-active-connections).
		MaxConnections: 64,
	}
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	if len(c.Upstreams) == 0 {
		errs = append(errs, errors.New("upstreams: at least one is needed"))
	}
	seen := map[string]bool{}
	for i, e := range c.Upstreams {
		if _, err := parseURL(e.URL); err != nil {
			errs = append(errs, fmt.Errorf("upstreams[%d]: %w", i, err))
		}
		if _, err := parseWebSocketURL(e.WebSocketURL); err != nil {
			errs = append(errs, fmt.Errorf("upstreams[%d]: WebSocket: %w", i, err))
		}
		if e.ID != "" && seen[e.ID] {
			errs = append(errs, fmt.Errorf("upstreams[%d]: the id %q stands twice", i, e.ID))
		}
		seen[e.ID] = true
		errs = append(errs, e.validate(fmt.Sprintf("upstreams[%d]", i)))
	}
	for name, d := range map[string]time.Duration{
		"poll interval": c.PollInterval, "probe timeout": c.ProbeTimeout, "send timeout": c.SendTimeout,
	} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s: must be more than zero", name))
		}
	}
	errs = append(errs, c.Failsafe.validate("failsafe"))
	for i, r := range c.Rules {
		errs = append(errs, r.apply(c.Failsafe).validate(fmt.Sprintf("failsafe rule %d (%s)", i+1, r.Methods)))
	}
	if c.MaxResponseBytes < 1 {
		errs = append(errs, errors.New("maximum response size: must be at least 1 byte"))
	}
	if c.Integrity.MaxLookups < 0 {
		errs = append(errs, errors.New("integrity: the number of blocks asked for at a time must not be negative"))
	}
	if c.Broadcast < 1 {
		errs = append(errs, errors.New("broadcast: must be at least 1 node"))
	}
	if c.MaxConnections < 1 {
		errs = append(errs, errors.New("maximum connections: must be at least 1"))
	}
	return errors.Join(errs...)
}

// parseURL reads a node's URL. Its errors never show the URL.
func parseURL(s secret.String) (*url.URL, error) { return parseURLOf(s, "http", "https") }

// parseWebSocketURL reads the URL of a node's WebSocket; nil when there is none.
func parseWebSocketURL(s secret.String) (*url.URL, error) {
	if s.IsEmpty() {
		return nil, nil //nolint:nilnil // no URL is a valid choice
	}
	return parseURLOf(s, "ws", "wss")
}

func parseURLOf(s secret.String, plain, secured string) (*url.URL, error) {
	u, err := url.Parse(s.Reveal())
	if err != nil {
		return nil, errors.New("the URL cannot be read")
	}
	if u.Scheme != plain && u.Scheme != secured {
		return nil, fmt.Errorf("the URL must begin with %s:// or %s://", plain, secured)
	}
	if u.Host == "" {
		return nil, errors.New("the URL has no host")
	}
	return u, nil
}
