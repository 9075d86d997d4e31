package signing

import (
	"bytes"
	"errors"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"
)

// ErrUnknownSigner says that no key of the keyring belongs to an address.
var ErrUnknownSigner = errors.New("no key for this address")

// ErrDisabledSigner says that the key of an address was switched off.
var ErrDisabledSigner = errors.New("the key of this address is disabled")

// Keyring is the set of signers of a process. Keys may be added, disabled and
// enabled while others sign. It is safe for concurrent use.
type Keyring struct {
	mu       sync.RWMutex // guards the fields below
	signers  map[common.Address]Signer
	disabled map[common.Address]bool
}

// NewKeyring collects signers. Of two signers for one address the first is kept.
func NewKeyring(signers ...Signer) *Keyring {
	k := &Keyring{signers: make(map[common.Address]Signer, len(signers)), disabled: map[common.Address]bool{}}
	k.Add(signers...)
	return k
}

// Add takes signers in and says how many were new. An address that has a signer
// keeps it, and stays disabled if it was.
func (k *Keyring) Add(signers ...Signer) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	added := 0
	for _, s := range signers {
		if _, known := k.signers[s.Address()]; !known {
			k.signers[s.Address()] = s
			added++
		}
	}
	return added
}

// Disable makes an address sign no more, whether it is known yet or not.
// Signatures that are being made end as they will.
func (k *Keyring) Disable(address common.Address) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.disabled[address] = true
}

// Enable takes Disable back.
func (k *Keyring) Enable(address common.Address) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.disabled, address)
}

// Signer returns the signer of an address, ErrUnknownSigner or
// ErrDisabledSigner.
func (k *Keyring) Signer(address common.Address) (Signer, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	s, ok := k.signers[address]
	switch {
	case !ok:
		return nil, ErrUnknownSigner
	case k.disabled[address]:
		return nil, ErrDisabledSigner
	}
	return s, nil
}

// Signers lists the signers of now that are not disabled, sorted by address.
func (k *Keyring) Signers() []Signer {
	k.mu.RLock()
	out := make([]Signer, 0, len(k.signers))
	for address, s := range k.signers {
		if !k.disabled[address] {
			out = append(out, s)
		}
	}
	k.mu.RUnlock()
	slices.SortFunc(out, func(a, b Signer) int {
		x, y := a.Address(), b.Address()
		return bytes.Compare(x[:], y[:])
	})
	return out
}
