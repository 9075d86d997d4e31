package upstreams

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// Inspection is what a close look at one node has found.
type Inspection struct {
	ID            ID     `json:"id"`
	Reachable     bool   `json:"reachable"` // it tells its chain and its head
	ChainID       uint64 `json:"chainId,omitempty"`
	Genesis       string `json:"genesis,omitempty"`
	ClientVersion string `json:"clientVersion,omitempty"`
	Head          uint64 `json:"head"`
	// Lag is how many blocks the node is behind the highest one of its network.
	Lag     uint64 `json:"lag"`
	Syncing bool   `json:"syncing"`
	// OldestState is the oldest block of which the node knows the state; 0 is an
	// archive, null was not found out.
	OldestState *uint64 `json:"oldestState"`
	// Methods says of some methods whether the node has them. A method of which
	// it did not tell is left out.
	Methods map[string]bool `json:"methods,omitempty"`
	// WebSocket says whether the node can be followed over its WebSocket; left out
	// where it has none.
	WebSocket *bool `json:"webSocket,omitempty"`
	// Errors are the reasons for which the node cannot be used.
	Errors []string `json:"errors,omitempty"`
	// Warnings are what an operator should know.
	Warnings []string `json:"warnings,omitempty"`
}

// maxInspected bounds how many nodes are asked at a time.
const maxInspected = 32

// Inspect looks closely at every node of a network, at all of them at the same
// time, and compares them. The caller bounds it with ctx. No text in what it
// returns shows a URL.
func Inspect(ctx context.Context, cfg Config) []Inspection {
	found := make([]Inspection, len(cfg.Upstreams))
	var group errgroup.Group
	group.SetLimit(maxInspected)
	taken := map[ID]bool{}
	for i, e := range cfg.Upstreams {
		target, err := parseURL(e.URL)
		if err != nil {
			found[i] = Inspection{ID: ID(e.ID), Errors: []string{err.Error()}}
			continue
		}
		found[i].ID = freeID(taken, e.ID, target.Host)
		group.Go(func() error {
			t := newHTTPTransport(target, 1, maxProbeBytes)
			t.add(e.header())
			defer t.close()
			found[i].look(ctx, t)
			found[i].lookAtSocket(ctx, e)
			return nil
		})
	}
	_ = group.Wait() // what went wrong stands in found
	compareNodes(found, Identity{ChainID: cfg.ChainID, Genesis: strings.ToLower(cfg.Genesis)}, cfg.MaxLag)
	return found
}

// look asks one node. What does not answer in time is left out.
func (i *Inspection) look(ctx context.Context, t transport) {
	identity, err := identify(ctx, t)
	if err == nil {
		i.ChainID, i.Genesis = identity.ChainID, identity.Genesis
		i.Head, err = quantity(ctx, t, "eth_blockNumber")
	}
	if err != nil {
		i.Errors = append(i.Errors, plainWords(err))
		return
	}
	i.Reachable = true
	if version, err := call(ctx, t, "web3_clientVersion", `[]`); err == nil {
		i.ClientVersion, _ = strconv.Unquote(string(version.Result))
	}
	if syncing, err := call(ctx, t, "eth_syncing", `[]`); err == nil {
		i.Syncing = len(syncing.Result) > 0 && syncing.Result[0] == '{' // else false, or not told
	}
	i.Methods = lookForMethods(ctx, t)
	i.OldestState = oldestState(i.Head, func(number uint64) (bool, error) { return hasState(ctx, t, number) })
	if ctx.Err() != nil {
		i.Warnings = append(i.Warnings, "too slow: not everything could be found out in time")
	}
}

// lookAtSocket follows the node for a moment. That it cannot be followed is no
// error: it is polled then.
func (i *Inspection) lookAtSocket(ctx context.Context, e Endpoint) {
	if e.WebSocketURL.IsEmpty() {
		return
	}
	identity, err := trySocket(ctx, e)
	if err == nil && i.Reachable && identity != (Identity{i.ChainID, i.Genesis}) {
		err = &otherChainError{want: Identity{i.ChainID, i.Genesis}, found: identity}
	}
	isFine := err == nil
	i.WebSocket = &isFine
	if err != nil {
		i.Warnings = append(i.Warnings, "cannot be followed over its WebSocket, it is polled: "+socketWords(err))
	}
}

// trySocket asks for the chain behind a WebSocket and subscribes to its heads.
func trySocket(ctx context.Context, e Endpoint) (Identity, error) {
	target, err := parseWebSocketURL(e.WebSocketURL)
	if err != nil {
		return Identity{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	s, err := dialSocket(ctx, target, e.header())
	if err != nil {
		return Identity{}, err
	}
	defer s.close()
	identity, err := identify(ctx, s)
	if err != nil {
		return Identity{}, err
	}
	_, err = s.subscribe(ctx, NewHeads)
	return identity, err
}

// socketWords is why a WebSocket cannot be used, as operators see it.
func socketWords(err error) string {
	var other *otherChainError
	switch {
	case errors.As(err, &other):
		return "it shows " + other.Error() + " of its HTTP port"
	case errors.Is(err, context.DeadlineExceeded):
		return "it does not answer in time"
	default:
		return err.Error()
	}
}

// plainWords is an error as operators see it.
func plainWords(err error) string {
	var status *statusError
	var dial *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "does not answer in time"
	case errors.As(err, &status) && status.outcome == OutcomeUnauthorized:
		return "does not accept the credentials (" + status.Error() + ")"
	case errors.Is(err, errRefused) && errors.As(err, &dial):
		return "cannot be reached: " + dial.Error()
	default:
		return "does not answer as it should: " + err.Error()
	}
}

// inspectedMethod is a method that not every node has, with a call of it that
// costs the node little.
type inspectedMethod struct{ name, params string }

func inspectedMethods() []inspectedMethod {
	const noTransaction = `"0x0000000000000000000000000000000000000000000000000000000000000000"`
	return []inspectedMethod{
		{"eth_getLogs", `[{"fromBlock":"latest","toBlock":"latest"}]`},
		{"eth_getBlockReceipts", `["latest"]`},
		{"eth_feeHistory", `["0x1","latest",[]]`},
		{"debug_traceTransaction", `[` + noTransaction + `]`},
		{"trace_block", `["latest"]`},
		{"txpool_status", `[]`},
		{"txpool_besuStatistics", `[]`},
		{"net_peerCount", `[]`},
		{"qbft_getValidatorsByBlockNumber", `["latest"]`},
		{"ibft_getValidatorsByBlockNumber", `["latest"]`},
	}
}

// codeMethodNotEnabled is Besu's METHOD_NOT_ENABLED: the method's namespace is
// not in --rpc-http-api.
const codeMethodNotEnabled = -32604

func lookForMethods(ctx context.Context, t transport) map[string]bool {
	out := map[string]bool{}
	for _, m := range inspectedMethods() {
		answer, err := call(ctx, t, m.name, m.params)
		if err != nil {
			continue
		}
		out[m.name] = true // also when it does not like what it was asked
		if answer.Error != nil {
			code := jsonrpc.DecodeError(answer.Error).Code
			out[m.name] = code != jsonrpc.CodeMethodNotFound && code != codeMethodNotEnabled
		}
	}
	return out
}

// maxStateCalls bounds the calls of one search. It finds the block exactly in
// chains of up to 16 million blocks, and nearly in longer ones.
const maxStateCalls = 26

// oldestState searches the oldest block whose state a node has, where it has
// all from one block on. It is nil when the node did not tell.
func oldestState(head uint64, has func(number uint64) (bool, error)) *uint64 {
	for _, end := range []uint64{0, head} {
		found, err := has(end)
		switch {
		case err != nil || end == head && !found:
			return nil
		case found:
			if end == 0 {
				return &end
			}
		}
	}
	without, with := uint64(0), head
	for calls := 2; with-without > 1 && calls < maxStateCalls; calls++ {
		middle := without + (with-without)/2
		found, err := has(middle)
		if err != nil {
			return nil
		}
		if found {
			with = middle
		} else {
			without = middle
		}
	}
	return &with
}

// hasState says whether a node knows balances at a block. Nodes that do not
// answer with an error or with null, depending on their version.
func hasState(ctx context.Context, t transport, number uint64) (bool, error) {
	answer, err := call(ctx, t, "eth_getBalance", fmt.Sprintf(`["0x0000000000000000000000000000000000000000","0x%x"]`, number))
	if err != nil {
		return false, err
	}
	_, isQuantity := methods.ParseQuantity(answer.Result)
	return isQuantity, nil
}

// compareNodes adds what is wrong with nodes beside what is configured, and
// beside each other. It is pure.
func compareNodes(found []Inspection, want Identity, maxLag uint64) {
	if want.ChainID == 0 {
		want.ChainID = mostFound(found, func(i Inspection) (uint64, bool) { return i.ChainID, i.Reachable })
	}
	if want.Genesis == "" {
		want.Genesis = mostFound(found, func(i Inspection) (string, bool) { return i.Genesis, i.Reachable && i.ChainID == want.ChainID })
	}
	var highest uint64
	for _, i := range found {
		if i.ChainID == want.ChainID && i.Genesis == want.Genesis {
			highest = max(highest, i.Head)
		}
	}
	for n := range found {
		if found[n].Reachable {
			found[n].compare(want, highest, maxLag)
		}
	}
}

// compare adds what is wrong with one node.
func (i *Inspection) compare(want Identity, highest, maxLag uint64) {
	i.Lag = max(highest, i.Head) - i.Head
	if i.ChainID != want.ChainID {
		i.Errors = append(i.Errors, fmt.Sprintf("shows chain id %d instead of %d", i.ChainID, want.ChainID))
	} else if i.Genesis != want.Genesis {
		i.Errors = append(i.Errors, fmt.Sprintf("shows the genesis block %s instead of %s", i.Genesis, want.Genesis))
	}
	if i.Lag > maxLag {
		i.Warnings = append(i.Warnings, fmt.Sprintf("is %d blocks behind", i.Lag))
	}
	if i.Syncing {
		i.Warnings = append(i.Warnings, "is syncing")
	}
	if has, isKnown := i.Methods["eth_getLogs"]; isKnown && !has {
		i.Warnings = append(i.Warnings, "does not have eth_getLogs")
	}
	if i.Head > 0 && i.OldestState == nil {
		i.Warnings = append(i.Warnings, "does not tell the state of its newest block")
	}
}

// mostFound is what most of the nodes that count show; of equally many, what the
// first one shows.
func mostFound[T comparable](found []Inspection, what func(Inspection) (value T, counts bool)) T {
	count := map[T]int{}
	for _, i := range found {
		if v, counts := what(i); counts {
			count[v]++
		}
	}
	var best T
	for _, i := range found {
		if v, counts := what(i); counts && count[v] > count[best] {
			best = v
		}
	}
	return best
}
