package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"
)

const (
	viaREST = "rest"
	viaRPC  = "rpc"
	viaBoth = "both"
)

// request is one plain call to an account without code.
type request struct {
	number int
	from   common.Address
	gas    uint64 // 0: the signer estimates
	isRPC  bool
}

// newRequest spreads the requests evenly over senders, and over both ways in
// when both are wanted.
func newRequest(o options, from []common.Address, number int) request {
	isRPC := o.via == viaRPC || o.via == viaBoth && number/len(from)%2 == 1
	return request{number: number, from: from[number%len(from)], gas: o.gas, isRPC: isRPC}
}

// marker is the 32 bytes of calldata that tell the request on the chain.
func (r request) marker() string { return fmt.Sprintf("0x%064x", 0x51_0000_0000+r.number) }

// key is the idempotency key.
func (r request) key() string { return fmt.Sprintf("bench-%d", r.number) }

func (r request) path() string {
	if r.isRPC {
		return "/"
	}
	return "/v1/transactions"
}

func (r request) body() string {
	var tx strings.Builder
	fmt.Fprintf(&tx, `{"from":"%s","to":"0x000000000000000000000000000000000000dEaD","data":"%s"`, r.from.Hex(), r.marker())
	switch {
	case r.gas > 0 && r.isRPC:
		fmt.Fprintf(&tx, `,"gas":"0x%x"`, r.gas)
	case r.gas > 0:
		fmt.Fprintf(&tx, `,"gas":%d`, r.gas)
	}
	tx.WriteByte('}')
	if r.isRPC {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"eth_sendTransaction","params":[%s]}`, r.number, tx.String())
	}
	return tx.String()
}

// check says whether the answer accepts the request.
func (r request) check(status int, answer []byte) error {
	var got struct {
		ID     json.RawMessage
		Result string
		Error  json.RawMessage
	}
	err := json.Unmarshal(answer, &got)
	switch {
	case err == nil && status/100 == 2 && r.isRPC && len(got.Result) == len(common.Hash{})*2+2:
		return nil
	case err == nil && status/100 == 2 && !r.isRPC && len(got.ID) > 0:
		return nil
	default:
		return fmt.Errorf("request %d was not accepted: HTTP %d %.300s", r.number, status, answer)
	}
}
