package contract

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
)

// Errors of single values, made for the one who wrote them.
var (
	errAddress  = errors.New("must be 0x and 40 hex digits")
	errChecksum = errors.New("the checksum of the address is wrong (EIP-55)")
	errInteger  = errors.New("must be an integer, as a decimal or 0x text or a JSON number")
	errUnsafe   = errors.New("is above 2^53-1 and must be given as a text: many programs round such JSON numbers")
)

// Address reads 20 bytes of hex. A mixed-case address must have the right
// checksum (EIP-55): a typing error is caught here or never.
func Address(text string) (common.Address, error) {
	digits, hasPrefix := strings.CutPrefix(text, "0x")
	raw, err := hex.DecodeString(digits)
	if err != nil || !hasPrefix || len(raw) != common.AddressLength {
		return common.Address{}, errAddress
	}
	a := common.BytesToAddress(raw)
	if digits != strings.ToLower(digits) && digits != strings.ToUpper(digits) && text != a.Hex() {
		return common.Address{}, errChecksum
	}
	return a, nil
}

// maxIntegerText is the length of -2^256 in decimal, with room for leading zeros.
const maxIntegerText = 100

// maxSafeInteger is the largest integer that every JSON reader keeps exactly
// (2^53-1, RFC 8259 section 6).
const maxSafeInteger = 1<<53 - 1

// Integer reads an integer: a decimal text, a 0x text, or a JSON number that
// no reader rounds. A minus sign may stand before decimals and 0x alike.
func Integer(text json.RawMessage) (*big.Int, error) {
	s := string(text)
	isText := strings.HasPrefix(s, `"`)
	if isText {
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, errInteger
		}
	}
	if len(s) > maxIntegerText {
		return nil, errInteger
	}
	digits, isNegative := strings.CutPrefix(s, "-")
	base, charset := 10, "0123456789"
	if after, isHex := strings.CutPrefix(digits, "0x"); isHex {
		base, charset, digits = 16, "0123456789abcdefABCDEF", after
	}
	if digits == "" || strings.Trim(digits, charset) != "" { // big.Int would take underscores
		return nil, errInteger
	}
	n, ok := new(big.Int).SetString(digits, base)
	if !ok {
		return nil, errInteger
	}
	if !isText && n.Cmp(big.NewInt(maxSafeInteger)) > 0 {
		return nil, errUnsafe
	}
	if isNegative {
		n.Neg(n)
	}
	return n, nil
}
