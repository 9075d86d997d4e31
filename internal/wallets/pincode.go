package wallets

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

// pinDigest is what the client makes of salt and PIN, and all the server needs
// to know of the PIN: hex(sha256(salt ‖ pin)).
func pinDigest(salt, pin string) string { return hexSHA256(salt + pin) }

// pinResponse is the right answer to a challenge: hex(sha256(digest ‖ "_" ‖ secret)).
func pinResponse(digest, secret string) string { return hexSHA256(digest + "_" + secret) }

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// isSame compares without telling by its time where two texts differ.
func isSame(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
