package upstreams

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

const (
	// handshakeTimeout bounds the way from no connection to a subscription.
	handshakeTimeout = 5 * time.Second
	// maxEventBytes bounds one message of a node: a head is a few KiB.
	maxEventBytes = 1 << 20
	// pingEvery finds connections whose other end has vanished without a word.
	pingEvery   = 10 * time.Second
	pingTimeout = 5 * time.Second
)

// socket is one connection to a node's WebSocket port.
type socket struct{ conn *websocket.Conn }

// dialSocket opens a connection with a header of the node's. Its errors never
// show the URL.
func dialSocket(ctx context.Context, target *url.URL, extra http.Header) (*socket, error) {
	u := *target
	header := http.Header{"User-Agent": {"slipway"}}
	maps.Copy(header, extra)
	if u.User != nil {
		password, _ := u.User.Password()
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
		u.User = nil
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: handshakeTimeout,
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	conn, response, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: client, HTTPHeader: header}) //nolint:bodyclose // the library closes it
	if err != nil {
		return nil, dialError(response, err)
	}
	conn.SetReadLimit(maxEventBytes)
	return &socket{conn}, nil
}

// dialError says why there is no connection, without the URL that the HTTP
// client's errors begin with.
func dialError(response *http.Response, err error) error {
	var shown *url.Error
	switch {
	case errors.As(err, &shown):
		return fmt.Errorf("open a WebSocket: %w", shown.Err)
	case response != nil:
		return fmt.Errorf("open a WebSocket: HTTP status %d", response.StatusCode)
	default:
		return errors.New("open a WebSocket: the handshake failed")
	}
}

// roundTrip implements transport. It is for the time before the subscription:
// the next message is taken for the answer.
func (s *socket) roundTrip(ctx context.Context, _ time.Time, body []byte) (httpReply, error) {
	if err := s.conn.Write(ctx, websocket.MessageText, body); err != nil {
		return httpReply{}, err
	}
	_, text, err := s.conn.Read(ctx)
	return httpReply{status: http.StatusOK, body: text}, err
}

// subscribe asks for a feed and returns the subscription's id, as JSON text.
func (s *socket) subscribe(ctx context.Context, feed Feed) (string, error) {
	response, err := call(ctx, s, "eth_subscribe", `["`+feed.String()+`"]`)
	if err != nil {
		return "", fmt.Errorf("eth_subscribe: %w", err)
	}
	if response.Error != nil {
		return "", fmt.Errorf("eth_subscribe: %w", jsonrpc.DecodeError(response.Error))
	}
	if len(response.Result) < 2 || response.Result[0] != '"' {
		return "", errors.New("eth_subscribe: the answer is no subscription")
	}
	return string(response.Result), nil
}

// events reads until the connection ends and hands the results of one
// subscription on. It never returns nil.
func (s *socket) events(ctx context.Context, subscription string, event func(result []byte)) error {
	for {
		_, text, err := s.conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if !jsonrpc.Valid(text) {
			return errors.New("read: a message that is not JSON")
		}
		params := jsonrpc.Member(text, "params")
		if string(jsonrpc.Member(params, "subscription")) != subscription {
			continue
		}
		if result := jsonrpc.Member(params, "result"); result != nil {
			event(result)
		}
	}
}

// ping asks for signs of life until ctx ends or there are none. It never
// returns nil.
func (s *socket) ping(ctx context.Context) error {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		bounded, cancel := context.WithTimeout(ctx, pingTimeout)
		err := s.conn.Ping(bounded)
		cancel()
		if err != nil {
			return fmt.Errorf("ping: %w", err)
		}
	}
}

// follow hands on the events of an open subscription until ctx or the
// connection ends. It never returns nil.
func (s *socket) follow(ctx context.Context, subscription string, event func(result []byte)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.events(ctx, subscription, event) })
	group.Go(func() error { return s.ping(ctx) })
	return group.Wait()
}

func (s *socket) close() { _ = s.conn.CloseNow() }

// check compares the chain behind a connection with the pool's: what listens
// there need not be the node that the HTTP URL leads to.
func (s *socket) check(ctx context.Context, p *Pool) error {
	found, err := identify(ctx, s)
	if err != nil {
		return err
	}
	if want := p.Identity(); want != found {
		return &otherChainError{want: want, found: found}
	}
	return nil
}

// host names an address in messages without what may be secret in its URL.
func host(u *url.URL) string {
	if port := u.Port(); port != "" {
		if _, err := strconv.Atoi(port); err == nil {
			return net.JoinHostPort(u.Hostname(), port)
		}
	}
	return u.Hostname()
}
