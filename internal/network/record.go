package network

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/genesis"
)

// recordVersion is raised when the meaning of a field changes.
const recordVersion = 1

// Record is what a network is, in a form that is small and complete: with its
// keys, and the accounts whose digests it has, it gives the whole material.
type Record struct {
	Version       int            `json:"version"`
	GenesisHash   common.Hash    `json:"genesisHash"`
	Params        genesis.Params `json:"params"`
	Names         Names          `json:"names"`
	FaucetBalance string         `json:"faucetBalance"` // wei, in decimal
	// Alloc has a digest of each account of the genesis file but the faucet's.
	Alloc map[string]string `json:"alloc"`
	Keys  *RecordKeys       `json:"keys,omitempty"`
}

// RecordKeys are private keys in the clear. They are written into a Secret and
// nowhere else.
type RecordKeys struct {
	Validators []string `json:"validators"`
	RPCNodes   []string `json:"rpcNodes"`
	Faucet     string   `json:"faucet"`
}

// Record is the record of a network as it is wanted: without keys and hash.
func (s Spec) Record() (Record, error) {
	params, err := s.Params.Complete()
	if err != nil {
		return Record{}, err
	}
	digests, err := digestsOf(s.Alloc)
	if err != nil {
		return Record{}, err
	}
	balance := "0"
	if s.FaucetBalance != nil {
		balance = s.FaucetBalance.String()
	}
	return Record{Version: recordVersion, Params: params, Names: s.Names, FaucetBalance: balance, Alloc: digests}, nil
}

// Record is the material's record without keys.
func (m Material) Record() (Record, error) {
	record, err := m.Spec.Record()
	record.GenesisHash = m.Hash
	return record, err
}

// RecordWithKeys is the material's record, private keys included.
func (m Material) RecordWithKeys() (Record, error) {
	record, err := m.Record()
	if err != nil {
		return Record{}, err
	}
	reveal := func(keys []genesis.NodeKey) []string {
		out := make([]string, len(keys))
		for i, key := range keys {
			out[i] = key.Private().Reveal()
		}
		return out
	}
	record.Keys = &RecordKeys{
		Validators: reveal(m.Keys.Validators), RPCNodes: reveal(m.Keys.RPCNodes), Faucet: m.Keys.Faucet.Private().Reveal(),
	}
	return record, nil
}

func digestsOf(alloc genesis.Alloc) (map[string]string, error) {
	out := make(map[string]string, len(alloc))
	for address, account := range alloc {
		digest, err := digestOf(account)
		if err != nil {
			return nil, err
		}
		out[strings.ToLower(address.Hex())] = digest
	}
	return out, nil
}

func digestOf(account genesis.Account) (string, error) {
	text, err := json.Marshal(account)
	if err != nil {
		return "", fmt.Errorf("write an account: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// ParseRecord reads a record.
func ParseRecord(text []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return Record{}, fmt.Errorf("read the network's record: %w", err)
	}
	if r.Version != recordVersion {
		return Record{}, fmt.Errorf("the network's record has version %d, this program knows %d: use the version of slipway that made it, or a newer one", r.Version, recordVersion)
	}
	return r, nil
}

// KeysOf are the record's keys.
func (r Record) KeysOf() (Keys, error) {
	if r.Keys == nil {
		return Keys{}, errors.New("the network's record has no keys")
	}
	read := func(texts []string) ([]genesis.NodeKey, error) {
		out := make([]genesis.NodeKey, len(texts))
		for i, text := range texts {
			key, err := genesis.ParseNodeKey(text)
			if err != nil {
				return nil, fmt.Errorf("key %d of the network's record: %w", i, err)
			}
			out[i] = key
		}
		return out, nil
	}
	var keys Keys
	var err error
	if keys.Validators, err = read(r.Keys.Validators); err != nil {
		return Keys{}, err
	}
	if keys.RPCNodes, err = read(r.Keys.RPCNodes); err != nil {
		return Keys{}, err
	}
	keys.Faucet, err = genesis.ParseNodeKey(r.Keys.Faucet)
	return keys, err
}

// Spec is the record's part of a Spec; alloc are the accounts whose digests it
// has. It refuses accounts that differ.
func (r Record) Spec(alloc genesis.Alloc) (Spec, error) {
	given, err := digestsOf(alloc)
	if err != nil {
		return Spec{}, err
	}
	for _, address := range slices.Sorted(maps.Keys(r.Alloc)) {
		switch given[address] {
		case r.Alloc[address]:
		case "":
			return Spec{}, fmt.Errorf("the account %s of the network's genesis is missing", address)
		default:
			return Spec{}, fmt.Errorf("the account %s is not that of the network's genesis", address)
		}
	}
	if len(given) != len(r.Alloc) {
		return Spec{}, errors.New("there are accounts that the network's genesis does not have")
	}
	balance, ok := new(big.Int).SetString(r.FaucetBalance, 10)
	if !ok {
		return Spec{}, errors.New("the network's record has no balance of the faucet")
	}
	return Spec{Params: r.Params, Names: r.Names, FaucetBalance: balance, Alloc: alloc}, nil
}

// Differences says in what a wanted network differs from the one that is. The
// number of nodes does not count: they are added and removed later.
func (r Record) Differences(wanted Record) []string {
	var out []string
	differ := func(what string, is, want any) {
		if is != want {
			out = append(out, fmt.Sprintf("%s is %v, and %v is wanted", what, is, want))
		}
	}
	is, want := r.Params, wanted.Params
	differ("consensus", is.Consensus, want.Consensus)
	differ("profile", is.Profile, want.Profile)
	differ("fork", is.Fork, want.Fork)
	differ("chain id", is.ChainID, want.ChainID)
	differ("block period", is.BlockPeriod, want.BlockPeriod)
	differ("period of empty blocks", is.EmptyBlockPeriod, want.EmptyBlockPeriod)
	differ("request timeout", is.RequestTimeout, want.RequestTimeout)
	differ("epoch length", is.EpochLength, want.EpochLength)
	differ("gas limit", is.GasLimit, want.GasLimit)
	differ("gas price", is.GasPrice, want.GasPrice)
	differ("contract size limit", is.ContractSizeLimit, want.ContractSizeLimit)
	differ("EVM stack size", is.EVMStackSize, want.EVMStackSize)
	differ("timestamp", is.Timestamp, want.Timestamp)
	differ("faucet balance", r.FaucetBalance, wanted.FaucetBalance)
	if r.Names != wanted.Names {
		out = append(out, fmt.Sprintf("names are %+v, and %+v are wanted", r.Names, wanted.Names))
	}
	return append(out, differentAccounts(r.Alloc, wanted.Alloc)...)
}

func differentAccounts(is, want map[string]string) []string {
	all := maps.Clone(is)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, want)
	var out []string
	for _, address := range slices.Sorted(maps.Keys(all)) {
		switch {
		case is[address] == want[address]:
		case is[address] == "":
			out = append(out, fmt.Sprintf("account %s is not in the genesis, and is wanted", address))
		case want[address] == "":
			out = append(out, fmt.Sprintf("account %s is in the genesis, and is not wanted", address))
		default:
			out = append(out, fmt.Sprintf("account %s is another one in the genesis", address))
		}
	}
	return out
}
