package chaos

import (
	"crypto/ecdsa"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
)

// The judge on the chain. Its bytes are assembled below; as Solidity it is
//
//	contract Counter {
//	    mapping(bytes32 => uint256) public count;   // here: storage slot = id
//	    event Hit(bytes32 indexed id, uint256 n);
//	    function hit(bytes32 id) external { emit Hit(id, ++count[id]); }
//	}
//
// A second hit never reverts: it would hide what it is there to show.

func selector(signature string) []byte { return crypto.Keccak256([]byte(signature))[:4] }

func hitTopic() common.Hash { return crypto.Keccak256Hash([]byte("Hit(bytes32,uint256)")) }

// hitData is the calldata of hit(id).
func hitData(id common.Hash) []byte { return append(selector("hit(bytes32)"), id[:]...) }

// counterCode is the code of the contract.
func counterCode() []byte {
	const (
		stop, add, eq, shr      = 0x00, 0x01, 0x14, 0x1c
		calldataload            = 0x35
		mstore, sload, sstore   = 0x52, 0x54, 0x55
		jumpi, jumpdest         = 0x57, 0x5b
		push1, push4, push32    = 0x60, 0x63, 0x7f
		dup1, dup3, log2, reply = 0x80, 0x82, 0xa2, 0xf3
	)
	hitAt, countAt := byte(0x1b), byte(0x00)
	assemble := func() []byte {
		code := []byte{push1, 0, calldataload, push1, 0xe0, shr} // the selector
		code = append(code, dup1, push4)
		code = append(code, selector("hit(bytes32)")...)
		code = append(code, eq, push1, hitAt, jumpi, push4)
		code = append(code, selector("count(bytes32)")...)
		code = append(code, eq, push1, countAt, jumpi, stop)

		hitAt = byte(len(code))
		code = append(code, jumpdest, push1, 4, calldataload)
		code = append(code, dup1, sload, push1, 1, add) // id n
		code = append(code, dup1, dup3, sstore)         // id n
		code = append(code, push1, 0, mstore, push32)   // id
		topic := hitTopic()
		code = append(code, topic[:]...)
		code = append(code, push1, 32, push1, 0, log2, stop)

		countAt = byte(len(code))
		return append(code, jumpdest, push1, 4, calldataload, sload, push1, 0, mstore, push1, 32, push1, 0, reply)
	}
	assemble() // finds the places of the labels
	return assemble()
}

// creation is code that puts the counter into the chain.
func creation() []byte {
	code := counterCode()
	size := make([]byte, 2)
	binary.BigEndian.PutUint16(size, uint16(len(code)))
	const codecopy, dup1, push1, push2, ret = 0x39, 0x80, 0x60, 0x61, 0xf3
	prefix := []byte{push2, size[0], size[1], dup1, push1, 12, push1, 0, codecopy, push1, 0, ret}
	return append(prefix, code...)
}

// deployCounter puts the counter on the chain, by an account of its own.
func (w *world) deployCounter(t *testing.T) common.Address {
	t.Helper()
	key := deployer(t)
	raw := sign(t, key, &types.LegacyTx{Gas: 1_000_000, GasPrice: w.price(), Data: creation()})
	w.sendRaw(t, w.nodeURL(), raw)
	w.seal(t)
	at := crypto.CreateAddress(crypto.PubkeyToAddress(key.PublicKey), 0)
	w.eventually(t, "the counter is on the chain", func() bool {
		var code hexutil.Bytes
		w.rpc(t, w.nodeURL(), &code, "eth_getCode", at, "latest")
		return len(code) > 0
	})
	return at
}

// deployer is the account of the tests themselves.
func deployer(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := crypto.HexToECDSA(strings.Repeat("01", 32))
	require.NoError(t, err)
	return key
}

func TestCounter_CountsEveryHit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{blockTime: manual})
	key := deployer(t)
	id := common.HexToHash("0x0123")
	for _, nonce := range []uint64{1, 2, 3} { // 0 put the counter there
		w.sendRaw(t, w.nodeURL(), sign(t, key, &types.LegacyTx{Nonce: nonce, To: &w.counter, Gas: 100_000, GasPrice: w.price(), Data: hitData(id)}))
	}
	w.seal(t)

	require.Equal(t, 3, w.readChain(t).hits[id])
	var count common.Hash
	w.rpc(t, w.nodeURL(), &count, "eth_call", map[string]any{"to": w.counter, "data": "0x" + common.Bytes2Hex(append(selector("count(bytes32)"), id[:]...))}, "latest")
	require.Equal(t, common.BigToHash(common.Big3), count)
}
