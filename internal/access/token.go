package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"strings"

	"github.com/slipwayhq/slipway/internal/secret"
)

// A key is written slk_ID_SECRET: the prefix lets scanners of source code find
// keys that got there, the id finds the row.
const (
	keyPrefix   = "slk_"
	idBytes     = 10 // 16 letters
	secretBytes = 32
)

// newToken makes a key.
func newToken() (id string, token secret.String) {
	raw := make([]byte, idBytes+secretBytes)
	_, _ = rand.Read(raw) // never fails, see its documentation
	id = strings.ToLower(base32.StdEncoding.EncodeToString(raw[:idBytes]))
	return id, secret.New(keyPrefix + id + "_" + base64.RawURLEncoding.EncodeToString(raw[idBytes:]))
}

// isToken says whether a bearer token is an API key.
func isToken(text string) bool { return strings.HasPrefix(text, keyPrefix) }

// idOf is the id of a key; false for what has not the form of one.
func idOf(token string) (string, bool) {
	rest, ok := strings.CutPrefix(token, keyPrefix)
	id, value, found := strings.Cut(rest, "_")
	isWhole := ok && found && len(id) == base32.StdEncoding.EncodedLen(idBytes) && len(value) == base64.RawURLEncoding.EncodedLen(secretBytes)
	return id, isWhole && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

func isHash(token string, hash []byte) bool {
	return subtle.ConstantTimeCompare(hashOf(token), hash) == 1
}
