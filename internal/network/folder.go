package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipwayhq/slipway/internal/genesis"
)

// Files of a network's folder. Each node, and the faucet, has a folder of its
// own with its name.
const (
	recordFile      = "network.json"
	genesisFile     = "genesis.json"
	staticNodesFile = "static-nodes.json"
	abiFolder       = "abi"
	keyFile         = "key" // as Besu's --node-private-key-file reads it
	publicKeyFile   = "key.pub"
	addressFile     = "address"
)

// WriteFolder writes the material to a folder that must not exist or be empty.
// It appears whole or not at all.
func (m Material) WriteFolder(dir string) error {
	if err := requireNothingAt(dir); err != nil {
		return err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o750); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	draft, err := os.MkdirTemp(parent, ".slipway-network-*")
	if err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(draft) }() // nothing is left of it after the rename
	if err := m.writeInto(draft); err != nil {
		return err
	}
	if err := os.Rename(draft, dir); err != nil {
		return fmt.Errorf("put the folder in place: %w", err)
	}
	return nil
}

func requireNothingAt(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the folder cannot be used: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: a network's keys are never overwritten; name another folder, or use `slipway network verify --folder %s`", dir, dir)
	}
	return nil
}

func (m Material) writeInto(dir string) error {
	full, err := m.Genesis.JSON()
	if err != nil {
		return err
	}
	static, err := genesis.StaticNodes(m.Enodes())
	if err != nil {
		return err
	}
	record, err := m.Record()
	if err != nil {
		return err
	}
	about, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", recordFile, err)
	}
	files := map[string][]byte{genesisFile: full, staticNodesFile: static, recordFile: append(about, '\n')}
	for _, abi := range m.Spec.ABIs {
		files[filepath.Join(abiFolder, abi.File)] = []byte(abi.Content)
	}
	for _, node := range m.Nodes {
		addKeyFiles(files, node.Name, node.Key)
	}
	addKeyFiles(files, m.Spec.Names.FaucetPrefix, m.Keys.Faucet)
	return writeFiles(dir, files)
}

func addKeyFiles(files map[string][]byte, owner string, key genesis.NodeKey) {
	files[filepath.Join(owner, keyFile)] = []byte(key.Private().Reveal() + "\n")
	files[filepath.Join(owner, publicKeyFile)] = []byte(key.PublicKey() + "\n")
	files[filepath.Join(owner, addressFile)] = []byte(key.Address().Hex() + "\n")
}

// writeFiles writes files that only their owner reads: most are keys.
func writeFiles(dir string, files map[string][]byte) error {
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return fmt.Errorf("write a file: %w", err)
		}
	}
	return nil
}

// ReadKeys reads the keys of a folder that WriteFolder made, or that has for
// each node NAME-0, NAME-1 … a folder with a file key.
func ReadKeys(dir string, names Names) (Keys, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return Keys{}, fmt.Errorf("the folder of keys cannot be read: %w", err)
	}
	var keys Keys
	var err error
	if keys.Validators, err = readNumbered(dir, names, Validator); err != nil {
		return Keys{}, err
	}
	if len(keys.Validators) == 0 {
		return Keys{}, fmt.Errorf("there is no %s: the folder has no validator's key", filepath.Join(dir, names.Node(Validator, 0), keyFile))
	}
	if keys.RPCNodes, err = readNumbered(dir, names, RPC); err != nil {
		return Keys{}, err
	}
	keys.Faucet, err = readKey(filepath.Join(dir, names.FaucetPrefix, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Keys{}, fmt.Errorf("there is no %s: the folder has no key of the faucet", filepath.Join(dir, names.FaucetPrefix, keyFile))
	}
	return keys, err
}

// readNumbered reads keys until a number is missing.
func readNumbered(dir string, names Names, role Role) ([]genesis.NodeKey, error) {
	var keys []genesis.NodeKey
	for {
		key, err := readKey(filepath.Join(dir, names.Node(role, len(keys)), keyFile))
		if errors.Is(err, fs.ErrNotExist) {
			return keys, nil
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
}

func readKey(path string) (genesis.NodeKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return genesis.NodeKey{}, fmt.Errorf("read a key: %w", err)
	}
	key, err := genesis.ParseNodeKey(string(text))
	if err != nil {
		return genesis.NodeKey{}, fmt.Errorf("read a key: %s: %w", path, err)
	}
	return key, nil
}

// AddNode draws the key of one more node, writes it into a network's folder,
// and adds it to the static nodes. The genesis file stays: the network decides
// on new validators by votes.
func AddNode(dir string, role Role) (Node, error) {
	record, err := readRecord(dir)
	if err != nil {
		return Node{}, err
	}
	keys, err := ReadKeys(dir, record.Names)
	if err != nil {
		return Node{}, err
	}
	ordinal := len(keys.Validators)
	if role == RPC {
		ordinal = len(keys.RPCNodes)
	}
	if ordinal >= maxNodes {
		return Node{}, fmt.Errorf("more than %d nodes of a kind are not supported", maxNodes)
	}
	key, err := genesis.NewNodeKey()
	if err != nil {
		return Node{}, err
	}
	node := NewNode(record.Names, role, ordinal, key)
	static, err := staticNodesOf(dir)
	if err != nil {
		return Node{}, err
	}
	text, err := genesis.StaticNodes(append(static, node.Enode))
	if err != nil {
		return Node{}, err
	}
	files := map[string][]byte{}
	addKeyFiles(files, node.Name, key)
	if err := writeFiles(dir, files); err != nil {
		return Node{}, err
	}
	return node, ReplaceFile(filepath.Join(dir, staticNodesFile), text)
}

func readRecord(dir string) (Record, error) {
	text, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		return Record{}, fmt.Errorf("the folder is not one of a network: %w", err)
	}
	return ParseRecord(text)
}

func staticNodesOf(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, staticNodesFile))
	if err != nil {
		return nil, fmt.Errorf("read static nodes: %w", err)
	}
	return genesis.ParseStaticNodes(text)
}

// ReplaceFile writes a file whole or not at all. Everybody may read it: the node
// that does is another user than the program that writes. Keys are not written
// by it.
func ReplaceFile(path string, content []byte) error {
	draft, err := os.CreateTemp(filepath.Dir(path), ".slipway-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(draft.Name()) }() // nothing is left of it after the rename
	_, err = draft.Write(content)
	if err = errors.Join(err, draft.Chmod(0o644), draft.Sync(), draft.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(draft.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
