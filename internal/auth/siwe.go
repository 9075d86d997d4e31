package auth

import (
	"context"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
)

// signInLife is how long a message without an expiry is good after it was
// issued. A signature that is good for ever could be used by whoever finds it.
const signInLife = 24 * time.Hour

// messageJudge knows clients by a signed message of EIP-4361. Contracts that
// sign (EIP-1271) are not known.
type messageJudge struct {
	domains []string
	as      Principal
	known   *verified
}

func newMessageJudge(cfg SIWE, as Principal) *messageJudge {
	return &messageJudge{domains: cfg.Domains, as: as, known: newVerified()}
}

func (j *messageJudge) judge(_ context.Context, c Credentials) (*Principal, Reason) {
	if c.message == "" {
		return nil, ReasonMissing
	}
	digest := digestOf(c.message + "\x00" + c.signature.Reveal())
	now := time.Now()
	if p := j.known.get(digest, now); p != nil {
		return p, ReasonNone
	}
	m, err := parseSignIn(c.message)
	if err != nil {
		return nil, ReasonMalformed
	}
	if reason := m.verify(c.message, c.signature.Reveal()); reason != ReasonNone {
		return nil, reason
	}
	if !slices.Contains(j.domains, m.domain) {
		return nil, ReasonDomain
	}
	if reason := m.judgeTime(now); reason != ReasonNone {
		return nil, reason
	}
	p := j.as
	p.User = strings.ToLower(m.address.Hex())
	j.known.put(digest, &p, now, m.end())
	return &p, ReasonNone
}

// end is when the message is no longer good.
func (m signInMessage) end() time.Time {
	if !m.expires.IsZero() {
		return m.expires
	}
	return m.issued.Add(signInLife)
}

// judgeTime says whether the message is good now.
func (m signInMessage) judgeTime(now time.Time) Reason {
	switch {
	case !now.Before(m.end()):
		return ReasonExpired
	case now.Before(m.notBefore), now.Add(clockLeeway).Before(m.issued):
		return ReasonNotYetValid
	default:
		return ReasonNone
	}
}

// verify says whether the address of the message has signed it, as EIP-191
// version 0x45 (personal_sign) has it.
func (m signInMessage) verify(text, signature string) Reason {
	const length = 65 // r, s and the recovery id
	bytes, err := hex.DecodeString(strings.TrimPrefix(signature, "0x"))
	if err != nil || len(bytes) != length {
		return ReasonMalformed
	}
	if bytes[64] >= 27 { // as wallets write the recovery id
		bytes[64] -= 27
	}
	if bytes[64] > 1 {
		return ReasonMalformed
	}
	hash := crypto.Keccak256([]byte("\x19Ethereum Signed Message:\n"+strconv.Itoa(len(text))), []byte(text))
	public, err := crypto.SigToPub(hash, bytes)
	if err != nil || crypto.PubkeyToAddress(*public) != m.address {
		return ReasonSignature
	}
	return ReasonNone
}
