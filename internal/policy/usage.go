package policy

import "math/big"

// Buckets is how many parts a window is counted in. A sum over the last Buckets
// of them and the current one covers at least the window, so that no stretch of
// its length ever holds more than the limit.
const Buckets = 60

// Usage is what a window holds.
type Usage struct {
	Count      uint64
	Value, Gas big.Int
}

// Full says of what a window has no room for a charge; "" if it has for all.
func (u *Usage) Full(c Charge) string {
	sum := new(big.Int)
	switch {
	case c.MaxCount != nil && u.Count+1 > *c.MaxCount:
		return "requests"
	case c.MaxValue != nil && sum.Add(&u.Value, c.Value).Cmp(c.MaxValue) > 0:
		return "value"
	case c.MaxGas != nil && sum.Add(&u.Gas, new(big.Int).SetUint64(c.Gas)).Cmp(new(big.Int).SetUint64(*c.MaxGas)) > 0:
		return "gas"
	default:
		return ""
	}
}

// Add adds a charge, or takes it back with n = -1.
func (u *Usage) Add(c Charge, n int64) {
	u.Count += uint64(n)
	u.Value.Add(&u.Value, new(big.Int).Mul(c.Value, big.NewInt(n)))
	u.Gas.Add(&u.Gas, new(big.Int).Mul(new(big.Int).SetUint64(c.Gas), big.NewInt(n)))
}
