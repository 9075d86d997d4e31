package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipwayhq/slipway/internal/secret"
)

const (
	// defaultKeyRefresh is how often published keys are read.
	defaultKeyRefresh = 5 * time.Minute
	// keyFetchTimeout bounds one read.
	keyFetchTimeout = 5 * time.Second
	// maxKeySetBytes bounds an answer.
	maxKeySetBytes = 1 << 20
	// keyRetryFirst and keyRetryMost bound the pause after a read that failed.
	keyRetryFirst, keyRetryMost = time.Second, time.Minute
	// unknownKeyPause is the least time between two reads that unknown keys cause:
	// anybody can invent a key id.
	unknownKeyPause = 10 * time.Second
	// unknownKeyWait is how long a request waits for such a read.
	unknownKeyWait = 2 * time.Second
)

// keySet is the keys an issuer publishes at a URL. Its run reads them again and
// again; keys stay in use while the issuer is away.
type keySet struct {
	url     secret.String
	refresh time.Duration
	client  *http.Client
	metrics *scopeMetrics
	log     *slog.Logger
	changed func() // called after the keys have changed

	current atomic.Pointer[publishedKeys] // nil until the first read
	wake    chan struct{}

	mu        sync.Mutex
	reading   chan struct{} // closed after a read that was asked for; nil if none is
	lastAsked time.Time
}

func newKeySet(cfg JWT, m *scopeMetrics, log *slog.Logger, changed func()) *keySet {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: keyFetchTimeout, IdleConnTimeout: time.Minute,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: cfg.JWKSInsecure}, //nolint:gosec // the operator's choice
	}
	s := &keySet{
		url: cfg.JWKSURL, refresh: cfg.JWKSRefresh, metrics: m, log: log, changed: changed, wake: make(chan struct{}, 1),
		client: &http.Client{Transport: transport, Timeout: keyFetchTimeout, CheckRedirect: staySecure},
	}
	if s.refresh <= 0 {
		s.refresh = defaultKeyRefresh
	}
	return s
}

// staySecure follows a few redirects, never from HTTPS to HTTP.
func staySecure(next *http.Request, via []*http.Request) error {
	const most = 3
	if len(via) > most || via[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errors.New("a redirect that is not followed")
	}
	return nil
}

// run reads the keys until ctx ends. It calls asked after the first read.
func (s *keySet) run(ctx context.Context, asked func()) {
	defer s.client.CloseIdleConnections()
	pause := keyRetryFirst
	for first := true; ctx.Err() == nil; first = false {
		wait := s.refresh
		if err := s.read(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "keys of an issuer cannot be read", slog.Any("err", err))
			wait = min(pause, s.refresh)
			pause = min(2*pause, keyRetryMost)
		} else {
			pause = keyRetryFirst
		}
		s.readingDone()
		if first {
			asked()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	s.readingDone()
}

func (s *keySet) readingDone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading != nil {
		close(s.reading)
		s.reading = nil
	}
}

// read reads the keys once. Its errors do not show the URL.
func (s *keySet) read(ctx context.Context) error {
	keys, err := s.fetch(ctx)
	s.metrics.keysRead(err)
	if err != nil {
		return err
	}
	s.current.Store(&keys)
	s.changed()
	return nil
}

func (s *keySet) fetch(ctx context.Context) (publishedKeys, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.Reveal(), http.NoBody)
	if err != nil {
		return publishedKeys{}, errors.New("read the key set: the URL cannot be used")
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return publishedKeys{}, fmt.Errorf("read the key set: %w", withoutURL(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return publishedKeys{}, fmt.Errorf("read the key set: status %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySetBytes+1))
	if err != nil {
		return publishedKeys{}, fmt.Errorf("read the key set: %w", withoutURL(err))
	}
	if len(text) > maxKeySetBytes {
		return publishedKeys{}, fmt.Errorf("read the key set: larger than %d bytes", maxKeySetBytes)
	}
	keys, err := parseKeySet(text)
	if err != nil {
		return publishedKeys{}, fmt.Errorf("read the key set: %w", err)
	}
	return keys, nil
}

// find gives the keys with an id that an algorithm can use; without an id, all
// it can use. For an id that is not known the keys are read again, if that was
// not tried just before.
func (s *keySet) find(ctx context.Context, id, algorithm string) ([]key, Reason) {
	keys := s.current.Load()
	if found := keys.find(id, algorithm); len(found) > 0 {
		return found, ReasonNone
	}
	if id != "" || keys == nil {
		s.readAgain(ctx)
		keys = s.current.Load()
	}
	if keys == nil {
		return nil, ReasonKeysUnavailable
	}
	if found := keys.find(id, algorithm); len(found) > 0 {
		return found, ReasonNone
	}
	return nil, ReasonUnknownKey
}

func (k *publishedKeys) find(id, algorithm string) []key {
	if k == nil {
		return nil
	}
	list := k.all
	if id != "" {
		list = k.byID[id]
	}
	return usable(list, algorithm)
}

// readAgain asks for a read and waits for it, together with all requests that
// need one. It does nothing if one was asked for just before.
func (s *keySet) readAgain(ctx context.Context) {
	s.mu.Lock()
	if s.reading == nil {
		if now := time.Now(); now.Sub(s.lastAsked) < unknownKeyPause {
			s.mu.Unlock()
			return
		} else {
			s.lastAsked = now
		}
		s.reading = make(chan struct{})
		select {
		case s.wake <- struct{}{}:
		default: // it is asked for already
		}
	}
	done := s.reading
	s.mu.Unlock()

	timer := time.NewTimer(unknownKeyWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// withoutURL drops the URL that net/http puts into its errors: it may hold a
// secret.
func withoutURL(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}
