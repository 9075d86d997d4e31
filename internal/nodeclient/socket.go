package nodeclient

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
)

const (
	// dialTimeout bounds the way to an open WebSocket.
	dialTimeout = 10 * time.Second
	// socketTimeout bounds the sending of one message, and the wait for a sign of
	// life.
	socketTimeout = 10 * time.Second
	// maxEvent bounds one message of the gateway, in bytes.
	maxEvent = 16 << 20
)

// Socket is a WebSocket connection to the gateway. One goroutine may read while
// others write.
type Socket struct{ conn *websocket.Conn }

// Dial opens a WebSocket at the endpoint's URL, with ws for http and wss for
// https. Its errors never show the URL.
func (c *Client) Dial(ctx context.Context) (*Socket, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	u, err := url.Parse(c.cfg.URL.Reveal())
	if err != nil {
		return nil, errors.New("open a WebSocket: the node's URL is unusable")
	}
	header := http.Header{}
	if u.User != nil {
		password, _ := u.User.Password()
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
		u.User = nil
	}
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	conn, response, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: header}) //nolint:bodyclose // the library closes it
	switch {
	case err == nil:
		conn.SetReadLimit(maxEvent)
		return &Socket{conn: conn}, nil
	case response != nil:
		return nil, fmt.Errorf("%w: open a WebSocket: HTTP status %d", ErrUnreachable, response.StatusCode)
	default:
		return nil, fmt.Errorf("%w: open a WebSocket: the handshake failed", ErrUnreachable)
	}
}

// Read waits for the next message. After an error the connection is over.
func (s *Socket) Read(ctx context.Context) ([]byte, error) {
	_, text, err := s.conn.Read(ctx)
	return text, err
}

// Write sends one message.
func (s *Socket) Write(ctx context.Context, text []byte) error {
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, text)
}

// Ping waits for a sign of life; somebody must be reading.
func (s *Socket) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	return s.conn.Ping(ctx)
}

// Close ends the connection at once.
func (s *Socket) Close() { _ = s.conn.CloseNow() }
