package wallets

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 is made of it, within an HMAC
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// otpSettings are the parameters of a time-based one-time password (RFC 6238).
type otpSettings struct {
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int64  `json:"period"` // seconds
}

// otpHash returns the hash function of a name, nil for an unknown one. The
// names are those of TxSigner's clients; authenticator apps know the plain
// SHA ones, many of them only SHA1.
func otpHash(name string) func() hash.Hash {
	switch name {
	case "SHA1":
		return sha1.New
	case "SHA224":
		return sha256.New224
	case "SHA256":
		return sha256.New
	case "SHA384":
		return sha512.New384
	case "SHA512":
		return sha512.New
	case "SHA3-224":
		return func() hash.Hash { return sha3.New224() }
	case "SHA3-256":
		return func() hash.Hash { return sha3.New256() }
	case "SHA3-384":
		return func() hash.Hash { return sha3.New384() }
	case "SHA3-512":
		return func() hash.Hash { return sha3.New512() }
	default:
		return nil
	}
}

// otpKeySize is the length of a new key, in bytes: RFC 4226 recommends 160 bits.
const otpKeySize = 20

// code is the password of one time step: HMAC, then the dynamic truncation of
// RFC 4226, section 5.3.
func (o otpSettings) code(key []byte, step int64) string {
	mac := hmac.New(otpHash(o.Algorithm), key)
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step))
	mac.Write(counter[:])
	sum := mac.Sum(nil)

	offset := sum[len(sum)-1] & 0xf
	value := uint64(binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff)
	modulus := uint64(1)
	for range o.Digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", o.Digits, value%modulus)
}

// otpSkew is how many time steps a user's clock may be off (RFC 6238, section 6).
const otpSkew = 1

// match returns the time step that a response is the password of, if there is
// one near now and after last: a password is taken once (RFC 6238, section 5.2).
func (o otpSettings) match(key []byte, response string, now time.Time, last int64) (int64, bool) {
	current := now.Unix() / o.Period
	var found int64
	ok := false
	for step := current - otpSkew; step <= current+otpSkew; step++ {
		if isSame(o.code(key, step), response) && step > last {
			found, ok = step, true
		}
	}
	return found, ok
}

// uri is what authenticator apps read from a QR code.
func (o otpSettings) uri(key []byte, issuer, account string) string {
	values := url.Values{}
	values.Set("secret", base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key))
	values.Set("issuer", issuer)
	values.Set("algorithm", o.Algorithm)
	values.Set("digits", strconv.Itoa(o.Digits))
	values.Set("period", strconv.FormatInt(o.Period, 10))
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + account}
	// Apps read %20, not all of them "+".
	return u.String() + "?" + strings.ReplaceAll(values.Encode(), "+", "%20")
}
