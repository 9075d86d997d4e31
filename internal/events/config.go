package events

import (
	"errors"
	"time"
)

// Config is how events are told to clients that listen (GET /v1/events).
type Config struct {
	// MaxStreams is the most clients that may listen at a time.
	MaxStreams int `yaml:"maxStreams"`
	// Poll is how often the database is asked for new events while somebody listens.
	Poll time.Duration `yaml:"poll"`
	// Heartbeat is how often a stream without events shows that it lives.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// Backlog is how many events a client may be behind before it is cut. It
	// can come back and continue where it was.
	Backlog int `yaml:"backlog"`
}

// Default returns the configuration that needs no change.
func Default() Config {
	return Config{MaxStreams: 1000, Poll: 250 * time.Millisecond, Heartbeat: 15 * time.Second, Backlog: 10_000}
}

// Validate reports all problems at once.
func (c Config) Validate() error {
	var errs []error
	if c.MaxStreams < 1 {
		errs = append(errs, errors.New("events.maxStreams: must be at least 1"))
	}
	if c.Poll < 10*time.Millisecond || c.Poll > time.Minute {
		errs = append(errs, errors.New("events.poll: must be between 10ms and 1m"))
	}
	if c.Heartbeat < time.Second || c.Heartbeat > time.Minute {
		errs = append(errs, errors.New("events.heartbeat: must be between 1s and 1m"))
	}
	if c.Backlog < 1000 || c.Backlog > 1_000_000 {
		errs = append(errs, errors.New("events.backlog: must be between 1000 and 1000000"))
	}
	return errors.Join(errs...)
}
