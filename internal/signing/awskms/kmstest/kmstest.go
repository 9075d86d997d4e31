// Package kmstest is AWS KMS for tests, as far as one key and those that are made need
// it.
package kmstest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
)

// The key, and the credentials that requests for it are signed with.
const (
	Region          = "eu-central-1"
	Alias           = "alias/signer"
	AccessKeyID     = "AKIDFAKE"
	SecretAccessKey = "fake-secret"
	ARN             = "arn:aws:kms:eu-central-1:111122223333:key/0a0b0c0d"
)

// Server speaks the protocol of KMS: JSON 1.1, X-Amz-Target, SigV4 (whose
// signatures it checks), SubjectPublicKeyInfo and DER. It is not KMS: policies,
// quotas and latencies are what a test says they are.
type Server struct {
	*httptest.Server
	// Key is what KMS holds.
	Key *ecdsa.PrivateKey

	mu sync.Mutex // guards the fields below
	// Creds are what requests must be signed with.
	Creds aws.Credentials
	// State, Spec and Usage are KeyState, KeySpec and KeyUsage.
	State, Spec, Usage string
	// Refusal is an error code that answers everything; "" is none.
	Refusal string
	// Throttle is how many calls are throttled before one is served.
	Throttle int
	// Deface is what becomes of each signature; nil leaves it.
	Deface func(der []byte) []byte
	// Signed are the ids of keys that Sign was asked for.
	Signed []string
	// Refuse is an error code for the calls of one operation.
	Refuse map[string]string
	// Lose is how many answers of an operation are lost after it was done.
	Lose map[string]int
	// Made are the keys that CreateKey made, in order.
	Made []*Made
	// Aliases are the ARNs that aliases lead to, besides Alias.
	Aliases map[string]string

	stall    chan struct{}
	calls    map[string]int
	problems []string
}

// Made is a key that CreateKey made.
type Made struct {
	ARN, Description string
	Tags             map[string]string
	Key              *ecdsa.PrivateKey
}

// New starts a server, which ends with the test.
func New(t *testing.T) *Server {
	t.Helper()
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	f := &Server{
		Key: key, State: "Enabled", Spec: "ECC_SECG_P256K1", Usage: "SIGN_VERIFY", calls: map[string]int{},
		Creds: aws.Credentials{AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey},
	}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(func() {
		f.Close()
		require.Empty(t, f.problems)
	})
	return f
}

// Set changes the fake while it serves.
func (f *Server) Set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	operation, _ := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	f.mu.Lock()
	f.calls[operation]++
	if p := f.protocol(r, body); p != "" {
		f.problems = append(f.problems, p)
	}
	stall, refusal := f.stall, f.Refusal
	if refusal == "" {
		refusal = f.Refuse[operation]
	}
	if refusal == "" && f.Throttle > 0 {
		f.Throttle--
		refusal = "ThrottlingException"
	}
	f.mu.Unlock()

	if stall != nil {
		select {
		case <-stall:
		case <-r.Context().Done():
			return
		}
	}
	answer, status := map[string]any{}, http.StatusOK
	if refusal == "" {
		answer = f.answer(operation, body)
	}
	if f.loses(operation) {
		panic(http.ErrAbortHandler)
	}
	if refusal == "" {
		refusal, _ = answer["refusal"].(string)
	}
	if refusal != "" {
		answer, status = map[string]any{"__type": refusal, "message": "of the key hunter2"}, http.StatusBadRequest
		if refusal == "KMSInternalException" {
			status = http.StatusInternalServerError
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// protocol says what is wrong with a request, as KMS would.
func (f *Server) protocol(r *http.Request, body []byte) string {
	if r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	authorization := r.Header.Get("Authorization")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	_, signedHeaders, ok := strings.Cut(authorization, "SignedHeaders=")
	if err != nil || !ok {
		return "no SigV4: " + authorization
	}
	signedHeaders, _, _ = strings.Cut(signedHeaders, ",")
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+"/", bytes.NewReader(body)) //nolint:gosec // it is not sent
	if err != nil {
		return err.Error()
	}
	for _, name := range strings.Split(signedHeaders, ";") {
		if name != "host" && name != "content-length" {
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), f.Creds, again, hex.EncodeToString(hash[:]), "kms", Region, at); err != nil {
		return err.Error()
	}
	if again.Header.Get("Authorization") != authorization {
		return "the signature of the request does not match: " + authorization
	}
	return ""
}

func (f *Server) answer(operation string, body []byte) map[string]any {
	var in request
	if json.Unmarshal(body, &in) != nil {
		return map[string]any{"refusal": "ValidationException"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if answer := f.creation(operation, in); answer != nil {
		return answer
	}
	held := f.Key
	arn := ARN
	if in.KeyID != ARN && in.KeyID != Alias {
		made := f.made(in.KeyID)
		if made == nil {
			return map[string]any{"refusal": "NotFoundException"}
		}
		held, arn = made.Key, made.ARN
	}
	if operation != "DescribeKey" {
		switch f.State {
		case "Disabled":
			return map[string]any{"refusal": "DisabledException"}
		case "PendingDeletion":
			return map[string]any{"refusal": "KMSInvalidStateException"}
		}
	}
	switch operation {
	case "DescribeKey":
		return map[string]any{"KeyMetadata": map[string]any{"KeyId": idOf(arn), "Arn": arn, "KeySpec": f.Spec, "KeyUsage": f.Usage, "KeyState": f.State}}
	case "GetPublicKey":
		return map[string]any{"KeyId": arn, "PublicKey": f.publicKey(held)}
	case "Sign":
		f.Signed = append(f.Signed, in.KeyID)
		if len(in.Message) != 32 || in.MessageType != "DIGEST" || in.SigningAlgorithm != "ECDSA_SHA_256" {
			return map[string]any{"refusal": "ValidationException"}
		}
		der := f.sign(held, in.Message)
		if f.Deface != nil {
			der = f.Deface(der)
		}
		return map[string]any{"KeyId": arn, "SigningAlgorithm": in.SigningAlgorithm, "Signature": der}
	}
	return map[string]any{"refusal": "UnsupportedOperationException"}
}

func (f *Server) publicKey(key *ecdsa.PrivateKey) []byte {
	point := crypto.FromECDSAPub(&key.PublicKey)
	curve, _ := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 132, 0, 10})
	der, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}{
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, Parameters: asn1.RawValue{FullBytes: curve}},
		asn1.BitString{Bytes: point, BitLength: 8 * len(point)},
	})
	if err != nil {
		f.problems = append(f.problems, err.Error())
	}
	return der
}

// sign is random, as KMS is: about every second s is in the upper half.
func (f *Server) sign(key *ecdsa.PrivateKey, digest []byte) []byte {
	der, err := key.Sign(rand.Reader, digest, nil)
	if err != nil {
		f.problems = append(f.problems, err.Error())
		return nil
	}
	var sig struct{ R, S *big.Int }
	_, _ = asn1.Unmarshal(der, &sig)
	if n := crypto.S256().Params().N; digest[0]%2 == 0 && sig.S.Cmp(new(big.Int).Rsh(n, 1)) <= 0 {
		sig.S.Sub(n, sig.S)
	}
	der, _ = asn1.Marshal(sig)
	return der
}

// Count is how often an operation was called.
func (f *Server) Count(operation string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[operation]
}

// Outage lets every request wait for an answer.
func (f *Server) Outage() (resume func()) {
	stall := make(chan struct{})
	f.Set(func() { f.stall = stall })
	return func() { f.Set(func() { f.stall = nil }); close(stall) }
}
