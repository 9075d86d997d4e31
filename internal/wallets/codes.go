package wallets

import (
	"crypto/subtle"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	// codeAlphabet has no characters that look like others.
	codeAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
	// codeLength is what TxSigner's clients expect: ten characters with a dash
	// after five. 32^10 are 50 bits.
	codeLength = 10
	// codeCount is how many codes a user gets; each works once.
	codeCount = 10
)

// newCodes makes secret codes, as they are shown to the user.
func newCodes() []string {
	codes := make([]string, codeCount)
	for i := range codes {
		text := make([]byte, codeLength)
		for j, b := range randomBytes(codeLength) {
			text[j] = codeAlphabet[int(b)%len(codeAlphabet)] // 256 is a multiple of 32: all are equally likely
		}
		codes[i] = string(text[:codeLength/2]) + "-" + string(text[codeLength/2:])
	}
	return codes
}

// normalCode drops what users and clients add to a code; "" is no code.
func normalCode(response string) string {
	code := strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(response), "-", ""))
	if len(code) != codeLength || strings.Trim(code, codeAlphabet) != "" {
		return ""
	}
	return code
}

// Cost of argon2id: what OWASP recommends as its second choice, 19 MiB and two
// passes. The codes are long random texts, so that this is plenty.
const (
	argonMemory  = 19 << 10 // KiB
	argonPasses  = 2
	argonThreads = 1
	argonSize    = 32
)

// hashesAtOnce bounds the memory of hashing at 76 MiB.
const hashesAtOnce = 4

// hasher hashes codes, a few at a time: each takes argonMemory.
type hasher struct{ slots chan struct{} }

func newHasher() *hasher { return &hasher{slots: make(chan struct{}, hashesAtOnce)} }

// hash is argon2id of a normal code. All codes of a verification share its
// salt, so that a response costs one hash and not ten.
func (h *hasher) hash(salt, code string) []byte {
	h.slots <- struct{}{}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(code), []byte(salt), argonPasses, argonMemory, argonThreads, argonSize)
}

// without returns the hashes but the given one, and whether it was among them.
func without(hashes [][]byte, used []byte) ([][]byte, bool) {
	rest := make([][]byte, 0, len(hashes))
	for _, h := range hashes {
		if subtle.ConstantTimeCompare(h, used) == 0 {
			rest = append(rest, h)
		}
	}
	return rest, len(rest) < len(hashes)
}
