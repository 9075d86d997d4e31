package waitfor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/secret"
)

// lookTimeout bounds one look at a target.
const lookTimeout = 5 * time.Second

// Target is something to wait for.
type Target struct {
	name string // without credentials
	look func(ctx context.Context) error
}

// String is the target without credentials.
func (t Target) String() string { return t.name }

// Options of targets.
type Options struct {
	// ChainID is what nodes must have; 0 takes any.
	ChainID uint64
}

// Parse reads a target:
//
//	tcp://host:port  or  host:port     a connection can be made
//	http://… https://…                 GET is answered with 2xx
//	postgres://user:password@host/db   the login works and SELECT 1 is answered
//	redis://… rediss://…               the login works and PING is answered
//	jsonrpc+http://… jsonrpc+https://… eth_chainId is answered, with the right id
//	env:NAME  file:PATH                one of the above, from there
func Parse(text string, options Options) (Target, error) {
	text, err := resolve(text)
	if err != nil {
		return Target{}, err
	}
	scheme, _, hasScheme := strings.Cut(text, "://")
	if !hasScheme {
		return tcp(text)
	}
	switch scheme {
	case "tcp":
		return tcp(strings.TrimSuffix(strings.TrimPrefix(text, "tcp://"), "/"))
	case "http", "https":
		return page(text)
	case "postgres", "postgresql":
		return postgres(text)
	case "redis", "rediss":
		return redis(text)
	case "jsonrpc+http", "jsonrpc+https":
		return node(strings.TrimPrefix(text, "jsonrpc+"), options.ChainID)
	default:
		return Target{}, fmt.Errorf("cannot wait for %s://: it is tcp, http, https, postgres, redis, rediss, jsonrpc+http or jsonrpc+https", scheme)
	}
}

// resolve fetches a target from the environment or from a file, which are
// places for passwords; a command line is none.
func resolve(text string) (string, error) {
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		value := os.Getenv(name)
		if value == "" {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		return value, nil
	}
	if path, ok := strings.CutPrefix(text, "file:"); ok {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("read the target: %w", err)
		}
		return strings.TrimSpace(string(content)), nil
	}
	return text, nil
}

// safe is a URL without user and query, which may be secret.
func safe(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return shown.String()
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, errors.New("the target's URL cannot be read") // the reason may quote it
	}
	return u, nil
}

func tcp(address string) (Target, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return Target{}, fmt.Errorf("%q is not host:port", address)
	}
	return Target{name: "tcp://" + address, look: func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}}, nil
}

func page(text string) (Target, error) {
	u, err := parseURL(text)
	if err != nil {
		return Target{}, err
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return Target{name: safe(u), look: func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, text, nil)
		if err != nil {
			return errors.New("the URL cannot be asked")
		}
		response, err := client.Do(request)
		if err != nil {
			var withURL *url.Error
			if errors.As(err, &withURL) {
				err = withURL.Err
			}
			return err
		}
		_ = response.Body.Close() // the status is all that counts
		if response.StatusCode < 200 || response.StatusCode > 299 {
			return fmt.Errorf("it answers %s", response.Status)
		}
		return nil
	}}, nil
}

func redis(text string) (Target, error) {
	u, err := parseURL(text)
	if err != nil {
		return Target{}, err
	}
	config := redisconn.Config{URL: secret.New(text), Timeout: lookTimeout, PoolSize: 1}
	if err := config.Validate(); err != nil {
		return Target{}, err
	}
	return Target{name: safe(u), look: func(ctx context.Context) error {
		conn, err := redisconn.New(config)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }() // it was only looked at
		return conn.Ping(ctx)
	}}, nil
}

func node(text string, chainID uint64) (Target, error) {
	u, err := parseURL(text)
	if err != nil {
		return Target{}, err
	}
	client, err := nodeclient.New(nodeclient.Config{URL: secret.New(text), Timeout: lookTimeout})
	if err != nil {
		return Target{}, err
	}
	return Target{name: "jsonrpc+" + u.Scheme + "://" + u.Host, look: func(ctx context.Context) error {
		defer client.Close()
		is, err := client.ChainID(ctx)
		if err == nil && chainID != 0 && is != chainID {
			err = fmt.Errorf("its chain id is %d, and %d is wanted", is, chainID)
		}
		return err
	}}, nil
}
