package devnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
)

// identity says which chain a folder holds. go-ethereum has its own check, but
// would answer in hashes where a chain id says it better.
type identity struct {
	ChainID     uint64      `json:"chainId"`
	GenesisHash common.Hash `json:"genesisHash"`
}

// checkIdentity refuses a folder that holds another chain, and marks a new one.
func checkIdentity(dir string, chainID uint64, genesis common.Hash) error {
	if dir == "" {
		return nil
	}
	file := filepath.Join(dir, "chain.json")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return writeIdentity(dir, file, identity{ChainID: chainID, GenesisHash: genesis})
	}
	if err != nil {
		return fmt.Errorf("state folder of the chain: %w", err)
	}
	var found identity
	if err := json.Unmarshal(text, &found); err != nil {
		return fmt.Errorf("state folder of the chain is broken: %s: %w; delete %s to begin afresh", file, err, dir)
	}
	if found.ChainID != chainID {
		return fmt.Errorf("the chain in %s has chain id %d, not %d; choose another state folder or delete it to begin afresh", dir, found.ChainID, chainID)
	}
	if found.GenesisHash != genesis {
		return fmt.Errorf("the chain in %s was started with another genesis (funded accounts or gas limit); choose another state folder or delete it to begin afresh", dir)
	}
	return nil
}

func writeIdentity(dir, file string, id identity) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state folder of the chain: %w", err)
	}
	text, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return fmt.Errorf("state folder of the chain: %w", err)
	}
	// Written aside and renamed: a kill must not leave half a file.
	if err := os.WriteFile(file+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("state folder of the chain: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("state folder of the chain: %w", err)
	}
	return nil
}
