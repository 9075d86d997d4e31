package network

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/genesis"
)

// Found is what Verify computed, and what it found to differ.
type Found struct {
	Hash        common.Hash      // of the genesis file
	Validators  []common.Address // of its extraData
	Differences []string
}

// Claims are what a genesis file is compared with. What is left out is not
// looked at.
type Claims struct {
	Validators []common.Address
	Hash       *common.Hash
	ChainID    uint64
}

// VerifyGenesis recomputes extraData and hash of a genesis file.
func VerifyGenesis(text []byte, claims Claims) (Found, error) {
	file, err := genesis.Parse(text)
	if err != nil {
		return Found{}, err
	}
	protocol, err := file.Consensus()
	if err != nil {
		return Found{}, err
	}
	var found Found
	if found.Hash, err = file.Hash(); err != nil {
		return Found{}, err
	}
	found.Validators, err = genesis.Validators(protocol, file.ExtraData)
	if err != nil {
		found.differ("%v", err)
	}
	if missing := file.Missing(); len(missing) > 0 {
		found.differ("%d accounts have nothing in them, the first is %s: the file is the sparse one; compare what compile-genesis wrote", len(missing), missing[0])
	}
	if claims.ChainID != 0 && uint64(file.Config.ChainID) != claims.ChainID {
		found.differ("the chain id is %d, not %d", uint64(file.Config.ChainID), claims.ChainID)
	}
	if claims.Validators != nil {
		found.compareValidators(protocol, file.ExtraData, claims.Validators)
	}
	if claims.Hash != nil && *claims.Hash != found.Hash {
		found.differ("the genesis hash is %s, not %s", found.Hash, *claims.Hash)
	}
	return found, nil
}

func (f *Found) differ(format string, args ...any) {
	f.Differences = append(f.Differences, fmt.Sprintf(format, args...))
}

func (f *Found) compareValidators(protocol genesis.Consensus, extraData []byte, claimed []common.Address) {
	before := len(f.Differences)
	for _, address := range claimed {
		if !slices.Contains(f.Validators, address) {
			f.differ("extraData does not have the validator %s", address)
		}
	}
	for _, address := range f.Validators {
		if !slices.Contains(claimed, address) {
			f.differ("extraData has %s, which is none of the validators", address)
		}
	}
	if len(f.Differences) > before {
		return
	}
	ordered := slices.Clone(claimed)
	slices.SortFunc(ordered, func(a, b common.Address) int { return bytes.Compare(a[:], b[:]) })
	if want, err := genesis.ExtraData(protocol, ordered); err != nil || !bytes.Equal(want, extraData) {
		f.differ("extraData has the right validators, but is not what this program makes of them: their order, or the vanity bytes")
	}
}

// VerifyFolder recomputes everything of a network's folder from its keys.
func VerifyFolder(dir string) (Found, error) {
	record, err := readRecord(dir)
	if err != nil {
		return Found{}, err
	}
	keys, err := ReadKeys(dir, record.Names)
	if err != nil {
		return Found{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, genesisFile))
	if err != nil {
		return Found{}, fmt.Errorf("read genesis: %w", err)
	}
	file, err := genesis.Parse(text)
	if err != nil {
		return Found{}, err
	}
	first, err := ofGenesis(file, keys.Validators)
	if err != nil {
		return Found{}, err
	}
	found, err := VerifyGenesis(text, Claims{Validators: genesis.Addresses(first), Hash: &record.GenesisHash, ChainID: record.Params.ChainID})
	if err != nil {
		return Found{}, err
	}
	found.compareKeyFiles(dir, keys.nodes(record.Names), record.Names.FaucetPrefix, keys.Faucet)
	found.compareStaticNodes(dir, keys.nodes(record.Names))
	if len(found.Differences) == 0 {
		keys.Validators = first
		found.compareDerived(record, keys, file, text)
	}
	return found, nil
}

// ofGenesis are the keys of the genesis file's validators. Others were added
// later: keys are numbered, and the file knows how many there were.
func ofGenesis(file genesis.File, keys []genesis.NodeKey) ([]genesis.NodeKey, error) {
	protocol, err := file.Consensus()
	if err != nil {
		return nil, err
	}
	validators, err := genesis.Validators(protocol, file.ExtraData)
	if err != nil || len(validators) > len(keys) {
		return keys, nil //nolint:nilerr // VerifyGenesis says it
	}
	return keys[:len(validators)], nil
}

func (f *Found) compareKeyFiles(dir string, nodes []Node, faucetPrefix string, faucet genesis.NodeKey) {
	files := map[string][]byte{}
	for _, node := range nodes {
		addKeyFiles(files, node.Name, node.Key)
	}
	addKeyFiles(files, faucetPrefix, faucet)
	for name, want := range files {
		if filepath.Base(name) == keyFile {
			continue
		}
		is, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			f.differ("%s is missing", name)
		case err != nil:
			f.differ("%s cannot be read: %v", name, err)
		case !strings.EqualFold(strings.TrimSpace(string(is)), strings.TrimSpace(string(want))):
			f.differ("%s is not that of the private key beside it: it is %s, the key gives %s", name, strings.TrimSpace(string(is)), strings.TrimSpace(string(want)))
		}
	}
	slices.Sort(f.Differences)
}

func (f *Found) compareStaticNodes(dir string, nodes []Node) {
	is, err := staticNodesOf(dir)
	if err != nil {
		f.differ("%v", err)
		return
	}
	want := make([]string, len(nodes))
	for i, node := range nodes {
		want[i] = node.Enode
		if !slices.Contains(is, node.Enode) {
			f.differ("%s does not have %s, %s", staticNodesFile, node.Name, node.Enode)
		}
	}
	for _, enode := range is {
		if !slices.Contains(want, enode) {
			f.differ("%s has %s, which is none of the nodes", staticNodesFile, enode)
		}
	}
}

// compareDerived finds what is not in the hash: the consensus' numbers.
func (f *Found) compareDerived(record Record, keys Keys, file genesis.File, text []byte) {
	alloc := genesis.Alloc{}
	for address, account := range file.Alloc {
		if address != keys.Faucet.Address() {
			alloc[address] = account
		}
	}
	spec, err := record.Spec(alloc)
	if err != nil {
		f.differ("%v", err)
		return
	}
	material, err := Derive(spec, keys)
	if err != nil {
		f.differ("%v", err)
		return
	}
	want, err := material.Genesis.JSON()
	if err != nil {
		f.differ("%v", err)
		return
	}
	if line, what := firstDifference(want, text); line > 0 {
		f.differ("%s, line %d: %s", genesisFile, line, what)
	}
}

// firstDifference is the number of the first line in which two texts differ,
// or 0.
func firstDifference(want, is []byte) (int, string) {
	wanted, found := strings.Split(string(want), "\n"), strings.Split(string(is), "\n")
	at := func(lines []string, i int) string {
		if i < len(lines) {
			return strings.TrimSpace(lines[i])
		}
		return "nothing"
	}
	for i := range max(len(wanted), len(found)) {
		if w, g := at(wanted, i), at(found, i); w != g {
			return i + 1, fmt.Sprintf("is %s, the record gives %s", g, w)
		}
	}
	return 0, ""
}
