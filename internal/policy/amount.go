package policy

import (
	"errors"
	"math/big"
	"strings"
)

// Amount is a number of wei. In the configuration it is a number, or a number
// and a unit: wei, gwei or ether.
type Amount struct{ wei big.Int }

// Wei makes an amount.
func Wei(v *big.Int) *Amount {
	var a Amount
	a.wei.Set(v)
	return &a
}

// Big is the amount in wei.
func (a *Amount) Big() *big.Int { return new(big.Int).Set(&a.wei) }

var errAmount = errors.New("must be a number of wei below 2^256, or a number with the unit wei, gwei or ether that makes whole wei")

// maxAmountText bounds what is read: 2^256 has 78 digits.
const maxAmountText = 120

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Amount) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), int64(1)
	for name, size := range map[string]int64{"ether": 1e18, "gwei": 1e9} {
		if rest, ok := strings.CutSuffix(number, name); ok {
			number, unit = rest, size
			break
		}
	}
	if unit == 1 {
		number = strings.TrimSuffix(number, "wei")
	}
	number = strings.TrimSpace(number)
	if len(number) == 0 || len(number) > maxAmountText {
		return errAmount
	}
	if hex, ok := strings.CutPrefix(number, "0x"); ok {
		v, ok := digits(hex, 16)
		return a.set(v, ok && unit == 1)
	}
	whole, fraction, _ := strings.Cut(number, ".")
	v, ok := digits(whole+fraction, 10)
	if !ok || whole == "" {
		return errAmount
	}
	v.Mul(v, big.NewInt(unit))
	v, rest := v.QuoRem(v, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(fraction))), nil), new(big.Int))
	return a.set(v, rest.Sign() == 0)
}

func (a *Amount) set(v *big.Int, ok bool) error {
	if !ok || v.BitLen() > 256 {
		return errAmount
	}
	a.wei.Set(v)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (a *Amount) MarshalText() ([]byte, error) {
	if a.wei.Sign() == 0 {
		return []byte("0"), nil
	}
	return a.wei.MarshalText() //nolint:wrapcheck // it cannot fail
}

// digits reads digits only: big.Int would take signs and underscores.
func digits(text string, base int) (*big.Int, bool) {
	allowed := "0123456789abcdefABCDEF"[:base]
	if base == 16 {
		allowed = "0123456789abcdefABCDEF"
	}
	if text == "" || strings.Trim(text, allowed) != "" {
		return nil, false
	}
	return new(big.Int).SetString(text, base)
}

// Integer is a whole number of at most 256 bits, which may be negative.
type Integer struct{ v big.Int }

var errInteger = errors.New("must be a whole number of at most 256 bits")

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *Integer) UnmarshalText(text []byte) error {
	number, isNegative := strings.CutPrefix(strings.TrimSpace(string(text)), "-")
	base := 10
	if hex, ok := strings.CutPrefix(number, "0x"); ok {
		number, base = hex, 16
	}
	if len(number) > maxAmountText {
		return errInteger
	}
	v, ok := digits(number, base)
	if !ok || v.BitLen() > 256 {
		return errInteger
	}
	if isNegative {
		v.Neg(v)
	}
	i.v.Set(v)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (i *Integer) MarshalText() ([]byte, error) {
	if i.v.Sign() == 0 {
		return []byte("0"), nil
	}
	return i.v.MarshalText() //nolint:wrapcheck // it cannot fail
}
