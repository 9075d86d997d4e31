package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/secret"
)

// Config bounds what clients may ask.
type Config struct {
	// MaxBody is the largest request body, in bytes.
	MaxBody int64 `yaml:"maxBody"`
	// MaxBatch is the most calls of one JSON-RPC batch, and the most transactions
	// of one list.
	MaxBatch int `yaml:"maxBatch"`
	// SendWait is how long eth_sendTransaction waits for its hash, and POST
	// /v1/transactions with wait= for what it waits for, unless it says how long.
	// The transaction goes on when the time is over.
	SendWait time.Duration `yaml:"sendWait"`
	// MaxSockets is the most WebSocket connections at a time.
	MaxSockets int `yaml:"maxSockets"`
	// AllowHashSigning lets eth_sign sign 32 bytes, which are mostly a hash of
	// something that nobody has seen.
	AllowHashSigning bool `yaml:"allowHashSigning"`
	// ForwardMethods are calls of the namespaces admin, debug, engine, miner, perm and personal
	// that go to the gateway all the same: names, or beginnings such as debug_*. Calls of
	// other namespaces always do.
	ForwardMethods []string `yaml:"forwardMethods"`
	// MaxWait is the longest that a client may ask to wait.
	MaxWait time.Duration `yaml:"maxWait"`
	// HasuraSecret is what Hasura sends in the header X-Slipway-Action-Secret with
	// its actions. Without it only a signer with dev takes actions.
	HasuraSecret secret.String `yaml:"hasuraSecret"`
}

// Default returns the limits that hold when nothing is configured.
func Default() Config {
	return Config{MaxBody: 1 << 20, MaxBatch: 100, SendWait: 30 * time.Second, MaxWait: 90 * time.Second, MaxSockets: 1000}
}

// Validate reports all problems at once.
func (c Config) Validate() error {
	var errs []error
	if c.MaxBody < 1024 {
		errs = append(errs, errors.New("maxBody: must be at least 1024 bytes"))
	}
	if c.MaxBatch < 1 {
		errs = append(errs, errors.New("maxBatch: must be at least 1"))
	}
	if c.SendWait < time.Second {
		errs = append(errs, errors.New("sendWait: must be at least 1s"))
	}
	if c.MaxSockets < 1 {
		errs = append(errs, errors.New("maxSockets: must be at least 1"))
	}
	// Longer ones would be cut by the server: it ends every answer after 2m.
	if c.MaxWait < time.Second || c.MaxWait > 110*time.Second {
		errs = append(errs, errors.New("maxWait: must be between 1s and 1m50s"))
	}
	for _, name := range c.ForwardMethods {
		if namespace, rest, _ := strings.Cut(name, "_"); !slices.Contains(closedNamespaces(), namespace) || rest == "" || strings.Contains(strings.TrimSuffix(rest, "*"), "*") {
			errs = append(errs, fmt.Errorf("forwardMethods: %q is no method, such as debug_traceTransaction, or beginning, such as debug_*, of the namespaces %s",
				name, strings.Join(closedNamespaces(), ", ")))
		}
	}
	if n := len(c.HasuraSecret.Reveal()); n > 0 && n < minHasuraSecret {
		errs = append(errs, fmt.Errorf("hasuraSecret: must have at least %d characters", minHasuraSecret))
	}
	return errors.Join(errs...)
}

// minHasuraSecret is too long to be guessed over the network.
const minHasuraSecret = 16
