package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"

	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/secret"
)

// Ports of Besu, as the chart has them.
const besuPort = 8545

// askWithin bounds one question to a pod, the way there included.
const askWithin = 10 * time.Second

// nodeState is what a node says of itself.
type nodeState struct {
	Height     uint64
	Peers      int
	ChainID    uint64
	Genesis    common.Hash
	Address    common.Address   // of its key; zero where it does not say
	Validators []common.Address // as it sees them; nil where it does not say
}

// nodes asks nodes by the name of their pod.
type nodes interface {
	ask(ctx context.Context, pod string) (nodeState, error)
}

// forwarded reaches pods through the API server and the machine's kubelet. That
// way needs no address of the cluster, and no NetworkPolicy stands in it.
type forwarded struct{ *Cluster }

func (f forwarded) ask(ctx context.Context, pod string) (nodeState, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var out nodeState
	err := f.forward(ctx, pod, besuPort, func(url string) error {
		var err error
		out, err = askNode(ctx, url)
		return err
	})
	return out, err
}

// askNode asks a node by its URL.
func askNode(ctx context.Context, url string) (nodeState, error) {
	client, err := nodeclient.New(nodeclient.Config{URL: secret.New(url), Timeout: askWithin})
	if err != nil {
		return nodeState{}, err
	}
	defer client.Close()
	var out nodeState
	if out.Height, err = client.BlockNumber(ctx); err != nil {
		return nodeState{}, err
	}
	if out.ChainID, err = client.ChainID(ctx); err != nil {
		return nodeState{}, err
	}
	if out.Genesis, err = client.GenesisHash(ctx); err != nil {
		return nodeState{}, err
	}
	if out.Peers, err = peers(ctx, client); err != nil {
		return nodeState{}, err
	}
	for _, api := range []nodeclient.VotingAPI{nodeclient.QBFT, nodeclient.IBFT} {
		if out.Validators, err = client.Validators(ctx, api); err == nil {
			break
		}
	}
	out.Address, _ = client.NodeAddress(ctx)
	return out, nil // a node that does not tell the validators or its address is still a node
}

func peers(ctx context.Context, client *nodeclient.Client) (int, error) {
	body, _, err := client.Forward(ctx, []byte(`{"jsonrpc":"2.0","id":1,"method":"net_peerCount","params":[]}`))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Result string `json:"result"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("net_peerCount: %w", err)
	}
	count, err := strconv.ParseUint(strings.TrimPrefix(answer.Result, "0x"), 16, 31)
	if err != nil {
		return 0, errors.New("net_peerCount: no number")
	}
	return int(count), nil
}

// forward gives use a URL of this machine that leads to a port of a pod.
func (c *Cluster) forward(ctx context.Context, pod string, port int, use func(url string) error) error {
	config := rest.CopyConfig(c.rest)
	config.Timeout = 0 // the connection lives as long as it is used
	round, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return fmt.Errorf("forward a port: %w", err)
	}
	to := c.api.CoreV1().RESTClient().Post().Resource("pods").Namespace(c.namespace).Name(pod).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: round}, http.MethodPost, to)
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:" + strconv.Itoa(port)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return fmt.Errorf("forward a port: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }() // ends by stop, or by itself
	select {
	case err := <-ended:
		return c.explain("forward a port of pod "+pod, err)
	case <-ctx.Done():
		close(stop)
		return fmt.Errorf("forward a port of pod %s: %w", pod, ctx.Err())
	case <-ready:
	}
	defer func() {
		close(stop)
		<-ended //nolint:errcheck // how it ended does not matter any more
	}()
	ports, err := forwarder.GetPorts()
	if err != nil {
		return fmt.Errorf("forward a port: %w", err)
	}
	return use("http://127.0.0.1:" + strconv.Itoa(int(ports[0].Local)))
}
