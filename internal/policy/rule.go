package policy

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// rule is a Rule with its texts read.
type rule struct {
	Rule
	senders, recipients map[common.Address]bool
	codes               map[common.Hash]bool
	contracts           []common.Address // of Domains, by index; zero where none is given
	methods             []method
}

// problems collects errors.
type problems []error

func (p *problems) add(err error) {
	if err != nil {
		*p = append(*p, err)
	}
}

func (p *problems) err() error { return errors.Join(*p...) }

// compile reads the texts of a rule.
func compile(from Rule) (rule, error) {
	r := rule{Rule: from}
	var errs problems
	errs.add(from.validate())
	var err error
	r.senders, err = addresses("senders", from.Senders)
	errs.add(err)
	r.recipients, err = addresses("recipients", from.Recipients)
	errs.add(err)
	if from.CodeHashes != nil {
		r.codes = map[common.Hash]bool{}
	}
	for _, text := range from.CodeHashes {
		raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
		if err != nil || len(raw) != common.HashLength {
			errs.add(fmt.Errorf("codeHashes %q: must be 0x and 64 hex digits", text))
		}
		r.codes[common.BytesToHash(raw)] = true
	}
	for _, d := range from.Domains {
		var contract common.Address
		if d.VerifyingContract != "" {
			contract, err = address(d.VerifyingContract)
			errs.add(err)
		}
		r.contracts = append(r.contracts, contract)
	}
	for _, text := range from.Methods {
		m, err := newMethod(text, from.Arguments)
		errs.add(err)
		r.methods = append(r.methods, m)
	}
	if len(from.Arguments) > 0 && len(from.Methods) == 0 {
		errs.add(errors.New("arguments: need methods"))
	}
	return r, errs.err()
}

func addresses(field string, list []string) (map[common.Address]bool, error) {
	if list == nil {
		return nil, nil //nolint:nilnil // no condition
	}
	out := map[common.Address]bool{}
	for _, text := range list {
		a, err := address(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		out[a] = true
	}
	return out, nil
}

// address reads 20 bytes of hex; of mixed case the checksum must be right (EIP-55).
func address(text string) (common.Address, error) {
	a := common.HexToAddress(text)
	digits, ok := strings.CutPrefix(text, "0x")
	isMixed := digits != strings.ToLower(digits) && digits != strings.ToUpper(digits)
	if !ok || !common.IsHexAddress(text) || isMixed && a.Hex() != text {
		return common.Address{}, fmt.Errorf("%q is no address, or its checksum is wrong", text)
	}
	return a, nil
}

// truth is the answer of a condition: what cannot be known is neither yes nor no.
type truth int8

const (
	no truth = iota
	unknown
	yes
)

func truthOf(is bool) truth {
	if is {
		return yes
	}
	return no
}

// and is no if one is no, or else unknown if one is unknown.
func and(all ...truth) truth { return slices.Min(all) }

// matches says whether the rule applies. What cannot be known counts against
// the caller.
func (r *rule) matches(asked Request) bool {
	switch r.holds(asked) {
	case yes:
		return true
	case unknown:
		return r.Effect != EffectAllow
	default:
		return false
	}
}

func (r *rule) holds(asked Request) truth {
	if !among(r.Kinds, asked.Kind) || !among(r.Tenants, asked.Tenant) || !among(r.Callers, asked.Caller) ||
		!among(r.Chains, asked.Chain) || r.senders != nil && !r.senders[asked.Sender] {
		return no
	}
	switch asked.Kind {
	case KindTransaction, KindDeploy:
		return r.holdsTransaction(asked)
	case KindTypedData:
		if r.hasCallConditions() || r.codes != nil {
			return no
		}
		return truthOf(among(r.PrimaryTypes, asked.PrimaryType) && r.holdsDomain(asked.Domain))
	case KindMessage:
		return truthOf(!r.hasCallConditions() && r.codes == nil && r.Domains == nil && r.PrimaryTypes == nil)
	default:
		return no
	}
}

func (r *rule) hasCallConditions() bool {
	return r.recipients != nil || r.Methods != nil || r.MinValue != nil || r.MaxValue != nil || r.MinGas != nil || r.MaxGas != nil ||
		slices.ContainsFunc(r.Limits, func(l Limit) bool { return l.Value != nil || l.Gas != nil || l.Per == PerRecipient })
}

func (r *rule) holdsTransaction(asked Request) truth {
	if r.Domains != nil || r.PrimaryTypes != nil || !r.holdsValue(asked.Value) {
		return no
	}
	if asked.To == nil {
		if r.recipients != nil || r.Methods != nil || r.codes != nil && !r.codes[crypto.Keccak256Hash(asked.Data)] {
			return no
		}
		return r.holdsGas(asked.Gas)
	}
	if r.codes != nil || r.recipients != nil && !r.recipients[*asked.To] {
		return no
	}
	return and(r.holdsGas(asked.Gas), r.holdsCall(asked.Data))
}

func (r *rule) holdsValue(v *big.Int) bool {
	if v == nil {
		v = new(big.Int)
	}
	return (r.MinValue == nil || v.Cmp(r.MinValue.Big()) >= 0) && (r.MaxValue == nil || v.Cmp(r.MaxValue.Big()) <= 0)
}

func (r *rule) holdsGas(gas uint64) truth {
	isBound := r.MinGas != nil || r.MaxGas != nil || slices.ContainsFunc(r.Limits, func(l Limit) bool { return l.Gas != nil })
	if isBound && gas == 0 {
		return unknown
	}
	return truthOf((r.MinGas == nil || gas >= *r.MinGas) && (r.MaxGas == nil || gas <= *r.MaxGas))
}

// holdsCall compares the method and its arguments.
func (r *rule) holdsCall(data []byte) truth {
	if r.Methods == nil {
		return yes
	}
	best := no
	for _, m := range r.methods {
		best = max(best, m.holds(data, r.Arguments))
	}
	return best
}

func (r *rule) holdsDomain(asked Domain) bool {
	if r.Domains == nil {
		return true
	}
	for i, d := range r.Domains {
		contract, err := address(asked.VerifyingContract)
		if (d.Name == "" || d.Name == asked.Name) && (d.Version == "" || d.Version == asked.Version) && (d.ChainID == 0 || d.ChainID == asked.ChainID) &&
			(d.VerifyingContract == "" || err == nil && bytes.Equal(contract[:], r.contracts[i][:])) {
			return true
		}
	}
	return false
}

// among says whether a condition holds: nothing given is no condition.
func among[T comparable](list []T, v T) bool { return list == nil || slices.Contains(list, v) }
