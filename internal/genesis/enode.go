package genesis

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// idLength is the length of a node's id: a public key without its 0x04.
const idLength = 64

// Enode is the URL under which peers find a node. host may be a name: Besu
// resolves it where --Xdns-enabled is set.
func Enode(id, host string, port, discoveryPort uint16) string {
	return fmt.Sprintf("enode://%s@%s:%d?discport=%d", id, host, port, discoveryPort)
}

// AddressOfEnode is the address of the node's key, which an enode URL tells.
func AddressOfEnode(enode string) (common.Address, error) {
	u, err := url.Parse(enode)
	if err != nil || u.Scheme != "enode" || u.User == nil || u.Hostname() == "" {
		return common.Address{}, fmt.Errorf("%q is not an enode URL", enode)
	}
	if _, err := strconv.ParseUint(u.Port(), 10, 16); err != nil {
		return common.Address{}, fmt.Errorf("the enode URL of %s has no port", u.Hostname())
	}
	return AddressOfID(u.User.Username())
}

// AddressOfID is the address of a node whose id is known: 128 hex digits, with
// or without the 0x04 of a public key in front.
func AddressOfID(id string) (common.Address, error) {
	digits := strings.TrimPrefix(id, "0x")
	if len(digits) == 2*idLength+2 {
		digits = strings.TrimPrefix(digits, "04")
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != idLength {
		return common.Address{}, fmt.Errorf("the id of a node is %d hex digits", 2*idLength)
	}
	public, err := crypto.UnmarshalPubkey(append([]byte{4}, raw...))
	if err != nil {
		return common.Address{}, fmt.Errorf("the id of a node is no public key: %w", err)
	}
	return crypto.PubkeyToAddress(*public), nil
}

// StaticNodes is the text of static-nodes.json.
func StaticNodes(enodes []string) ([]byte, error) {
	if enodes == nil {
		enodes = []string{}
	}
	text, err := json.MarshalIndent(enodes, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write static nodes: %w", err)
	}
	return append(text, '\n'), nil
}

// ParseStaticNodes reads static-nodes.json.
func ParseStaticNodes(text []byte) ([]string, error) {
	var enodes []string
	if err := json.Unmarshal(text, &enodes); err != nil {
		return nil, fmt.Errorf("read static nodes: %w", err)
	}
	return enodes, nil
}
