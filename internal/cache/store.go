package cache

import (
	"context"
	"strings"

	"github.com/slipwayhq/slipway/internal/methods"
)

// Store keeps entries where a plan allows it. Its methods may be called from
// anywhere. Get and Set return no errors: what goes wrong is a miss, or an entry
// that is not kept.
type Store interface {
	Get(ctx context.Context, key Key, plan Plan) (Entry, bool)
	Set(ctx context.Context, key Key, entry Entry, plan Plan)
	// Delete removes an entry that turned out to be wrong.
	Delete(ctx context.Context, key Key)
	// Purge removes what a selector means, and says how many entries that were.
	Purge(ctx context.Context, s Selector) (int, error)
}

// Selector chooses entries to remove; what is left out means all.
type Selector struct {
	// Project chooses the entries of a project. Without a cache of its own for
	// each project, entries belong to none, and every project's go.
	Project string
	// Network is the network as in policies, such as "evm:31337".
	Network string
	// Method is a pattern of methods.
	Method methods.Pattern
}

// matches says whether the selector means the entry of a key.
func (s Selector) matches(key Key) bool {
	project, rest := key.project()
	if s.Project != "" && project != "" && project != s.Project {
		return false
	}
	network, rest, _ := cutNetwork(rest)
	_, rest, _ = strings.Cut(rest, ":") // the genesis block
	method, _, _ := strings.Cut(rest, ":")
	return (s.Network == "" || s.Network == network) && means(s.Method, method)
}

// cutNetwork splits "evm:1:rest".
func cutNetwork(text string) (network, rest string, ok bool) {
	first := strings.IndexByte(text, ':')
	second := strings.IndexByte(text[first+1:], ':')
	if first < 0 || second < 0 {
		return "", "", false
	}
	return text[:first+1+second], text[first+second+2:], true
}
