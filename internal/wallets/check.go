package wallets

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/sealed"
)

// Target says which verifications of a wallet a response is for. With a
// challenge it is that one; with a verification it is that one, with any of its
// open challenges; otherwise any verification of the wallet.
type Target struct {
	Tenant       string          // the wallet's
	Address      *common.Address // nil: any wallet, for a challenge that is named
	Verification uuid.UUID       // uuid.Nil: any
	Challenge    uuid.UUID       // uuid.Nil: any
}

// limits are what locks a verification.
type limits struct {
	maxFailures int
	lockFor     time.Duration
}

// ruling is what an attempt changes.
type ruling struct {
	err     error      // nil: verified
	changed []record   // new state of verifications
	used    *uuid.UUID // the challenge that is answered now
}

// checker decides about responses.
type checker struct {
	box    *sealed.Box
	hasher *hasher
	limits limits
}

// rule decides about a response to verifications that are locked in the
// database. A failure counts against every verification that was tried: there
// is no way to try for free.
func (c *checker) rule(list []record, target Target, response string, now time.Time) ruling {
	var out ruling
	var lockedUntil time.Time
	for _, r := range list {
		if r.lockedUntil.After(now) {
			lockedUntil = r.lockedUntil
			continue
		}
		used, passed, err := c.try(&r, target, response, now)
		if err != nil {
			return ruling{err: err}
		}
		if passed {
			r.failures, r.lockedUntil = 0, time.Time{}
			return ruling{changed: []record{r}, used: used}
		}
		out.changed = append(out.changed, c.limits.failed(r, now))
	}
	out.err = ErrUnverified
	if len(out.changed) == 0 && !lockedUntil.IsZero() {
		out.err = &LockedError{Until: lockedUntil}
	}
	return out
}

// failed counts a wrong response.
func (l limits) failed(r record, now time.Time) record {
	r.failures++
	if r.failures >= l.maxFailures {
		r.failures, r.lockedUntil = 0, now.Add(l.lockFor)
	}
	return r
}

// try compares a response with one verification, and notes in r what cannot be
// shown again. A PIN needs a challenge; the others may have one.
func (c *checker) try(r *record, target Target, response string, now time.Time) (used *uuid.UUID, passed bool, err error) {
	if target.Challenge != uuid.Nil {
		if len(r.challenges) == 0 {
			return nil, false, nil
		}
		used = &r.challenges[0].id
	}
	switch r.kind {
	case Pincode:
		return c.tryPincode(r, response)
	case OTP:
		key, err := c.open(r)
		if err != nil {
			return nil, false, err
		}
		step, ok := r.otp.match(key, response, now, r.lastStep)
		if ok {
			r.lastStep = step
		}
		return used, ok, nil
	case SecretCodes:
		code := normalCode(response)
		if code == "" {
			return nil, false, nil
		}
		rest, ok := without(r.hashes, c.hasher.hash(r.salt, code))
		r.hashes = rest
		return used, ok, nil
	default:
		return nil, false, nil
	}
}

func (c *checker) tryPincode(r *record, response string) (*uuid.UUID, bool, error) {
	digest, err := c.open(r)
	if err != nil {
		return nil, false, err
	}
	var used *uuid.UUID
	for i := range r.challenges {
		if isSame(pinResponse(string(digest), r.challenges[i].secret), response) {
			used = &r.challenges[i].id
		}
	}
	return used, used != nil, nil
}

// open reads what is sealed in a verification; with another key that is ErrSealed.
func (c *checker) open(r *record) ([]byte, error) {
	plain, err := c.box.Open(r.id, r.sealed)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// randomBytes returns n bytes nobody can guess.
func randomBytes(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.Read(out) // never fails: it ends the program instead
	return out
}

// hexText returns n random bytes as text.
func hexText(n int) string { return hex.EncodeToString(randomBytes(n)) }
