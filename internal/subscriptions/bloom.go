package subscriptions

import (
	"github.com/ethereum/go-ethereum/crypto"
)

// bloom is a block's filter of 2048 bits over the addresses and topics of its
// logs (Yellow Paper, section 4.3.1).
type bloom [256]byte

// bloomBits are the three bits that stand for one address or topic.
type bloomBits [3]uint16

func bitsOf(term []byte) bloomBits {
	hash := crypto.Keccak256(term)
	var bits bloomBits
	for i := range bits {
		bits[i] = (uint16(hash[2*i])<<8 | uint16(hash[2*i+1])) & 2047
	}
	return bits
}

func (b *bloom) has(bits bloomBits) bool {
	for _, bit := range bits {
		if b[len(b)-1-int(bit/8)]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

func (b *bloom) add(term []byte) {
	for _, bit := range bitsOf(term) {
		b[len(b)-1-int(bit/8)] |= 1 << (bit % 8)
	}
}

// isWithin says whether the other filter has all of this one's bits.
func (b *bloom) isWithin(other *bloom) bool {
	for i := range b {
		if b[i]&^other[i] != 0 {
			return false
		}
	}
	return true
}

func (b *bloom) isEmpty() bool { return *b == bloom{} }
