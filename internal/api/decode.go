package api

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/slipwayhq/slipway/internal/queue"
)

// txFields are the fields of a transaction that REST and JSON-RPC share.
type txFields struct {
	From                 string           `json:"from"`
	To                   *string          `json:"to"`
	Value                *quantity        `json:"value"`
	Data                 *string          `json:"data"`
	Gas                  *quantity        `json:"gas"`
	GasPrice             *quantity        `json:"gasPrice"`
	MaxFeePerGas         *quantity        `json:"maxFeePerGas"`
	MaxPriorityFeePerGas *quantity        `json:"maxPriorityFeePerGas"`
	AccessList           types.AccessList `json:"accessList"`
	// AuthorizationList makes it a set-code transaction (EIP-7702).
	AuthorizationList []types.SetCodeAuthorization `json:"authorizationList"`
}

// maxCalldata is the largest calldata, in bytes. Nodes refuse transactions over
// 128 KiB (geth's txMaxSize; Besu has no limit of its own).
const maxCalldata = 128 << 10

// request checks the fields and makes a queue request of them.
func (f txFields) request() (queue.Request, error) {
	var r queue.Request
	var err error
	if f.From == "" {
		return r, invalid("from is missing")
	}
	if r.Sender, err = address("from", f.From); err != nil {
		return r, err
	}
	if f.To != nil && *f.To != "" && *f.To != "0x" {
		to, err := address("to", *f.To)
		if err != nil {
			return r, err
		}
		r.To = &to
	}
	if f.Data != nil {
		if r.Data, err = hexBytes("data", *f.Data); err != nil {
			return r, err
		}
	}
	if len(r.Data) > maxCalldata {
		return r, invalid(fmt.Sprintf("data: more than %d bytes", maxCalldata))
	}
	if r.To == nil && len(r.Data) == 0 {
		return r, invalid("a contract creation (no to) needs data")
	}
	r.Value = f.Value.big()
	if f.Gas != nil {
		if !f.Gas.v.IsInt64() || f.Gas.v.Sign() == 0 {
			return r, invalid("gas: out of range")
		}
		r.Gas = f.Gas.v.Uint64()
	}
	r.AccessList, r.Authorizations = f.AccessList, f.AuthorizationList
	r.Fees = queue.Fees{GasPrice: f.GasPrice.big(), MaxFee: f.MaxFeePerGas.big(), MaxTip: f.MaxPriorityFeePerGas.big()}
	if err := checkAuthorizations(r); err != nil {
		return r, err
	}
	return r, checkFees(r.Fees)
}

// maxAuthorizations is more than fit into a block: each costs 25,000 gas (EIP-7702).
const maxAuthorizations = 256

func checkAuthorizations(r queue.Request) error {
	switch {
	case len(r.Authorizations) == 0:
		return nil
	case len(r.Authorizations) > maxAuthorizations:
		return invalid(fmt.Sprintf("authorizationList: more than %d entries", maxAuthorizations))
	case r.To == nil:
		return invalid("authorizationList: a set-code transaction needs to")
	case r.Fees.GasPrice != nil:
		return invalid("authorizationList and gasPrice exclude each other")
	default:
		return nil
	}
}

func checkFees(f queue.Fees) error {
	switch {
	case f.GasPrice != nil && (f.MaxFee != nil || f.MaxTip != nil):
		return invalid("gasPrice and maxFeePerGas exclude each other")
	case f.MaxFee != nil && f.MaxTip != nil && f.MaxTip.Cmp(f.MaxFee) > 0:
		return invalid("maxPriorityFeePerGas is above maxFeePerGas")
	default:
		return nil
	}
}

// address reads 20 bytes of hex. A mixed-case address must have the right
// checksum (EIP-55): a typing error is caught here or never.
func address(field, text string) (common.Address, error) {
	if len(text) != 42 || !strings.HasPrefix(text, "0x") {
		return common.Address{}, invalid(field + ": must be 0x and 40 hex digits")
	}
	raw, err := hex.DecodeString(text[2:])
	if err != nil {
		return common.Address{}, invalid(field + ": must be 0x and 40 hex digits")
	}
	a := common.BytesToAddress(raw)
	digits := text[2:]
	if digits != strings.ToLower(digits) && digits != strings.ToUpper(digits) && text != a.Hex() {
		return common.Address{}, invalid(field + ": the checksum of the address is wrong (EIP-55)")
	}
	return a, nil
}

func hexBytes(field, text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	if !strings.HasPrefix(text, "0x") {
		return nil, invalid(field + ": must be 0x and hex digits")
	}
	raw, err := hex.DecodeString(text[2:])
	if err != nil {
		return nil, invalid(field + ": must be 0x and an even number of hex digits")
	}
	return raw, nil
}

// quantity is a number that fits 256 bits: a decimal or 0x text, or a JSON
// integer.
type quantity struct{ v *big.Int }

func (q *quantity) big() *big.Int {
	if q == nil {
		return nil
	}
	return q.v
}

var errQuantity = errors.New("must be a non-negative integer below 2^256, as a decimal or 0x text")

// maxQuantityText is the length of 2^256-1 in decimal, with room for leading zeros.
const maxQuantityText = 100

// UnmarshalJSON implements json.Unmarshaler.
func (q *quantity) UnmarshalJSON(text []byte) error {
	s := string(text)
	if strings.HasPrefix(s, `"`) {
		if err := json.Unmarshal(text, &s); err != nil {
			return errQuantity
		}
	}
	v, ok := parseQuantity(s)
	if !ok {
		return errQuantity
	}
	q.v = v
	return nil
}

func parseQuantity(s string) (*big.Int, bool) {
	if len(s) == 0 || len(s) > maxQuantityText {
		return nil, false
	}
	base, digits := 10, s
	if strings.HasPrefix(s, "0x") {
		base, digits = 16, s[2:]
	}
	for _, c := range digits { // big.Int would take signs and underscores
		if !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return nil, false
		}
	}
	v, ok := new(big.Int).SetString(digits, base)
	return v, ok && v.BitLen() <= 256
}

// decodeDetail says what is wrong without repeating what was sent.
func decodeDetail(err error) string {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, errQuantity):
		return "a number " + errQuantity.Error()
	case errors.As(err, &wrongType):
		return fmt.Sprintf("%s: must not be a JSON %s", fieldName(wrongType.Field), wrongType.Value)
	case errors.As(err, &syntax):
		return fmt.Sprintf("the body is not JSON: error at byte %d", syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the body is not JSON: it ends too early"
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return strings.TrimPrefix(err.Error(), "json: ")
	default:
		return "the body could not be read"
	}
}

func fieldName(f string) string {
	if f == "" {
		return "the body"
	}
	return f
}
