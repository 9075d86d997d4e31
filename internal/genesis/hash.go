package genesis

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/holiman/uint256"
)

// Hash is the hash of the genesis block. Besu hashes the header of a BFT block
// without seals and round, except at height 0: there extraData counts as it is
// in the file. So this is the ordinary hash of an ordinary header.
func (f File) Hash() (common.Hash, error) {
	header, err := f.header()
	if err != nil {
		return common.Hash{}, err
	}
	return header.Hash(), nil
}

// header is the header of block 0.
func (f File) header() (*types.Header, error) {
	if !f.Nonce.IsUint64() || !f.Timestamp.IsUint64() || !f.GasLimit.IsUint64() {
		return nil, errors.New("nonce, timestamp or gas limit of the genesis file do not fit into 64 bits")
	}
	root, err := stateRoot(f.Alloc)
	if err != nil {
		return nil, err
	}
	header := &types.Header{
		UncleHash: types.EmptyUncleHash, Coinbase: f.Coinbase, Root: root,
		TxHash: types.EmptyTxsHash, ReceiptHash: types.EmptyReceiptsHash, Number: new(big.Int),
		Difficulty: &f.Difficulty.Int, GasLimit: f.GasLimit.Uint64(), Time: f.Timestamp.Uint64(),
		Extra: f.ExtraData, MixDigest: f.MixHash, Nonce: types.EncodeNonce(f.Nonce.Uint64()),
	}
	if f.ParentHash != nil {
		header.ParentHash = *f.ParentHash
	}
	return header, f.addForkFields(header)
}

// addForkFields adds what the header has since London, Shanghai, Cancun and
// Prague. A later fork at the genesis block implies the earlier ones.
func (f File) addForkFields(header *types.Header) error {
	c := f.Config
	active := func(from *Number) bool { return from != nil && uint64(*from) <= header.Time }
	prague := active(c.PragueTime) || active(c.OsakaTime)
	cancun := prague || active(c.CancunTime)
	shanghai := cancun || active(c.ShanghaiTime)
	switch {
	case f.BaseFeePerGas != nil:
		header.BaseFee = &f.BaseFeePerGas.Int
	case c.LondonBlock != nil && *c.LondonBlock == 0:
		header.BaseFee = new(big.Int).SetUint64(initialBaseFee)
	case shanghai:
		return errors.New("a genesis block of Shanghai or later needs a base fee: set londonBlock to 0, or baseFeePerGas")
	}
	if shanghai {
		header.WithdrawalsHash = &types.EmptyWithdrawalsHash
	}
	if cancun {
		used, excess, err := f.blobGas()
		if err != nil {
			return err
		}
		header.BlobGasUsed, header.ExcessBlobGas, header.ParentBeaconRoot = &used, &excess, new(common.Hash)
		if f.BeaconRoot != nil {
			header.ParentBeaconRoot = f.BeaconRoot
		}
	}
	if prague {
		header.RequestsHash = &types.EmptyRequestsHash
	}
	return nil
}

func (f File) blobGas() (used, excess uint64, err error) {
	for from, to := range map[*Quantity]*uint64{f.BlobGasUsed: &used, f.ExcessBlobGas: &excess} {
		switch {
		case from == nil:
		case !from.IsUint64():
			return 0, 0, errors.New("blob gas of the genesis file does not fit into 64 bits")
		default:
			*to = from.Uint64()
		}
	}
	return used, excess, nil
}

// stateRoot is the root of the state trie with these accounts.
func stateRoot(alloc Alloc) (common.Hash, error) {
	leaves := make(map[common.Hash][]byte, len(alloc))
	for address, account := range alloc {
		leaf, err := account.leaf()
		if err != nil {
			return common.Hash{}, fmt.Errorf("account %s: %w", address, err)
		}
		leaves[crypto.Keccak256Hash(address[:])] = leaf
	}
	return trieRoot(leaves)
}

// leaf is the account as the state trie has it.
func (a Account) leaf() ([]byte, error) {
	balance, overflow := uint256.FromBig(&a.Balance.Int)
	if overflow {
		return nil, errors.New("the balance does not fit into 256 bits")
	}
	account := types.StateAccount{Balance: balance, Root: types.EmptyRootHash, CodeHash: crypto.Keccak256(a.Code)}
	if a.Nonce != nil {
		if !a.Nonce.IsUint64() {
			return nil, errors.New("the nonce does not fit into 64 bits")
		}
		account.Nonce = a.Nonce.Uint64()
	}
	slots := make(map[common.Hash][]byte, len(a.Storage))
	for key, value := range a.Storage {
		if value == (common.Hash{}) {
			continue // a slot of zero is no slot
		}
		content, err := rlp.EncodeToBytes(common.TrimLeftZeroes(value[:]))
		if err != nil {
			return nil, fmt.Errorf("encode storage: %w", err)
		}
		slots[crypto.Keccak256Hash(key[:])] = content
	}
	root, err := trieRoot(slots)
	if err != nil {
		return nil, err
	}
	account.Root = root
	return rlp.EncodeToBytes(&account)
}

// trieRoot is the root of a Merkle Patricia trie with these leaves.
func trieRoot(leaves map[common.Hash][]byte) (common.Hash, error) {
	keys := make([]common.Hash, 0, len(leaves))
	for key := range leaves {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b common.Hash) int { return bytes.Compare(a[:], b[:]) })
	tree := trie.NewStackTrie(nil)
	for _, key := range keys {
		if err := tree.Update(key[:], leaves[key]); err != nil {
			return common.Hash{}, fmt.Errorf("hash the state: %w", err)
		}
	}
	return tree.Hash(), nil
}
