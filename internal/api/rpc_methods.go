package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// caller is what a connection or a request says besides its calls.
type caller struct {
	key   string // idempotency key
	proof proof
}

func callerOf(h http.Header) caller {
	c := caller{key: h.Get("Idempotency-Key"), proof: proofOf(h)}
	if c.key == "" {
		c.key = h.Get("X-Idempotency-Key")
	}
	return c
}

// method answers one call; the result is marshalled.
type method func(ctx context.Context, params []byte, who caller) (any, error)

// methods are the calls that need this process, but for eth_sendTransaction,
// which is answered in two steps. All others go to the gateway.
func (s *server) methodTable() map[string]method {
	return map[string]method{
		"eth_accounts":         s.accounts,
		"eth_sign":             s.ethSign,
		"personal_sign":        s.personalSign,
		"eth_signTransaction":  s.signTransaction,
		"eth_signTypedData":    s.signTypedData,
		"eth_signTypedData_v3": s.signTypedData,
		"eth_signTypedData_v4": s.signTypedData,

		"user_createWallet":                       s.createWallet,
		"user_walletVerifications":                s.walletVerifications,
		"user_createWalletVerification":           s.createVerification,
		"user_deleteWalletVerification":           s.deleteVerification,
		"user_createWalletVerificationChallenge":  s.createChallenge,
		"user_createWalletVerificationChallenges": s.createChallenges,
		"user_verifyWalletVerificationChallenge":  s.verifyChallenge,
	}
}

const sendTransaction = "eth_sendTransaction"

// isOurs says whether a method needs this process, or is refused by it.
func (s *server) isOurs(name string) bool {
	return name == sendTransaction || s.methods[name] != nil || s.isClosed(name)
}

// closedNamespaces are those with which nodes are operated, and hold keys of their own:
// callers who may read are no operators of the node behind.
func closedNamespaces() []string {
	return []string{"admin", "debug", "engine", "miner", "perm", "personal"}
}

// isClosed says whether a method is neither answered here nor passed on.
func (s *server) isClosed(name string) bool {
	namespace, _, found := strings.Cut(name, "_")
	if !found || s.methods[name] != nil || !slices.Contains(closedNamespaces(), namespace) {
		return false
	}
	return !slices.ContainsFunc(s.cfg.ForwardMethods, func(allowed string) bool {
		beginning, isBeginning := strings.CutSuffix(allowed, "*")
		return name == allowed || isBeginning && strings.HasPrefix(name, beginning)
	})
}

// errClosed says that a method is closed, in geth's words.
func errClosed(method string) *jsonrpc.Error {
	const most = 64
	return jsonrpc.NewError(jsonrpc.CodeMethodNotFound, "the method "+strings.ToValidUTF8(method[:min(len(method), most)], "")+" does not exist/is not available")
}

// madeAccounts are the tenant's wallets and the keys that key services made for it.
func (s *server) madeAccounts(ctx context.Context) (list []common.Address, err error) {
	if s.wallets != nil {
		if list, err = s.wallets.Addresses(ctx, tenant(ctx)); err != nil {
			return nil, err
		}
	}
	made, err := s.madeIn(ctx, tenant(ctx))
	for _, k := range made {
		list = append(list, k.Address)
	}
	return list, err
}

// accounts lists the signer's own accounts and then those that were made for the tenant.
func (s *server) accounts(ctx context.Context, _ []byte, _ caller) (any, error) {
	list := slices.Clone(s.queue.Accounts())
	made, err := s.madeAccounts(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[common.Address]bool, len(list))
	for _, a := range list {
		known[a] = true
	}
	for _, a := range made {
		if !known[a] {
			list = append(list, a)
		}
	}
	usable, err := s.usable(ctx, list...)
	if err != nil {
		return nil, err
	}
	out := []string{}
	for _, a := range list {
		if usable[a] {
			out = append(out, a.Hex())
		}
	}
	return out, nil
}

// param reads one parameter into a value; what is missing or of another type
// is named by its place.
func param(params []byte, n int, name string, into any) error {
	text := jsonrpc.Element(params, n)
	if text == nil || string(text) == "null" {
		return invalid("missing value for required argument " + argument(n, name))
	}
	if err := json.Unmarshal(text, into); err != nil {
		return invalid("invalid argument " + argument(n, name) + ": " + decodeDetail(err))
	}
	return nil
}

func argument(n int, name string) string { return string(rune('0'+n)) + " (" + name + ")" }

// addressParam reads an account.
func addressParam(params []byte, n int) (common.Address, error) {
	var text string
	if err := param(params, n, "address", &text); err != nil {
		return common.Address{}, err
	}
	return address("address", text)
}

// isObject says whether a parameter is a JSON object.
func isObject(text []byte) bool { return bytes.HasPrefix(text, []byte{'{'}) }
