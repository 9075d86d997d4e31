package wallets

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/sealed"
)

// Type is a kind of verification. The values are those of TxSigner's clients.
type Type string

// The types.
const (
	Pincode     Type = "PINCODE"
	OTP         Type = "OTP"
	SecretCodes Type = "SECRET_CODES"
)

// Verification is something a user must show before a wallet signs.
type Verification struct {
	ID   uuid.UUID
	Name string
	Type Type
}

// NewVerification is what is to be set up; zero fields have defaults.
type NewVerification struct {
	Name      string
	Type      Type
	Pincode   string // PINCODE only
	Algorithm string // OTP: SHA1 … SHA512, SHA3-224 … SHA3-512; default SHA1
	Digits    int    // OTP: 6 to 8, default 6
	Period    int64  // OTP: seconds, 15 to 300, default 30
	Issuer    string // OTP: shown in the user's app
}

const (
	maxName       = 256 // bytes
	minPincode    = 4
	maxPincode    = 64
	defaultIssuer = "Slipway"
	// maxVerifications bounds what one attempt may have to check.
	maxVerifications = 10
)

// checkName accepts a text that can be stored and shown.
func checkName(field, name string) error {
	switch {
	case name == "":
		return invalid(field + ": is missing")
	case len(name) > maxName:
		return invalid(field + ": is longer than 256 bytes")
	case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
		return invalid(field + ": has characters that are not allowed")
	}
	return nil
}

// check fills in defaults and says what is wrong.
func (n *NewVerification) check() error {
	if err := checkName("name", n.Name); err != nil {
		return err
	}
	switch n.Type {
	case Pincode:
		if len(n.Pincode) < minPincode || len(n.Pincode) > maxPincode {
			return invalid("pincode: must have 4 to 64 characters")
		}
		return nil
	case OTP:
		return n.checkOTP()
	case SecretCodes:
		return nil
	default:
		return invalid("verificationType: must be PINCODE, OTP or SECRET_CODES")
	}
}

func (n *NewVerification) checkOTP() error {
	if n.Algorithm == "" {
		n.Algorithm = "SHA1"
	}
	if n.Digits == 0 {
		n.Digits = 6
	}
	if n.Period == 0 {
		n.Period = 30
	}
	if n.Issuer == "" {
		n.Issuer = defaultIssuer
	}
	switch {
	case otpHash(n.Algorithm) == nil:
		return invalid("algorithm: must be SHA1, SHA224, SHA256, SHA384, SHA512 or SHA3-224 to SHA3-512")
	case n.Digits < 6 || n.Digits > 8:
		return invalid("digits: must be between 6 and 8")
	case n.Period < 15 || n.Period > 300:
		return invalid("period: must be between 15 and 300 seconds")
	case strings.Contains(n.Issuer, ":"):
		return invalid("issuer: must not contain a colon")
	}
	return checkName("issuer", n.Issuer)
}

// record is a verification as it is stored.
type record struct {
	id          uuid.UUID
	kind        Type
	name        string
	salt        string
	sealed      []byte
	hashes      [][]byte
	otp         *otpSettings
	lastStep    int64
	failures    int
	lockedUntil time.Time // zero: never locked
	challenges  []challengeRow
}

// challengeRow is an open challenge as it is stored.
type challengeRow struct {
	id     uuid.UUID
	secret string
}

// newRecord makes the row of a new verification, and the parameters its user
// is told once.
func newRecord(n NewVerification, box *sealed.Box, hasher *hasher) (record, map[string]string) {
	r := record{id: uuid.New(), kind: n.Type, name: n.Name, salt: hexText(16)}
	parameters := map[string]string{}
	switch n.Type {
	case Pincode:
		r.sealed = box.Seal(r.id, []byte(pinDigest(r.salt, n.Pincode)))
	case OTP:
		key := randomBytes(otpKeySize)
		r.otp = &otpSettings{Algorithm: n.Algorithm, Digits: n.Digits, Period: n.Period}
		r.sealed = box.Seal(r.id, key)
		parameters["uri"] = r.otp.uri(key, n.Issuer, n.Name)
	case SecretCodes:
		codes := newCodes()
		for _, code := range codes {
			r.hashes = append(r.hashes, hasher.hash(r.salt, normalCode(code)))
		}
		parameters["secretCodes"] = strings.Join(codes, ",")
	}
	return r, parameters
}
