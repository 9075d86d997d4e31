package e2e

import (
	"crypto/ecdsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/signing/awskms/kmstest"
	"github.com/slipwayhq/slipway/internal/signing/vault/vaulttest"
)

// keySystem is the real signer with a key in Vault, one in KMS and one of its own.
type keySystem struct {
	client    *http.Client
	chain     string
	signer    *program
	vault     *vaulttest.Server
	kms       *kmstest.Server
	tokenFile string
	// between is what stands before Vault; nil lets everything through.
	between atomic.Pointer[http.HandlerFunc]

	own, inVault, inKMS common.Address
	accepted            map[common.Address][]string // ids
}

func startKeySystem(t *testing.T) *keySystem {
	t.Helper()
	s := &keySystem{client: newClient(), vault: vaultProgram.Start(t), kms: kmstest.New(t), own: common.HexToAddress(alice), accepted: map[common.Address][]string{}}
	t.Cleanup(s.client.CloseIdleConnections)
	key, err := crypto.GenerateKey()
	require.NoError(t, err)
	s.inVault, s.inKMS = crypto.PubkeyToAddress(key.PublicKey), crypto.PubkeyToAddress(s.kms.Key.PublicKey)
	s.vault.Mount(t, "quorum", "digest")
	s.vault.Do(t, "POST", "quorum/keys/import", map[string]any{"id": "one", "private_key": base64.URLEncoding.EncodeToString(crypto.FromECDSA(key))})
	s.vault.Policy(t, "signer", `path "quorum/*" { capabilities = ["read", "update", "create"] }`)
	s.tokenFile = filepath.Join(t.TempDir(), "token")
	s.newToken(t, "1h")

	target, err := url.Parse(s.vault.Address)
	require.NoError(t, err)
	through := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handle := s.between.Load(); handle != nil {
			(*handle)(w, r)
			return
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)

	alloc := map[common.Address]*big.Int{}
	for _, a := range []common.Address{s.own, s.inVault, s.inKMS} {
		alloc[a] = new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)
	}
	chain, err := devnet.New(devnet.Config{ChainID: chainID, BlockTime: 200 * time.Millisecond, Alloc: alloc, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	lifecycletest.Start(t, chain.Run)
	s.chain = chain.HTTPURL()
	s.signer = newProgram(t, "signer", map[string]any{
		"dev": true, "gatewayUrl": s.chain, "databaseUrl": pgtest.DSN(t), "databaseConns": 8, "drainTimeout": "1s",
		"keys": map[string]any{"mnemonic": phrase, "accounts": 1, "sources": []any{
			map[string]any{"id": "vault", "kind": "vault-digest", "vault": map[string]any{"address": front.URL, "timeout": "1s", "auth": map[string]any{"method": "tokenFile", "tokenFile": s.tokenFile}}, "digest": map[string]any{"keys": []string{"one"}}},
			map[string]any{"id": "kms", "kind": "awskms", "awskms": map[string]any{"keyId": kmstest.Alias, "region": kmstest.Region, "endpoint": s.kms.URL, "timeout": "2s"}},
		}},
		"queue": map[string]any{"chainId": chainID, "headPoll": "50ms", "leaseTtl": "2s"},
	})
	s.signer.env = []string{
		"AWS_ACCESS_KEY_ID=" + kmstest.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + kmstest.SecretAccessKey,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
	}
	s.signer.serve(t)
	require.Eventually(t, func() bool {
		r, err := ask(t, s.client, "GET", s.signer.url+"/v1/senders", "")
		return err == nil && strings.Count(r.body, `"address"`) == 3
	}, patience, 50*time.Millisecond)
	return s
}

func (s *keySystem) newToken(t *testing.T, ttl string) {
	t.Helper()
	name := s.tokenFile + ".new"
	require.NoError(t, os.WriteFile(name, []byte(s.vault.NewToken(t, "signer", ttl)), 0o600))
	require.NoError(t, os.Rename(name, s.tokenFile)) // as those do that keep such files
}

// accept asks for a transaction, which must be accepted whatever its key does.
func (s *keySystem) accept(t *testing.T, from common.Address) string {
	t.Helper()
	r, err := ask(t, s.client, "POST", s.signer.url+"/v1/transactions", `{"from":"`+from.Hex()+`","to":"`+bob+`"}`)
	require.NoError(t, err)
	require.Equal(t, 202, r.status, r.body)
	var tx struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(r.body), &tx))
	s.accepted[from] = append(s.accepted[from], tx.ID)
	return tx.ID
}

// until waits until what is read at a path contains a text.
func (s *keySystem) until(t *testing.T, path, text string) {
	t.Helper()
	var r reply
	require.Eventually(t, func() bool {
		var err error
		r, err = ask(t, s.client, "GET", s.signer.url+path, "")
		return err == nil && strings.Contains(r.body, text)
	}, patience, 50*time.Millisecond, "%s has not %s: %s", path, text, &r.body)
}

// judge wants everything that was accepted to be executed, once: as many
// transactions as were accepted, each with a hash and a nonce of its own.
func (s *keySystem) judge(t *testing.T) {
	t.Helper()
	for sender, ids := range s.accepted {
		hashes := map[string]bool{}
		for _, id := range ids {
			s.until(t, "/v1/transactions/"+id, `"status":"confirmed"`)
			r, err := ask(t, s.client, "GET", s.signer.url+"/v1/transactions/"+id, "")
			require.NoError(t, err)
			var tx struct{ Hash string }
			require.NoError(t, json.Unmarshal([]byte(r.body), &tx))
			hashes[tx.Hash] = true
		}
		require.Len(t, hashes, len(ids))
		r, err := ask(t, s.client, "POST", s.chain, `{"jsonrpc":"2.0","id":1,"method":"eth_getTransactionCount","params":["`+sender.Hex()+`","latest"]}`, "Content-Type", "application/json")
		require.NoError(t, err)
		require.Contains(t, r.body, fmt.Sprintf(`"result":"0x%x"`, len(ids)), sender)
	}
}

// keyFault is what a key service does, and how it stops doing it.
type keyFault struct {
	name        string
	start, stop func(t *testing.T)
	isPermanent bool // somebody has to resume the sender
}

// endure lets a fault last while transactions are accepted: those of the key wait
// and say why, or their sender is paused; those of another key are mined.
func (s *keySystem) endure(t *testing.T, sender common.Address, f keyFault) {
	t.Helper()
	f.start(t)
	first := s.accept(t, sender)
	if f.isPermanent {
		s.until(t, "/v1/senders/"+sender.Hex(), `"state":"paused"`)
	} else {
		s.until(t, "/v1/transactions/"+first, `"substatus":"signer_unavailable"`)
	}
	s.accept(t, sender)
	s.until(t, "/v1/transactions/"+s.accept(t, s.own), `"status":"confirmed"`)
	r, err := ask(t, s.client, "GET", s.signer.url+"/v1/transactions/"+first, "")
	require.NoError(t, err)
	require.Contains(t, r.body, `"status":"queued"`)
	if !f.isPermanent {
		r, err = ask(t, s.client, "GET", s.signer.url+"/v1/senders/"+sender.Hex(), "")
		require.NoError(t, err)
		require.Contains(t, r.body, `"state":"active"`)
	}
	f.stop(t)
	if f.isPermanent {
		r, err := ask(t, s.client, "POST", s.signer.url+"/v1/senders/"+sender.Hex()+"/resume", "")
		require.NoError(t, err)
		require.Equal(t, 200, r.status, r.body)
	}
	for _, id := range s.accepted[sender] {
		s.until(t, "/v1/transactions/"+id, `"status":"confirmed"`)
	}
}

// kmsFaults are those of KMS.
func (s *keySystem) kmsFaults(t *testing.T) []keyFault {
	t.Helper()
	refuse := func(code string) keyFault {
		return keyFault{
			name:  code,
			start: func(*testing.T) { s.kms.Set(func() { s.kms.Refusal = code }) },
			stop:  func(*testing.T) { s.kms.Set(func() { s.kms.Refusal = "" }) },
		}
	}
	deface := func(name string, how func([]byte) []byte) keyFault {
		return keyFault{
			name: name, isPermanent: true,
			start: func(*testing.T) { s.kms.Set(func() { s.kms.Deface = how }) },
			stop:  func(*testing.T) { s.kms.Set(func() { s.kms.Deface = nil }) },
		}
	}
	state := func(name string) keyFault {
		return keyFault{
			name: name, isPermanent: true,
			start: func(*testing.T) { s.kms.Set(func() { s.kms.State = name }) },
			stop:  func(*testing.T) { s.kms.Set(func() { s.kms.State = "Enabled" }) },
		}
	}
	var resume func()
	other, err := crypto.GenerateKey()
	require.NoError(t, err)
	return []keyFault{
		refuse("ThrottlingException"), refuse("KMSInternalException"), refuse("KeyUnavailableException"), refuse("DependencyTimeoutException"),
		{name: "hangs", start: func(*testing.T) { resume = s.kms.Outage() }, stop: func(*testing.T) { resume() }},
		state("Disabled"), state("PendingDeletion"),
		deface("another key's signature", func([]byte) []byte { return derOf(t, other) }),
		deface("no DER", func(der []byte) []byte { return append([]byte{0x31}, der[1:]...) }),
		deface("half of it", func(der []byte) []byte { return der[:len(der)/2] }),
		deface("text behind it", func(der []byte) []byte { return append(der, 0) }),
		deface("nothing", func([]byte) []byte { return nil }),
		deface("zeros", func([]byte) []byte { return []byte{0x30, 6, 2, 1, 0, 2, 1, 0} }),
	}
}

// derOf is a signature of something by a key.
func derOf(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	sig, err := crypto.Sign(make([]byte, 32), key)
	require.NoError(t, err)
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64])})
	require.NoError(t, err)
	return der
}

// vaultFaults are those of Vault, by itself and by what stands before it.
func (s *keySystem) vaultFaults(t *testing.T) []keyFault {
	t.Helper()
	answer := func(name string, status int, body string) keyFault {
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		})
		return keyFault{name: name, start: func(*testing.T) { s.between.Store(&handler) }, stop: func(*testing.T) { s.between.Store(nil) }}
	}
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then it is noticed that the client leaves
		<-r.Context().Done()
	})
	cut := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	wrong := answer("another key's signature", 200, `{"data":{"signature":"`+base64.URLEncoding.EncodeToString(make([]byte, 64))+`"}}`)
	wrong.isPermanent = true
	return []keyFault{
		{name: "sealed", start: s.vault.Seal, stop: s.vault.Unseal},
		answer("standby", 503, `{"errors":["Vault is in standby mode"]}`),
		answer("too many requests", 429, `{"errors":["request path \"quorum\": rate limit quota exceeded"]}`),
		answer("broken", 500, `{"errors":["internal error"]}`),
		answer("a proxy's page", 502, `<html>bad gateway</html>`),
		{name: "hangs", start: func(*testing.T) { s.between.Store(&hang) }, stop: func(*testing.T) { s.between.Store(nil) }},
		{name: "cuts", start: func(*testing.T) { s.between.Store(&cut) }, stop: func(*testing.T) { s.between.Store(nil) }},
		{
			name: "the token ends",
			start: func(t *testing.T) {
				t.Helper()
				s.vault.Do(t, "POST", "auth/token/revoke", map[string]any{"token": s.token(t)})
			},
			stop: func(t *testing.T) { t.Helper(); s.newToken(t, "1h") },
		},
		wrong,
	}
}

func (s *keySystem) token(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(s.tokenFile)
	require.NoError(t, err)
	return string(text)
}

// Whatever a key service does to the running program: transactions of its key are
// accepted and wait, those of others go on, and all are executed once when it is
// over.
func TestKeyServices_FaultsAreEndured(t *testing.T) { //nolint:tparallel // one fault after the other
	t.Parallel()
	s := startKeySystem(t)
	for sender, faults := range map[common.Address][]keyFault{s.inKMS: s.kmsFaults(t), s.inVault: s.vaultFaults(t)} { //nolint:paralleltest // see above
		for _, f := range faults {
			service := "KMS"
			if sender == s.inVault {
				service = "Vault"
			}
			t.Run(service+" "+f.name, func(t *testing.T) {
				start := time.Now()
				s.endure(t, sender, f)
				t.Logf("%s", time.Since(start).Round(10*time.Millisecond))
			})
		}
	}
	s.judge(t)
	require.False(t, s.signer.hasEnded())
}
