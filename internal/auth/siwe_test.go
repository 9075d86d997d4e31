package auth

import (
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
)

// parts are the lines of a message; empty ones are left out.
type parts struct {
	domain, address, statement, uri, version, chain, nonce, issued, expires, notBefore, rest string
}

func wallet(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	k, err := crypto.HexToECDSA(strings.Repeat("4c", 32))
	require.NoError(tb, err)
	return k
}

func good(tb testing.TB, now time.Time) parts {
	tb.Helper()
	return parts{
		domain: "app.example.org", address: crypto.PubkeyToAddress(wallet(tb).PublicKey).Hex(), uri: "https://app.example.org/login",
		version: "1", chain: "1", nonce: "32891756", issued: now.Format(time.RFC3339),
	}
}

func (p parts) text() string {
	out := p.domain + " wants you to sign in with your Ethereum account:\n" + p.address + "\n\n"
	if p.statement != "" {
		out += p.statement + "\n"
	}
	out += "\nURI: " + p.uri + "\nVersion: " + p.version + "\nChain ID: " + p.chain + "\nNonce: " + p.nonce + "\nIssued At: " + p.issued
	if p.expires != "" {
		out += "\nExpiration Time: " + p.expires
	}
	if p.notBefore != "" {
		out += "\nNot Before: " + p.notBefore
	}
	return out + p.rest
}

func sign(tb testing.TB, text string) string {
	tb.Helper()
	hash := crypto.Keccak256([]byte("\x19Ethereum Signed Message:\n" + strconv.Itoa(len(text)) + text))
	signature, err := crypto.Sign(hash, wallet(tb))
	require.NoError(tb, err)
	signature[64] += 27
	return "0x" + hex.EncodeToString(signature)
}

func signedIn(tb testing.TB, message, signature string) Credentials {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/", http.NoBody)
	r.Header.Set("X-Siwe-Message", base64.StdEncoding.EncodeToString([]byte(message)))
	r.Header.Set("X-Siwe-Signature", signature)
	return ReadCredentials(r, netip.Addr{})
}

func TestMessageJudge(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := func(d time.Duration) string { return now.Add(d).UTC().Format(time.RFC3339Nano) }
	for name, c := range map[string]struct {
		change func(*parts)
		want   Reason
	}{
		"plain":     {func(*parts) {}, ReasonNone},
		"statement": {func(p *parts) { p.statement = "I accept the terms." }, ReasonNone},
		"scheme":    {func(p *parts) { p.domain = "https://app.example.org" }, ReasonNone},
		"all": {func(p *parts) {
			p.expires, p.notBefore, p.rest = at(time.Hour), at(-time.Hour), "\nRequest ID: 7\nResources:\n- ipfs://a\n- https://b"
		}, ReasonNone},
		"expired":               {func(p *parts) { p.expires = at(-time.Second) }, ReasonExpired},
		"old without an expiry": {func(p *parts) { p.issued = at(-25 * time.Hour) }, ReasonExpired},
		"old with an expiry":    {func(p *parts) { p.issued, p.expires = at(-25*time.Hour), at(time.Hour) }, ReasonNone},
		"not before":            {func(p *parts) { p.notBefore = at(time.Minute) }, ReasonNotYetValid},
		"issued in the future":  {func(p *parts) { p.issued = at(time.Minute) }, ReasonNotYetValid},
		"another domain":        {func(p *parts) { p.domain = "evil.example.org" }, ReasonDomain},
		"subdomain":             {func(p *parts) { p.domain = "a.app.example.org" }, ReasonDomain},
		"another address":       {func(p *parts) { p.address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" }, ReasonSignature},
		"address in lower case": {func(p *parts) { p.address = strings.ToLower(p.address) }, ReasonMalformed},
		"version 2":             {func(p *parts) { p.version = "2" }, ReasonMalformed},
		"short nonce":           {func(p *parts) { p.nonce = "1234567" }, ReasonMalformed},
		"chain":                 {func(p *parts) { p.chain = "0x1" }, ReasonMalformed},
		"time":                  {func(p *parts) { p.issued = "yesterday" }, ReasonMalformed},
		"two statements":        {func(p *parts) { p.statement = "a\nb" }, ReasonMalformed},
		"more lines":            {func(p *parts) { p.rest = "\nAlso: this" }, ReasonMalformed},
		"expiry twice":          {func(p *parts) { p.expires, p.rest = at(time.Hour), "\nExpiration Time: "+at(2*time.Hour) }, ReasonMalformed},
		"resource is no URI":    {func(p *parts) { p.rest = "\nResources:\n- a b" }, ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := good(t, now)
			c.change(&p)
			j := newMessageJudge(SIWE{Domains: []string{"app.example.org"}}, Principal{Budget: "b"})

			for range 2 { // the second time it may be remembered
				got, reason := j.judge(t.Context(), signedIn(t, p.text(), sign(t, p.text())))
				require.Equal(t, c.want, reason, p.text())
				require.Equal(t, c.want == ReasonNone, got != nil)
				if got != nil {
					require.Equal(t, strings.ToLower(good(t, now).address), got.User)
				}
			}
		})
	}
}

func TestMessageJudge_Signatures(t *testing.T) {
	t.Parallel()
	j := newMessageJudge(SIWE{Domains: []string{"app.example.org"}}, Principal{})
	text := good(t, time.Now()).text()
	right := sign(t, text)
	for signature, want := range map[string]Reason{
		right: ReasonNone, strings.TrimPrefix(right, "0x"): ReasonNone, right[:130] + "07": ReasonMalformed, right[:130]: ReasonMalformed,
		"0x" + strings.Repeat("0", 130): ReasonSignature, sign(t, text+" "): ReasonSignature, "0xzz": ReasonMalformed,
	} {
		_, reason := j.judge(t.Context(), signedIn(t, text, signature))
		require.Equal(t, want, reason, signature)
	}
}

func TestMessageJudge_NoReplayAfterExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := good(t, time.Now())
		p.expires = time.Now().Add(10 * time.Second).UTC().Format(time.RFC3339)
		j := newMessageJudge(SIWE{Domains: []string{"app.example.org"}}, Principal{})
		shown := signedIn(t, p.text(), sign(t, p.text()))
		_, reason := j.judge(t.Context(), shown)
		require.Equal(t, ReasonNone, reason)
		<-time.After(10 * time.Second)
		_, reason = j.judge(t.Context(), shown)
		require.Equal(t, ReasonExpired, reason)
	})
}

func FuzzParseSignIn(f *testing.F) {
	now := time.Now()
	p := good(f, now)
	f.Add(p.text())
	p.statement, p.expires, p.rest = "s", p.issued, "\nRequest ID: \nResources:\n- a:b"
	f.Add(p.text())
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseSignIn(text)
		if err != nil {
			return
		}
		require.False(t, m.issued.IsZero())
		require.NotEmpty(t, m.domain)
		require.True(t, strings.HasPrefix(text, m.domain) || strings.HasPrefix(text, m.scheme+"://"+m.domain))
		require.Contains(t, text, "\n"+m.address.Hex()+"\n\n")
		_, reason := newMessageJudge(SIWE{Domains: []string{m.domain}}, Principal{}).judge(t.Context(), signedIn(t, text, "0x"+strings.Repeat("11", 65)))
		require.NotEqual(t, ReasonNone, reason)
	})
}
