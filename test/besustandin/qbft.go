package main

import (
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// qbft answers what operators of validators ask.
func (f *front) qbft(asked call, out *reply) {
	var params []json.RawMessage
	if err := json.Unmarshal(asked.Params, &params); err != nil {
		params = nil
	}
	voting := f.node.electorate
	var subject common.Address
	var add bool
	var result any = true
	var err error
	switch asked.Method {
	case "qbft_getValidatorsByBlockNumber":
		var block string
		if err = read(params, &block); err == nil {
			result, err = f.validators(block)
		}
	case "qbft_getPendingVotes":
		result = voting.pending()
	case "qbft_proposeValidatorVote":
		if err = read(params, &subject, &add); err == nil {
			voting.wish(subject, add)
		}
	case "qbft_discardValidatorVote":
		if err = read(params, &subject); err == nil {
			voting.forget(subject)
		}
	default:
		out.Error = &rpcError{Code: -32601, Message: "Method not found"}
		return
	}
	if err != nil {
		out.Error = &rpcError{Code: -32602, Message: "Invalid params"}
		return
	}
	out.Result, _ = json.Marshal(result) // addresses and truths
}

func read(params []json.RawMessage, into ...any) error {
	if len(params) != len(into) {
		return fmt.Errorf("%d parameters, and not %d", len(params), len(into))
	}
	for i := range params {
		if err := json.Unmarshal(params[i], into[i]); err != nil {
			return err
		}
	}
	return nil
}

// validators are those that make the block after the given one.
func (f *front) validators(block string) ([]common.Address, error) {
	head, _, err := f.node.chain.Head()
	number := head
	if err == nil && block != "latest" {
		number, err = hexutil.DecodeUint64(block)
	}
	if err != nil {
		return nil, err
	}
	return f.node.electorate.at(min(number, head) + 1)
}
