package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/slipwayhq/slipway/internal/contract"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/strictjson"
)

// restTransaction is what REST takes for a transaction: calldata as it is, a
// method with arguments, or a contract to be created.
type restTransaction struct {
	restCall
	IdempotencyKey string  `json:"idempotencyKey"`
	Reference      string  `json:"reference"`
	NotAfter       *string `json:"notAfter"`
}

// restCall is what is to be executed.
type restCall struct {
	ChainID    json.RawMessage `json:"chainId"`
	From       *string         `json:"from"`
	To         *string         `json:"to"`
	Value      json.RawMessage `json:"value"`
	Data       *string         `json:"data"`
	ABI        json.RawMessage `json:"abi"`
	Method     *string         `json:"method"`
	Arguments  json.RawMessage `json:"arguments"`
	Bytecode   *string         `json:"bytecode"`
	Gas        json.RawMessage `json:"gas"`
	Nonce      json.RawMessage `json:"nonce"`
	AccessList []restAccess    `json:"accessList"`
	// AuthorizationList makes it a set-code transaction (EIP-7702).
	AuthorizationList []types.SetCodeAuthorization `json:"authorizationList"`
	restFees
}

// restFees are prices in wei per gas.
type restFees struct {
	GasPrice             json.RawMessage `json:"gasPrice"`
	MaxFeePerGas         json.RawMessage `json:"maxFeePerGas"`
	MaxPriorityFeePerGas json.RawMessage `json:"maxPriorityFeePerGas"`
}

// restAccess is an entry of an access list (EIP-2930).
type restAccess struct {
	Address     string   `json:"address"`
	StorageKeys []string `json:"storageKeys"`
}

const maxReference = 256

// fieldReader reads fields of a body at a place in it. The first error stays.
type fieldReader struct {
	at  string
	err error
}

func (r *fieldReader) fail(name, reason string) {
	if r.err == nil {
		r.err = &strictjson.Error{Pointer: strictjson.Field(r.at, name), Reason: reason}
	}
}

// address reads an address; nil where none is given.
func (r *fieldReader) address(name string, text *string) *common.Address {
	if text == nil {
		return nil
	}
	a, err := contract.Address(*text)
	if err != nil {
		r.fail(name, err.Error())
	}
	return &a
}

// sender reads the address that has to be there.
func (r *fieldReader) sender(name string, text *string) common.Address {
	a := r.address(name, text)
	if a == nil {
		r.fail(name, "is missing")
		return common.Address{}
	}
	return *a
}

var errAmount = errors.New("must be a non-negative integer below 2^256, as a decimal or 0x text or a JSON number up to 2^53-1")

// amount reads a non-negative integer below 2^256; nil where none is given.
func (r *fieldReader) amount(name string, text json.RawMessage) *big.Int {
	if text == nil || string(text) == "null" {
		return nil
	}
	n, err := contract.Integer(text)
	if err != nil || n.Sign() < 0 || n.BitLen() > 256 {
		r.fail(name, errAmount.Error())
		return nil
	}
	return n
}

// number reads an integer that a database holds; ok is false where none is given.
func (r *fieldReader) number(name string, text json.RawMessage) (n uint64, ok bool) {
	v := r.amount(name, text)
	if v == nil {
		return 0, false
	}
	if !v.IsInt64() {
		r.fail(name, "is out of range")
		return 0, false
	}
	return v.Uint64(), true
}

func (r *fieldReader) bytes(name string, text *string) []byte {
	if text == nil {
		return nil
	}
	raw, err := hexBytes(name, *text)
	if err != nil {
		r.fail(name, "must be 0x and an even number of hex digits")
	}
	if len(raw) > maxCalldata {
		r.fail(name, fmt.Sprintf("has more than %d bytes", maxCalldata))
	}
	return raw
}

// fees reads prices.
func (r *fieldReader) fees(f restFees) queue.Fees {
	out := queue.Fees{
		GasPrice: r.amount("gasPrice", f.GasPrice), MaxFee: r.amount("maxFeePerGas", f.MaxFeePerGas), MaxTip: r.amount("maxPriorityFeePerGas", f.MaxPriorityFeePerGas),
	}
	switch {
	case out.GasPrice != nil && (out.MaxFee != nil || out.MaxTip != nil):
		r.fail("gasPrice", "gasPrice and maxFeePerGas exclude each other")
	case out.MaxFee != nil && out.MaxTip != nil && out.MaxTip.Cmp(out.MaxFee) > 0:
		r.fail("maxPriorityFeePerGas", "is above maxFeePerGas")
	}
	return out
}

func (r *fieldReader) accessList(list []restAccess) types.AccessList {
	var out types.AccessList
	for i, entry := range list {
		inner := fieldReader{at: strictjson.Index(strictjson.Field(r.at, "accessList"), i)}
		tuple := types.AccessTuple{Address: inner.sender("address", &entry.Address), StorageKeys: []common.Hash{}}
		for _, key := range entry.StorageKeys {
			raw, err := hexBytes("", key)
			if err != nil || len(raw) != common.HashLength {
				inner.fail("storageKeys", "must be 0x and 64 hex digits each")
			}
			tuple.StorageKeys = append(tuple.StorageKeys, common.BytesToHash(raw))
		}
		if r.err == nil {
			r.err = inner.err
		}
		out = append(out, tuple)
	}
	return out
}

// request makes a queue request of a transaction; at is its place in the body.
func (t restTransaction) request(chainID uint64, at string) (queue.Request, error) {
	out, err := t.restCall.request(chainID, at)
	if err != nil {
		return out, err
	}
	r := fieldReader{at: at}
	out.IdempotencyKey, out.Reference = t.IdempotencyKey, t.Reference
	if len(t.Reference) > maxReference || strings.ContainsRune(t.Reference, 0) {
		r.fail("reference", fmt.Sprintf("must be at most %d bytes without NUL", maxReference))
	}
	if t.NotAfter != nil {
		if out.NotAfter, err = time.Parse(time.RFC3339, *t.NotAfter); err != nil {
			r.fail("notAfter", "must be a time such as 2026-01-31T12:00:00Z (RFC 3339)")
		}
	}
	return out, r.err
}

func (t restCall) request(chainID uint64, at string) (queue.Request, error) {
	r := fieldReader{at: at}
	if n, given := r.number("chainId", t.ChainID); given && n != chainID {
		return queue.Request{}, refuse(problemOtherChain, fmt.Sprintf("this signer works on chain %d", chainID))
	}
	out := queue.Request{
		Sender: r.sender("from", t.From), To: r.address("to", t.To), Value: r.amount("value", t.Value),
		Fees: r.fees(t.restFees), AccessList: r.accessList(t.AccessList),
	}
	if gas, given := r.number("gas", t.Gas); given && gas == 0 {
		r.fail("gas", "must not be 0")
	} else if given {
		out.Gas = gas
	}
	if nonce, given := r.number("nonce", t.Nonce); given {
		out.Nonce = &nonce
	}
	if r.err != nil {
		return out, r.err
	}
	out.Authorizations = t.AuthorizationList
	if err := checkAuthorizations(out); err != nil {
		return out, err
	}
	var err error
	if out.Data, out.ABI, err = t.calldata(at); err != nil {
		return out, err
	}
	if len(out.Data) > maxCalldata {
		return out, &strictjson.Error{Pointer: at, Reason: fmt.Sprintf("the calldata has more than %d bytes", maxCalldata)}
	}
	if out.To == nil && len(out.Data) == 0 {
		return out, &strictjson.Error{Pointer: strictjson.Field(at, "to"), Reason: "is missing; a contract creation needs bytecode or data"}
	}
	return out, nil
}

// calldata makes the bytes of what is asked, and lists the errors and events of the ABI.
func (t restCall) calldata(at string) (data []byte, explains []string, err error) {
	r := fieldReader{at: at}
	var known contract.ABI
	if t.ABI != nil && string(t.ABI) != "null" {
		if known, err = contract.Parse(t.ABI, strictjson.Field(at, "abi")); err != nil {
			return nil, nil, err
		}
	}
	arguments := strictjson.Field(at, "arguments")
	switch {
	case t.Data != nil && (t.Method != nil || t.Bytecode != nil || t.Arguments != nil):
		r.fail("data", "excludes method, arguments and bytecode")
	case t.Method != nil && t.Bytecode != nil:
		r.fail("method", "excludes bytecode: creating a contract calls its constructor")
	case t.Bytecode != nil && t.To != nil:
		r.fail("to", "must be left out when a contract is created")
	case t.Bytecode != nil:
		if data = r.bytes("bytecode", t.Bytecode); r.err == nil && len(data) == 0 {
			r.fail("bytecode", "must not be empty")
		}
		if r.err == nil {
			var encoded []byte
			encoded, err = known.Constructor().Encode(t.Arguments, arguments)
			data = append(data, encoded...)
		}
	case t.Method != nil || t.Arguments != nil:
		if t.To == nil {
			r.fail("to", "is missing: the contract whose method is called")
			break
		}
		m, findErr := t.method(known)
		if findErr != nil {
			r.fail("method", findErr.Error())
			break
		}
		data, err = m.Call(t.Arguments, arguments)
	default:
		data = r.bytes("data", t.Data)
	}
	return data, explaining(known), errors.Join(r.err, err)
}

func (t restCall) method(known contract.ABI) (contract.Method, error) {
	if t.Method != nil {
		return known.Method(*t.Method)
	}
	if only, ok := known.Only(); ok {
		return only, nil
	}
	return contract.Method{}, errors.New("is missing: the name or the signature of the method")
}

// maxKept bounds what is kept with a transaction of the errors of an ABI, and of its
// events, in bytes each.
const maxKept = 16 << 10

// explaining lists the custom errors and the events, as many as are kept.
func explaining(known contract.ABI) []string {
	return append(atMost(maxKept, known.Errors()), atMost(maxKept, known.Events())...)
}

// atMost cuts a list where its texts exceed a size.
func atMost(size int, list []string) []string {
	for i, text := range list {
		if size -= len(text); size < 0 {
			return slices.Clip(list[:i])
		}
	}
	return list
}
