package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/signing/awskms/kmstest"
	"github.com/slipwayhq/slipway/internal/signing/vault/vaulttest"
)

var vaultProgram vaulttest.Builder //nolint:gochecknoglobals // built once for all tests

// hoard holds what must be found nowhere, by what it is.
type hoard struct {
	mu      sync.Mutex
	secrets map[string][]byte
}

func (h *hoard) add(name string, value []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets[name] = bytes.Clone(value)
}

// text makes a new secret of letters and digits.
func (h *hoard) text(name string) string {
	raw := make([]byte, 20)
	_, _ = rand.Read(raw)
	value := "Zq" + hex.EncodeToString(raw)
	h.add(name, []byte(value))
	return value
}

// forms are the ways in which a secret may be written.
func forms(value []byte) [][]byte {
	text := string(value)
	lower := hex.EncodeToString(value)
	out := []string{
		text, lower, strings.ToUpper(lower), url.QueryEscape(text), url.PathEscape(text), fmt.Sprintf("%d", value), fmt.Sprintf("%q", text), new(big.Int).SetBytes(value).String(),
		// Without what stands at the end: in the middle of a longer text it is written otherwise.
		strings.TrimRight(base64.StdEncoding.EncodeToString(value), "=")[:len(value)], strings.TrimRight(base64.URLEncoding.EncodeToString(value), "=")[:len(value)],
	}
	if raw, err := hex.DecodeString(text); err == nil && len(raw) >= 16 { // it is a text of hex itself
		out = append(out, string(raw), strings.ToUpper(text), base64.StdEncoding.EncodeToString(raw), new(big.Int).SetBytes(raw).String(), fmt.Sprintf("%d", raw))
	}
	if words := strings.Fields(text); len(words) >= 12 { // of a mnemonic three words are too many
		for i := range len(words) - 2 {
			out = append(out, strings.Join(words[i:i+3], " "))
		}
	}
	forms := make([][]byte, len(out))
	for i := range out {
		forms[i] = []byte(out[i])
	}
	return forms
}

// search says which secrets are in a text, without showing them.
func (h *hoard) search(where string, text []byte) (found []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, value := range h.secrets {
		for _, form := range forms(value) {
			if at := bytes.Index(text, form); at >= 0 {
				from, to := max(0, at-160), min(len(text), at+len(form)+40)
				found = append(found, fmt.Sprintf("%s: %s near %q", where, name, bytes.ReplaceAll(text[from:to], form, []byte("<HERE>"))))
				break
			}
		}
	}
	return found
}

// collector keeps what is sent to it: the traces of a program, or its webhooks.
type collector struct {
	*httptest.Server
	mu   sync.Mutex
	seen bytes.Buffer
	n    int
}

func newCollector(t *testing.T, withHeader bool) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			if unpacked, err := gzip.NewReader(r.Body); err == nil {
				body = unpacked
			}
		}
		text, _ := io.ReadAll(body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n++
		c.seen.Write(text)
		if withHeader {
			_ = r.Header.Write(&c.seen)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) text() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.seen.Bytes())
}

func (c *collector) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// privateKeys derives what a mnemonic holds (BIP-32), independently of the signer.
func privateKeys(t *testing.T, mnemonic, passphrase string, n uint32) (out []*ecdsa.PrivateKey) {
	t.Helper()
	order := crypto.S256().Params().N
	extend := func(key, data []byte, parent *big.Int) (*big.Int, []byte) {
		mac := hmac.New(sha512.New, key)
		mac.Write(data)
		sum := mac.Sum(nil)
		k := new(big.Int).SetBytes(sum[:32])
		return k.Mod(k.Add(k, parent), order), sum[32:]
	}
	key, chain := extend([]byte("Bitcoin seed"), bip39.NewSeed(mnemonic, passphrase), new(big.Int))
	child := func(key *big.Int, chain []byte, index uint32) (*big.Int, []byte) {
		data := append([]byte{0}, key.FillBytes(make([]byte, 32))...)
		if index < 1<<31 {
			private, err := crypto.ToECDSA(data[1:])
			require.NoError(t, err)
			data = crypto.CompressPubkey(&private.PublicKey)
		}
		return extend(chain, binary.BigEndian.AppendUint32(data, index), key)
	}
	for _, index := range []uint32{44 | 1<<31, 60 | 1<<31, 1 << 31, 0} {
		key, chain = child(key, chain, index)
	}
	for i := range n {
		k, _ := child(key, chain, i)
		private, err := crypto.ToECDSA(k.FillBytes(make([]byte, 32)))
		require.NoError(t, err)
		out = append(out, private)
	}
	return out
}

// secretSystem is both programs with secrets of every kind.
type secretSystem struct {
	*hoard
	client          *http.Client
	gateway, signer *program
	dsn             string // with the password
	traces, hooks   *collector
	senders         []common.Address
	answers         bytes.Buffer // to clients, but for those that show a secret once
	idp             *ecdsa.PrivateKey
	key             string
	config          map[string]any
}

func (s *secretSystem) ask(t *testing.T, base, method, path, body string, header ...string) reply {
	t.Helper()
	r, err := ask(t, s.client, method, base+path, body, header...)
	require.NoError(t, err)
	fmt.Fprintf(&s.answers, "%d %v\n%s\n", r.status, r.header, r.body)
	return r
}

// call makes a call of JSON-RPC with the API key.
func (s *secretSystem) call(t *testing.T, method, params string) reply {
	t.Helper()
	return s.ask(t, s.signer.url, "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`, "X-Api-Key", s.key)
}

// shown is an answer that shows secrets once, to whom they belong: it is not
// collected, and what it shows must not be seen again.
func (s *secretSystem) shown(t *testing.T, path, body string) []byte {
	t.Helper()
	r, err := ask(t, s.client, "POST", s.signer.url+path, body, "X-Api-Key", s.key)
	require.NoError(t, err)
	require.Less(t, r.status, 300, r.body)
	return []byte(r.body)
}

func startSecretSystem(t *testing.T) *secretSystem {
	t.Helper()
	s := &secretSystem{hoard: &hoard{secrets: map[string][]byte{}}, client: newClient(), traces: newCollector(t, false), hooks: newCollector(t, true)}
	t.Cleanup(s.client.CloseIdleConnections)

	entropy, err := bip39.NewEntropy(256)
	require.NoError(t, err)
	mnemonic, err := bip39.NewMnemonic(entropy)
	require.NoError(t, err)
	s.add("mnemonic", []byte(mnemonic))
	passphrase := s.text("passphrase of the mnemonic")
	s.add("seed", bip39.NewSeed(mnemonic, passphrase))
	for i, key := range privateKeys(t, mnemonic, passphrase, 4) {
		s.add(fmt.Sprintf("derived key %d", i), crypto.FromECDSA(key))
		s.senders = append(s.senders, crypto.PubkeyToAddress(key.PublicKey))
	}
	raw, err := crypto.GenerateKey()
	require.NoError(t, err)
	s.add("raw key", crypto.FromECDSA(raw))
	inVault, err := crypto.GenerateKey()
	require.NoError(t, err)
	s.add("key in Vault", crypto.FromECDSA(inVault))
	s.senders = append(s.senders, crypto.PubkeyToAddress(raw.PublicKey), crypto.PubkeyToAddress(inVault.PublicKey))
	s.idp, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)

	vault := vaultProgram.Start(t)
	vault.Mount(t, "quorum", "digest")
	vault.Do(t, "POST", "quorum/keys/import", map[string]any{"id": "one", "private_key": base64.URLEncoding.EncodeToString(crypto.FromECDSA(inVault))})
	vault.Policy(t, "signer", `path "quorum/*" { capabilities = ["read", "update", "create"] }`)
	token := vault.NewToken(t, "signer", "1h")
	s.add("token of Vault", []byte(token))
	s.add("root token of Vault", []byte(vault.Token))
	kms := kmstest.New(t)
	secretAccessKey := s.text("secret access key of AWS")
	sessionToken := s.text("session token of AWS")
	kms.Set(func() { kms.Creds.SecretAccessKey, kms.Creds.SessionToken = secretAccessKey, sessionToken })
	s.senders = append(s.senders, crypto.PubkeyToAddress(kms.Key.PublicKey))

	s.startGateway(t)
	s.dsn = s.database(t)
	keyFile := filepath.Join(t.TempDir(), "raw.key")
	require.NoError(t, os.WriteFile(keyFile, []byte(hex.EncodeToString(crypto.FromECDSA(raw))), 0o600))
	encryption := make([]byte, 32)
	_, _ = rand.Read(encryption)
	s.add("encryption key", encryption)
	s.config = map[string]any{
		"logLevel": "debug", "gatewayUrl": s.gateway.url + fmt.Sprintf("/main/evm/%d?secret=", chainID) + string(s.secrets["secret of the gateway"]),
		"databaseUrl": s.dsn, "databaseConns": 8, "drainTimeout": "1s",
		"access": map[string]any{"apiKeys": true, "issuers": []any{map[string]any{
			"name": "corp", "issuer": "https://idp", "audience": "signer", "tenant": "default", "roles": []string{"read", "submit"}, "algorithms": []string{"ES256"},
			"keys": map[string]any{"k": s.publicPEM(t)},
		}}},
		"policy": map[string]any{"rules": []any{map[string]any{"id": "all", "effect": "allow"}, map[string]any{"id": "none-to-zero", "effect": "deny", "recipients": []string{"0x0000000000000000000000000000000000000001"}}}},
		"keys": map[string]any{"mnemonic": mnemonic, "passphrase": passphrase, "accounts": 2, "sources": []any{
			map[string]any{"id": "raw", "kind": "raw", "raw": map[string]any{"developmentOnly": true, "keyFile": keyFile}},
			map[string]any{"id": "vault", "kind": "vault-digest", "vault": map[string]any{"address": vault.Address, "auth": map[string]any{"method": "token", "token": token}}, "digest": map[string]any{"keys": []string{"one"}}},
			map[string]any{"id": "kms", "kind": "awskms", "awskms": map[string]any{"keyId": kmstest.Alias, "region": kmstest.Region, "endpoint": kms.URL}},
		}},
		"wallets":  map[string]any{"encryptionKey": hex.EncodeToString(encryption)},
		"queue":    map[string]any{"chainId": chainID, "headPoll": "50ms"},
		"api":      map[string]any{"sendWait": "3s", "hasuraSecret": s.text("secret of Hasura's actions")},
		"webhooks": map[string]any{"allowHttp": true, "allowNetworks": []string{"127.0.0.0/8"}},
	}
	s.signer = newProgram(t, "signer", s.config)
	s.signer.env = []string{
		"GOTRACEBACK=all", "AWS_ACCESS_KEY_ID=" + kmstest.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + secretAccessKey, "AWS_SESSION_TOKEN=" + sessionToken,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
	}
	s.signer.serve(t)
	s.key = s.signer.makeKey(t, "read,submit,sign,approve,operate")
	s.add("API key", []byte(s.key[strings.LastIndex(s.key[:22], "_")+1:]))
	return s
}

func (s *secretSystem) publicPEM(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&s.idp.PublicKey)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// token makes a JWT. Of a token the signature is the secret: the rest is known.
func (s *secretSystem) token(t *testing.T, name string, until time.Duration) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": "https://idp", "aud": "signer", "sub": "somebody", "exp": time.Now().Add(until).Unix()})
	token.Header["kid"] = "k"
	text, err := token.SignedString(s.idp)
	require.NoError(t, err)
	s.add(name, []byte(text[strings.LastIndex(text, ".")+1:]))
	return text
}

// database is one whose role has a password.
func (s *secretSystem) database(t *testing.T) string {
	t.Helper()
	dsn := pgtest.DSN(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	password := s.text("password of the database")
	role := "role_" + strings.ToLower(password[2:12])
	_, err = conn.Exec(t.Context(), "CREATE ROLE "+role+" LOGIN SUPERUSER PASSWORD '"+password+"'")
	require.NoError(t, err)
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), dsn)
		require.NoError(t, err)
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.Exec(context.Background(), "REASSIGN OWNED BY "+role+" TO CURRENT_USER; DROP OWNED BY "+role+"; DROP ROLE "+role)
		require.NoError(t, err)
	})
	parsed, err := url.Parse(dsn)
	require.NoError(t, err)
	parsed.User = url.UserPassword(role, password)
	return parsed.String()
}

// startGateway starts the gateway before a node whose URL has a key, and one that
// is away.
func (s *secretSystem) startGateway(t *testing.T) {
	t.Helper()
	alloc := map[common.Address]*big.Int{}
	for _, a := range s.senders {
		alloc[a] = new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)
	}
	chain, err := devnet.New(devnet.Config{ChainID: chainID, BlockTime: 200 * time.Millisecond, Alloc: alloc, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	lifecycletest.Start(t, chain.Run)
	node, err := url.Parse(chain.HTTPURL())
	require.NoError(t, err)
	pathKey := s.text("key in the URL of a node")
	proxy := httputil.NewSingleHostReverseProxy(node)
	front := httptest.NewServer(http.StripPrefix("/v3/"+pathKey, proxy))
	t.Cleanup(front.Close)
	s.gateway = newProgram(t, "gateway", map[string]any{
		"logLevel": "debug",
		"tracing":  map[string]any{"enabled": true, "endpoint": s.traces.URL, "protocol": "http", "sampleRate": 1, "detailed": true, "headers": map[string]any{"authorization": "Bearer " + s.text("header of the collector")}},
		"admin":    map[string]any{"auth": map[string]any{"strategies": []any{map[string]any{"type": "secret", "secret": map[string]any{"id": "boss", "value": s.text("secret of operators")}}}}},
		"projects": []any{map[string]any{
			"id": "main",
			"auth": map[string]any{"strategies": []any{
				map[string]any{"type": "secret", "secret": map[string]any{"id": "signer", "value": s.text("secret of the gateway")}},
				map[string]any{"type": "jwt", "jwt": map[string]any{"allowedAlgorithms": []string{"HS256"}, "verificationKeys": map[string]any{"k": s.text("key of tokens of the gateway")}}},
			}},
			"networks": []any{map[string]any{"architecture": "evm", "evm": map[string]any{"chainId": chainID}}},
			"upstreams": []any{
				map[string]any{"id": "node", "endpoint": front.URL + "/v3/" + pathKey},
				map[string]any{"id": "away", "endpoint": "http://user:" + s.text("password in the URL of a node") + "@127.0.0.1:1/" + s.text("key in the URL of a node that is away")},
			},
		}},
	})
	s.gateway.env = []string{"GOTRACEBACK=all"}
	s.gateway.serve(t)
}

// use does everything that signs, shows, and fails.
func (s *secretSystem) use(t *testing.T) {
	t.Helper()
	key := []string{"X-Api-Key", s.key}
	v1 := s.signer.url + "/v1"

	// Callers who are not let in, with what is nearly right.
	old := s.token(t, "expired token", -time.Hour)
	for _, header := range [][]string{
		{}, {"X-Api-Key", s.key + "x"}, {"X-Api-Key", s.key[:len(s.key)-1]}, {"Authorization", "Bearer " + old}, {"Authorization", "Bearer " + s.key + ".x.y"}, {"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+s.key))},
	} {
		require.Equal(t, 401, s.ask(t, v1, "GET", "/senders", "", header...).status, header)
	}
	require.Equal(t, 401, s.ask(t, s.gateway.url, "POST", fmt.Sprintf("/main/evm/%d?secret=x%s", chainID, s.secrets["secret of the gateway"]), `{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}`).status)
	s.ask(t, s.gateway.url, "POST", "/admin?secret="+string(s.secrets["secret of operators"]), `{"jsonrpc":"2.0","id":1,"method":"erpc_config","params":[]}`)
	s.ask(t, s.gateway.url, "POST", "/admin?secret=x"+string(s.secrets["secret of operators"]), `{"jsonrpc":"2.0","id":1,"method":"erpc_config","params":[]}`)
	require.Equal(t, 200, s.ask(t, v1, "GET", "/senders", "", "Authorization", "Bearer "+s.token(t, "token", time.Hour)).status)

	// A webhook, with a secret that is given and one that is made.
	var hook struct{ ID, Secret string }
	require.NoError(t, json.Unmarshal(s.shown(t, "/v1/webhooks", `{"url":"`+s.hooks.URL+`/`+"hook"+`"}`), &hook))
	s.add("secret of a webhook", []byte(hook.Secret))
	s.shown(t, "/v1/webhooks/"+hook.ID+"/secrets", `{"secret":"`+s.text("second secret of a webhook")+`"}`)

	// Every key signs and sends.
	for _, from := range s.senders[:2] {
		s.send(t, from)
	}
	for _, from := range s.senders[4:] {
		s.send(t, from)
	}
	from := s.senders[0].Hex()
	s.call(t, "personal_sign", `["0x01","`+from+`"]`)
	s.call(t, "eth_sign", `["`+from+`","0x`+strings.Repeat("11", 32)+`"]`)
	s.call(t, "eth_signTransaction", `[{"from":"`+from+`","to":"`+from+`","gas":"0x5208","gasPrice":"0x0","nonce":"0x0"}]`)
	require.Equal(t, 403, s.ask(t, v1, "POST", "/transactions", `{"from":"`+from+`","to":"0x0000000000000000000000000000000000000001"}`, key...).status)

	// A wallet with a PIN, one-time passwords and codes.
	var made struct{ Result []struct{ Address string } }
	require.NoError(t, json.Unmarshal([]byte(s.call(t, "user_createWallet", `["v",{"name":"w"}]`).body), &made))
	wallet := made.Result[0].Address
	pin := "Zp" + s.text("PIN")[:20]
	s.add("PIN", []byte(pin))
	var verified struct {
		Result []struct {
			ID         string
			Parameters map[string]string
		}
	}
	for _, info := range []string{`{"name":"p","verificationType":"PINCODE","pincode":"` + pin + `"}`, `{"name":"o","verificationType":"OTP","issuer":"i"}`, `{"name":"c","verificationType":"SECRET_CODES"}`} {
		require.NoError(t, json.Unmarshal(s.shown(t, "/", `{"jsonrpc":"2.0","id":1,"method":"user_createWalletVerification","params":["`+wallet+`",`+info+`]}`), &verified))
		require.NotEmpty(t, verified.Result, info)
		for name, value := range verified.Result[0].Parameters {
			for _, part := range strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ' ' }) {
				if u, err := url.Parse(part); err == nil && u.Query().Get("secret") != "" {
					part = u.Query().Get("secret")
				}
				if len(part) >= 8 && name != "algorithm" {
					s.add(info[9:10]+": "+name+" "+fmt.Sprint(len(s.secrets)), []byte(part))
				}
			}
		}
		s.call(t, "user_createWalletVerificationChallenges", `[{"userWalletAddress":"`+wallet+`","amount":1}]`)
		s.call(t, "user_verifyWalletVerificationChallenge", `["`+wallet+`","`+pin+`"]`)
		s.call(t, "user_createWalletVerification", `["`+wallet+`",{"name":"p","verificationType":"`+pin+`","pincode":"`+pin+`"}]`)
		s.ask(t, v1, "POST", "/transactions", `{"from":"`+wallet+`","to":"`+from+`"}`, "X-Api-Key", s.key, "X-Auth-Challenge-Response", pin, "X-Auth-Challenge-Id", none)
	}
	s.ask(t, s.signer.url, "POST", "/hasura/actions/sendTransaction", `{}`, "X-Api-Key", s.key, "X-Slipway-Action-Secret", string(s.secrets["secret of Hasura's actions"])+"x")
	// A caller's own secrets in places where they do not belong.
	s.ask(t, v1, "POST", "/transactions", `{"from":"`+s.key+`"}`, key...)
	s.ask(t, v1, "POST", "/webhooks", `{"url":"http://user:`+string(s.secrets["second secret of a webhook"])+`@127.0.0.1:1/x"}`, key...)
	s.ask(t, v1, "POST", "/webhooks", `{"url":"`+s.hooks.URL+`","secret":["`+string(s.secrets["second secret of a webhook"])+`"]}`, key...)
	for _, path := range []string{"/keys", "/wallets", "/senders", "/transactions?limit=500", "/audit?limit=500", "/api-keys", "/webhooks", "/approvals", "/webhooks/" + hook.ID + "/deliveries"} {
		require.Equal(t, 200, s.ask(t, v1, "GET", path, "", key...).status, path)
	}
	require.Eventually(t, func() bool { return s.hooks.count() >= 10 && s.traces.count() > 0 }, patience, 50*time.Millisecond)
	for _, p := range []*program{s.signer, s.gateway} {
		for _, path := range []string{"/metrics", "/livez", "/readyz", "/healthcheck", "/"} {
			s.ask(t, p.admin, "GET", path, "")
		}
	}
}

func (s *secretSystem) send(t *testing.T, from common.Address) {
	t.Helper()
	r := s.ask(t, s.signer.url, "POST", "/v1/transactions?wait=mined&timeout=30", `{"from":"`+from.Hex()+`","to":"`+from.Hex()+`"}`, "X-Api-Key", s.key)
	require.Equal(t, 201, r.status, r.body)
	require.Regexp(t, `"status":"(mined|confirmed)"`, r.body)
}

// inside follows names and places into a configuration.
func inside(node any, way ...any) map[string]any {
	for _, step := range way {
		switch v := node.(type) {
		case map[string]any:
			name, _ := step.(string)
			node = v[name]
		case []any:
			i, _ := step.(int)
			node = v[i]
		}
	}
	out, _ := node.(map[string]any)
	return out
}

// failStarts starts the programs with everything that is nearly right.
func (s *secretSystem) failStarts(t *testing.T) {
	t.Helper()
	changed := func(change func(c map[string]any)) map[string]any {
		text, err := json.Marshal(s.config)
		require.NoError(t, err)
		var c map[string]any
		require.NoError(t, json.Unmarshal(text, &c))
		change(c)
		return c
	}
	keys := func(c map[string]any) map[string]any { return inside(c, "keys") }
	mnemonic := string(s.secrets["mnemonic"])
	password := string(s.secrets["password of the database"])
	bad := filepath.Join(t.TempDir(), "bad.key")
	require.NoError(t, os.WriteFile(bad, []byte(hex.EncodeToString(s.secrets["raw key"])+"zz"), 0o600))
	for name, c := range map[string]map[string]any{
		"wrong password": changed(func(c map[string]any) {
			c["databaseUrl"] = strings.Replace(s.dsn, password, password+"x", 1)
			c["databaseWait"] = "1s"
		}),
		"no URL": changed(func(c map[string]any) { c["databaseUrl"] = strings.Replace(s.dsn, "@", "@[", 1) }),
		"password in the host": changed(func(c map[string]any) {
			c["databaseUrl"] = "postgres://u@" + password + ".invalid:5432/x"
			c["databaseWait"] = "1s"
		}),
		"a word too few":       changed(func(c map[string]any) { keys(c)["mnemonic"] = mnemonic[:strings.LastIndex(mnemonic, " ")] }),
		"a word that is none":  changed(func(c map[string]any) { keys(c)["mnemonic"] = mnemonic + "x" }),
		"a mnemonic as a list": changed(func(c map[string]any) { keys(c)["mnemonic"] = strings.Fields(mnemonic) }),
		"a mnemonic as a name": changed(func(c map[string]any) { keys(c)[mnemonic] = 1 }),
		"a key file with more": changed(func(c map[string]any) {
			inside(c, "keys", "sources", 0, "raw")["keyFile"] = bad
		}),
		"a token of nobody": changed(func(c map[string]any) {
			inside(c, "keys", "sources", 1, "vault", "auth")["token"] = string(s.secrets["token of Vault"]) + "x"
		}),
		"a Vault that is away": changed(func(c map[string]any) {
			inside(c, "keys", "sources", 1, "vault")["address"] = "http://127.0.0.1:1"
		}),
		"a key of 31 bytes": changed(func(c map[string]any) {
			c["wallets"] = map[string]any{"encryptionKey": hex.EncodeToString(s.secrets["encryption key"][1:])}
		}),
		"a gateway of no URL": changed(func(c map[string]any) { c["gatewayUrl"] = "http://[" + string(s.secrets["secret of the gateway"]) }),
		"a gateway that is away": changed(func(c map[string]any) {
			c["gatewayUrl"] = "http://u:" + string(s.secrets["secret of the gateway"]) + "@127.0.0.1:1/x"
		}),
		"no algorithm": changed(func(c map[string]any) {
			inside(c, "access", "issuers", 0)["keys"] = map[string]any{"k": string(s.secrets["key of tokens of the gateway"])}
		}),
	} {
		s.signer.configure(t, c)
		s.signer.launch(t, "serve", "--config", s.signer.file, "--listen", strings.TrimPrefix(s.signer.url, "http://"), "--admin-listen", strings.TrimPrefix(s.signer.admin, "http://"))
		select {
		case <-s.signer.done:
			require.NotZero(t, s.signer.cmd.ProcessState.ExitCode(), name)
		case <-time.After(4 * time.Second): // it waits for what is away, and says so
			s.signer.signal(syscall.SIGQUIT)
		}
	}
}

// rows is all that the database holds, as text.
func (s *secretSystem) rows(t *testing.T) []byte {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.dsn)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(tables), 10)
	var out bytes.Buffer
	for _, table := range tables {
		rows, err := conn.Query(t.Context(), "SELECT t::text FROM "+table+" t")
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		fmt.Fprintf(&out, "%s\n%s\n", table, strings.Join(lines, "\n"))
	}
	return out.Bytes()
}

// Both programs run with secrets of every kind, do everything, and fail in every
// way; of nothing that they write a secret, or a form of it, is a part.
func TestSecrets_AreNowhere(t *testing.T) {
	t.Parallel()
	s := startSecretSystem(t)
	s.use(t)
	found := s.search("database", s.rows(t))

	// What the programs leave when an operator looks, and when they crash.
	print := s.gateway.command(t, "print-config", "--config", s.gateway.file)
	require.NoError(t, print.Run())
	for _, p := range []*program{s.signer, s.gateway} {
		p.signal(syscall.SIGQUIT)
		require.Contains(t, p.written(t), "SIGQUIT: quit")
	}
	s.failStarts(t)

	for _, p := range []*program{s.signer, s.gateway} {
		text := p.written(t)
		found = append(found, s.search("output of the "+p.name, []byte(text))...)
	}
	found = append(found, s.search("answers", s.answers.Bytes())...)
	found = append(found, s.search("traces", s.traces.text())...)
	found = append(found, s.search("webhooks", s.hooks.text())...)
	require.Empty(t, found)
	t.Logf("%d secrets, %d forms of the first; %d bytes of output, %d of answers, %d of traces, %d of webhooks", len(s.secrets), len(forms(s.secrets["mnemonic"])), len(s.signer.written(t))+len(s.gateway.written(t)), s.answers.Len(), len(s.traces.text()), len(s.hooks.text()))
}

// The search would find them.
func TestSecrets_AreFoundInEveryForm(t *testing.T) {
	t.Parallel()
	raw := []byte("0123456789abcdef0123456789ABCDE\xff")
	h := &hoard{secrets: map[string][]byte{"raw": raw, "text": []byte("a+b/c d%e\"f"), "mnemonic": []byte(phrase)}}
	for _, text := range []string{
		string(raw), "0x" + hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
		new(big.Int).SetBytes(raw).String(), fmt.Sprintf("%d", raw), url.QueryEscape("a+b/c d%e\"f"), `{"x":"a+b/c d%e\"f"}`, "words: test test junk", fmt.Sprintf("%x", phrase),
	} {
		require.Len(t, h.search("here", []byte("before "+text+" after")), 1, text)
	}
	require.Empty(t, h.search("here", []byte("before and after")))
}
