package nodeclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/secret"
)

// Config says where the node or gateway is.
type Config struct {
	// URL of the JSON-RPC endpoint, http or https. It may carry credentials.
	URL secret.String
	// Timeout of one HTTP exchange; zero means 15 seconds.
	Timeout time.Duration
	// MaxResponse is the largest answer read, in bytes; zero means 64 MiB.
	MaxResponse int64
}

const (
	defaultTimeout     = 15 * time.Second
	defaultMaxResponse = 64 << 20
	maxIdleConns       = 256
)

// ErrUnreachable says that no usable answer came: the request may or may not
// have reached a node.
var ErrUnreachable = errors.New("node unreachable")

// Client calls one JSON-RPC endpoint. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
}

// New makes a client; it calls nobody.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL.Reveal())
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("the node's URL must be an http or https URL")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxResponse == 0 {
		cfg.MaxResponse = defaultMaxResponse
	}
	transport := &http.Transport{
		MaxIdleConns:        maxIdleConns,
		MaxIdleConnsPerHost: maxIdleConns,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	return &Client{cfg: cfg, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close gives the idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Forward sends a JSON-RPC body as it stands and returns the answer as it came,
// with its HTTP status. The answer is not looked at.
func (c *Client) Forward(ctx context.Context, body []byte) ([]byte, int, error) {
	return c.exchange(ctx, body)
}

// exchange is one HTTP exchange; header is names and values in turn.
func (c *Client) exchange(ctx context.Context, body []byte, header ...string) ([]byte, int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errors.New("no answer in time"))
	defer cancel()

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return nil, 0, errors.New("make request: the node's URL is unusable")
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, 0, unreachable(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()

	answer, err := io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxResponse+1))
	if err != nil {
		return nil, 0, unreachable(ctx, err)
	}
	if int64(len(answer)) > c.cfg.MaxResponse {
		return nil, 0, fmt.Errorf("%w: the answer is larger than %d bytes", ErrUnreachable, c.cfg.MaxResponse)
	}
	return answer, resp.StatusCode, nil
}

// unreachable drops the URL that net/http puts into its errors.
func unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, cause)
	}
	var withURL *url.Error
	if errors.As(err, &withURL) {
		err = withURL.Err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// call is one request of a batch; params is a JSON array.
type call struct {
	method string
	params []byte
}

// reply is what became of a call: a result, the node's error, or a transport error.
type reply struct {
	result []byte
	rpcErr *jsonrpc.Error
	err    error // wraps ErrUnreachable
}

// failure gives the reply's error, if any. It wraps ErrUnreachable where the
// call itself is not to blame.
func (r reply) failure() error {
	switch {
	case r.rpcErr == nil:
		return r.err
	case isTransient(r.rpcErr):
		return fmt.Errorf("%w: %w", ErrUnreachable, r.rpcErr)
	default:
		return r.rpcErr
	}
}

// maxBatch bounds the calls of one HTTP request. Besu allows 1,024 by default
// (--rpc-http-max-batch-size), public gateways often 100.
const maxBatch = 100

// batch makes many calls and returns their replies in order.
func (c *Client) batch(ctx context.Context, calls []call) []reply {
	out := make([]reply, 0, len(calls))
	for start := 0; start < len(calls); start += maxBatch {
		chunk := calls[start:min(start+maxBatch, len(calls))]
		out = append(out, c.batchOnce(ctx, chunk)...)
	}
	return out
}

func (c *Client) batchOnce(ctx context.Context, calls []call) []reply {
	body := append(make([]byte, 0, 256*len(calls)), '[')
	for i, call := range calls {
		if i > 0 {
			body = append(body, ',')
		}
		body = jsonrpc.AppendRequest(body, jsonrpc.ID(strconv.Itoa(i)), call.method, call.params)
	}
	body = append(body, ']')

	answer, status, err := c.Forward(ctx, body)
	if err != nil {
		return allFailed(len(calls), err)
	}
	elements := jsonrpc.Elements(answer)
	if elements == nil {
		return allFailed(len(calls), whole(answer, status))
	}
	replies := allFailed(len(calls), fmt.Errorf("%w: the batch's answer lacks this call", ErrUnreachable))
	for _, element := range elements {
		response, err := jsonrpc.ScanResponse(element)
		if err != nil {
			continue
		}
		i, err := strconv.Atoi(string(response.ID))
		if err != nil || i < 0 || i >= len(replies) {
			continue
		}
		replies[i] = replyOf(response)
	}
	return replies
}

// whole reads the answer to a batch that is no array: one error for all, or
// nothing of JSON-RPC.
func whole(answer []byte, status int) error {
	response, err := jsonrpc.ScanResponse(answer)
	if err != nil || response.Error == nil {
		return fmt.Errorf("%w: HTTP %d without a JSON-RPC answer", ErrUnreachable, status)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, jsonrpc.DecodeError(response.Error))
}

func allFailed(n int, err error) []reply {
	out := make([]reply, n)
	for i := range out {
		out[i].err = err
	}
	return out
}

func replyOf(r jsonrpc.Response) reply {
	if r.Error != nil {
		return reply{rpcErr: jsonrpc.DecodeError(r.Error)}
	}
	return reply{result: r.Result}
}

// one makes a single call.
func (c *Client) one(ctx context.Context, method, params string, header ...string) ([]byte, error) {
	body := jsonrpc.AppendRequest(nil, jsonrpc.ID("1"), method, []byte(params))
	answer, status, err := c.exchange(ctx, body, header...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	response, err := jsonrpc.ScanResponse(answer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: HTTP %d without a JSON-RPC answer", method, ErrUnreachable, status)
	}
	r := replyOf(response)
	if err := r.failure(); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return r.result, nil
}
