package nodeclient

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
)

// VotingAPI is the namespace of Besu's methods for the set of validators.
type VotingAPI string

// The namespaces; Besu calls that of IBFT 2.0 ibft.
const (
	QBFT VotingAPI = "qbft"
	IBFT VotingAPI = "ibft"
)

// NodeAddress asks who the node is: on a BFT network its coinbase is the
// address of its own key.
func (c *Client) NodeAddress(ctx context.Context) (common.Address, error) {
	var address common.Address
	return address, c.read(ctx, &address, "eth_coinbase", "[]")
}

// Validators asks for those that make the next block.
func (c *Client) Validators(ctx context.Context, api VotingAPI) ([]common.Address, error) {
	var validators []common.Address
	return validators, c.read(ctx, &validators, string(api)+"_getValidatorsByBlockNumber", `["latest"]`)
}

// ProposeValidator makes the node vote for a validator (add), or against one,
// in every block it proposes, until it restarts or the vote is discarded.
func (c *Client) ProposeValidator(ctx context.Context, api VotingAPI, address common.Address, add bool) error {
	var isTaken bool
	method := string(api) + "_proposeValidatorVote"
	if err := c.read(ctx, &isTaken, method, fmt.Sprintf("[%q,%t]", address.Hex(), add)); err != nil {
		return err
	}
	if !isTaken {
		return fmt.Errorf("%s: the node did not take the vote", method)
	}
	return nil
}

// DiscardVote makes the node forget its vote.
func (c *Client) DiscardVote(ctx context.Context, api VotingAPI, address common.Address) error {
	var isDone bool
	return c.read(ctx, &isDone, string(api)+"_discardValidatorVote", fmt.Sprintf("[%q]", address.Hex()))
}

// read makes a call and reads its result.
func (c *Client) read(ctx context.Context, into any, method, params string) error {
	result, err := c.one(ctx, method, params)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(result, into); err != nil {
		return fmt.Errorf("%s: %w: unreadable result", method, ErrUnreachable)
	}
	return nil
}
