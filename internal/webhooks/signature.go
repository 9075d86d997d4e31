package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a delivery.
const (
	// HeaderID is the delivery's id, the same for all its attempts.
	HeaderID = "Slipway-Webhook-Id"
	// HeaderTimestamp is when the attempt was made, in seconds since 1970.
	HeaderTimestamp = "Slipway-Webhook-Timestamp"
	// HeaderSignature is a list of "v1=" and hex, one for each secret.
	HeaderSignature = "Slipway-Webhook-Signature"
	// HeaderEvent is the event's type.
	HeaderEvent = "Slipway-Webhook-Event"
	// HeaderAttempt counts the attempts from 1.
	HeaderAttempt = "Slipway-Webhook-Attempt"
)

const scheme = "v1="

// sign is the signature of one attempt: HMAC-SHA256 over "timestamp.id.body",
// once for each secret.
func sign(secrets []string, timestamp, id string, body []byte) string {
	var out []string
	for _, s := range secrets {
		out = append(out, scheme+hex.EncodeToString(digest(s, timestamp, id, body)))
	}
	return strings.Join(out, ",")
}

func digest(secret, timestamp, id string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "." + id + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// ErrSignature says that a delivery is not from here, or not from now.
var ErrSignature = errors.New("the signature of the delivery is not valid")

// Verify is what a receiver does with each delivery: it compares in constant
// time, takes any of the signatures, and refuses what is older or newer than
// tolerance, so that a recorded delivery cannot be played again later.
func Verify(secret string, h http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	seconds, err := strconv.ParseInt(h.Get(HeaderTimestamp), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return ErrSignature
	}
	want := digest(secret, h.Get(HeaderTimestamp), h.Get(HeaderID), body)
	for _, one := range strings.Split(h.Get(HeaderSignature), ",") {
		text, isOurs := strings.CutPrefix(strings.TrimSpace(one), scheme)
		got, err := hex.DecodeString(text)
		if isOurs && err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return ErrSignature
}
