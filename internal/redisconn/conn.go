package redisconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/slipwayhq/slipway/internal/secret"
)

// ErrResting says that Redis was not asked, because it failed a short while ago.
var ErrResting = errors.New("redis: left alone after a failure")

// Conn is a connection to Redis, which may be many. It connects at first use.
// Its methods may be called from anywhere. Close it in the end.
type Conn struct {
	client  redis.UniversalClient
	timeout time.Duration
	prefix  string
	rest    rest
	now     func() time.Duration // of a clock that nobody sets
}

// New checks the configuration, reads the files it names, and makes the
// connection. It talks to nobody.
func New(cfg Config) (*Conn, error) {
	base, err := cfg.options()
	if err != nil {
		return nil, err
	}
	secured, err := cfg.TLS.config(base.TLSConfig)
	if err != nil {
		return nil, err
	}
	// The library writes failed dials to standard error, in a form of its own
	// and through a variable of the whole process. Metrics of the users tell it.
	redis.SetLogger(silent{})
	options := &redis.UniversalOptions{
		Addrs:            []string{base.Addr},
		DB:               base.DB,
		Username:         base.Username,
		Password:         base.Password,
		SentinelUsername: cfg.Sentinel.Username,
		SentinelPassword: cfg.Sentinel.Password.Reveal(),
		MasterName:       cfg.Sentinel.Master,
		TLSConfig:        secured,
		PoolSize:         cfg.PoolSize,

		DialTimeout: cfg.Timeout, ReadTimeout: cfg.Timeout, WriteTimeout: cfg.Timeout, PoolTimeout: cfg.Timeout,
		ContextTimeoutEnabled: true,
		MaxRetries:            -1, // the next request is the retry
		DialerRetries:         1,  // as above
		DisableIdentity:       true,
		// Announcements of a managed service; the question costs a round trip.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if options.CredentialsProviderContext, err = cfg.credentials(base.Username); err != nil {
		return nil, err
	}
	born := time.Now()
	c := &Conn{timeout: cfg.Timeout, prefix: cfg.KeyPrefix, now: func() time.Duration { return time.Since(born) }}
	switch {
	case len(cfg.Cluster) > 0:
		options.Addrs = cfg.Cluster
		c.client = redis.NewClusterClient(options.Cluster())
	case len(cfg.Sentinel.Addresses) > 0:
		options.Addrs = cfg.Sentinel.Addresses
		c.client = redis.NewFailoverClient(options.Failover())
	default:
		c.client = redis.NewClient(options.Simple())
	}
	return c, nil
}

// credentials gives each new connection the password that the file has then; nil
// without a file.
func (c Config) credentials(username string) (func(context.Context) (string, string, error), error) {
	if c.PasswordFile == "" {
		return nil, nil //nolint:nilnil // the password of the options is used
	}
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	file, err := secret.OpenFile(c.PasswordFile, log)
	if err != nil {
		return nil, fmt.Errorf("redis: read the password: %w", err)
	}
	return func(ctx context.Context) (string, string, error) { return username, file.Read(ctx).Reveal(), nil }, nil
}

// silent drops the library's log.
type silent struct{}

// Printf implements the library's logger.
func (silent) Printf(context.Context, string, ...any) {}

// Key is the name of a key with the configured prefix in front.
func (c *Conn) Key(name string) string { return c.prefix + name }

// Use runs one use of Redis within the configured time. It returns ErrResting,
// without a call of use, while Redis is left alone. That use fails because
// there is no such key (redis.Nil) or because Redis does not like the command is
// no failure of Redis; the error is handed on all the same.
func (c *Conn) Use(ctx context.Context, use func(ctx context.Context, client redis.UniversalClient) error) error {
	isProbe, ok := c.rest.enter(c.now())
	if !ok {
		return ErrResting
	}
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	found := abandoned // stays when use panics
	defer func() { c.rest.leave(c.now(), isProbe, found) }()
	err := use(bounded, c.client)
	switch {
	case !isAway(err):
		found = answered
	case ctx.Err() == nil: // otherwise the caller went away, which says nothing
		found = failed
	}
	return err
}

// Ping logs in, chooses the database and asks for a sign of life.
func (c *Conn) Ping(ctx context.Context) error {
	return c.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error { return client.Ping(ctx).Err() })
}

// isAway says whether an error means that Redis cannot be used at all.
func isAway(err error) bool {
	var reply redis.Error
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return false
	case !errors.As(err, &reply):
		return true
	default: // it answers, but says that it serves nobody, or not us
		return redis.IsAuthError(err) || redis.IsLoadingError(err) || redis.IsReadOnlyError(err) ||
			redis.IsClusterDownError(err) || redis.IsMasterDownError(err) || redis.IsMaxClientsError(err)
	}
}

// Close drops the connections.
func (c *Conn) Close() error {
	if err := c.client.Close(); err != nil {
		return fmt.Errorf("close redis: %w", err)
	}
	return nil
}
