package deploy

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"
)

// facts are all that doctor found out. A part that could not be read has its
// error instead.
type facts struct {
	state     State
	waiting   []Waiting
	release   string
	namespace string
	// wantChainID is what the values say; 0 is not known.
	wantChainID uint64
	// genesisHash is that of the network's material; empty is not known.
	genesisHash string
	lookups     []lookup
	services    []service
	logins      []login
	nodes       []node
	senders     []sender
	sendersErr  error
	// callers tell who reaches the signer without a key.
	callers []string
}

// lookup is a name and how its resolution went.
type lookup struct {
	name string
	err  error
}

// service is a Service, and how many addresses stand behind each of its ports.
type service struct {
	name string
	// ready counts addresses that take requests.
	ready int
	// wantsPods says that it has a selector.
	wantsPods bool
	// isHeadless says that its name is that of its pods.
	isHeadless bool
	// refused are ports that no ready pod offers.
	refused []string
}

// login is a container that ended because a store did not let it in.
type login struct {
	pod, container, line string
}

// node is a node of the chain, or why it could not be asked.
type node struct {
	name      string
	validator bool
	state     nodeState
	err       error
}

// sender is an account of the signer, as its API tells.
type sender struct {
	Address   string `json:"address"`
	State     string `json:"state"`
	Reason    string `json:"reason"`
	NextNonce uint64 `json:"nextNonce"`
	LowWater  uint64 `json:"lowWater"`
	Open      int    `json:"open"`
	Queued    int    `json:"queued"`
	// chain is the account's count of mined transactions by a node; chainKnown
	// says that it was asked.
	chain      uint64
	chainKnown bool
}

// answering are the nodes that could be asked.
func (f facts) answering() []node {
	return slices.DeleteFunc(slices.Clone(f.nodes), func(n node) bool { return n.err != nil })
}

// chainSet are the validators by what the highest node of the chain says; nil is
// not known. Chain id 0 is that of any.
func chainSet(nodes []node, chainID uint64) []common.Address {
	var out []common.Address
	var highest uint64
	for _, one := range nodes {
		isOurs := one.err == nil && (chainID == 0 || one.state.ChainID == chainID)
		if isOurs && len(one.state.Validators) > 0 && (out == nil || one.state.Height > highest) {
			out, highest = one.state.Validators, one.state.Height
		}
	}
	return out
}
