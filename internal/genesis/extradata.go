package genesis

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"
)

// Consensus is a consensus protocol of Besu.
type Consensus string

// The protocols; their names are those of the genesis file's section.
const (
	QBFT  Consensus = "qbft"
	IBFT2 Consensus = "ibft2"
)

// vanityLength is the length of the free bytes in front of the validators.
const vanityLength = 32

// qbftExtra is the extraData of QBFT: a vote is a list, and none an empty one;
// the round is a number.
type qbftExtra struct {
	Vanity     []byte
	Validators []common.Address
	Vote       []rlp.RawValue
	Round      uint32
	Seals      [][]byte
}

// ibft2Extra is the extraData of IBFT 2.0: no vote is an empty string, and the
// round is always four bytes.
type ibft2Extra struct {
	Vanity     []byte
	Validators []common.Address
	Vote       rlp.RawValue
	Round      [4]byte
	Seals      [][]byte
}

// emptyString is the RLP of no bytes.
func emptyString() rlp.RawValue { return rlp.RawValue{0x80} }

// ExtraData is what a genesis file's extraData is for the validators: no vote,
// round 0, no seals. The order of the validators is kept.
func ExtraData(protocol Consensus, validators []common.Address) ([]byte, error) {
	vanity := make([]byte, vanityLength)
	switch protocol {
	case QBFT:
		return rlp.EncodeToBytes(qbftExtra{Vanity: vanity, Validators: validators})
	case IBFT2:
		return rlp.EncodeToBytes(ibft2Extra{Vanity: vanity, Validators: validators, Vote: emptyString()})
	default:
		return nil, unknownConsensus(protocol)
	}
}

// Validators reads the validators of a genesis file's extraData. It refuses a
// vote, a round and seals, which block 0 cannot have.
func Validators(protocol Consensus, extraData []byte) ([]common.Address, error) {
	switch protocol {
	case QBFT:
		var extra qbftExtra
		if err := rlp.DecodeBytes(extraData, &extra); err != nil {
			return nil, fmt.Errorf("extraData is not that of %s: %w", protocol, err)
		}
		return ofGenesis(extra.Vanity, extra.Validators, len(extra.Vote) == 0 && extra.Round == 0 && len(extra.Seals) == 0)
	case IBFT2:
		var extra ibft2Extra
		if err := rlp.DecodeBytes(extraData, &extra); err != nil {
			return nil, fmt.Errorf("extraData is not that of %s: %w", protocol, err)
		}
		return ofGenesis(extra.Vanity, extra.Validators,
			bytes.Equal(extra.Vote, emptyString()) && extra.Round == [4]byte{} && len(extra.Seals) == 0)
	default:
		return nil, unknownConsensus(protocol)
	}
}

func ofGenesis(vanity []byte, validators []common.Address, nothingElse bool) ([]common.Address, error) {
	switch {
	case len(vanity) != vanityLength:
		return nil, fmt.Errorf("extraData begins with %d bytes of vanity, not %d", len(vanity), vanityLength)
	case !nothingElse:
		return nil, errors.New("extraData of a genesis file has a vote, a round or seals")
	}
	return validators, nil
}

func unknownConsensus(protocol Consensus) error {
	return fmt.Errorf("consensus %q is not known; it is qbft or ibft2", string(protocol))
}
