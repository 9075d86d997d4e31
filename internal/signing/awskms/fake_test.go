package awskms

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

const (
	fakeRegion = "eu-central-1"
	fakeARN    = "arn:aws:kms:eu-central-1:111122223333:key/0a0b0c0d"
)

// fake speaks the protocol of KMS: JSON 1.1, X-Amz-Target, SigV4 (whose
// signatures it checks), SubjectPublicKeyInfo and DER. It is not KMS: policies,
// quotas and latencies are what a test says they are.
type fake struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu       sync.Mutex // guards the fields below
	creds    aws.Credentials
	state    string // KeyState
	spec     string // KeySpec
	usage    string // KeyUsage
	refusal  string // error code that answers everything; "" is none
	throttle int    // how many calls are throttled before one is served
	stall    chan struct{}
	deface   func(der []byte) []byte // what becomes of each signature
	calls    map[string]int
	signed   []string // key ids that Sign was asked for
	problems []string
}

func newFake(t *testing.T) *fake {
	t.Helper()
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	f := &fake{
		key: key, state: "Enabled", spec: "ECC_SECG_P256K1", usage: "SIGN_VERIFY", calls: map[string]int{},
		creds: aws.Credentials{AccessKeyID: "AKIDFAKE", SecretAccessKey: "fake-secret"},
	}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(func() {
		f.Close()
		require.Empty(t, f.problems)
	})
	return f
}

// set changes the fake while it serves.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
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
	stall, refusal := f.stall, f.refusal
	if refusal == "" && f.throttle > 0 {
		f.throttle--
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
	answer, status := f.answer(operation, body), http.StatusOK
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
func (f *fake) protocol(r *http.Request, body []byte) string {
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
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+"/", bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	for _, name := range strings.Split(signedHeaders, ";") {
		if name != "host" && name != "content-length" {
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), f.creds, again, hex.EncodeToString(hash[:]), "kms", fakeRegion, at); err != nil {
		return err.Error()
	}
	if again.Header.Get("Authorization") != authorization {
		return "the signature of the request does not match: " + authorization
	}
	return ""
}

func (f *fake) answer(operation string, body []byte) map[string]any {
	var in struct {
		KeyID            string
		Message          []byte
		MessageType      string
		SigningAlgorithm string
	}
	if json.Unmarshal(body, &in) != nil {
		return map[string]any{"refusal": "ValidationException"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if in.KeyID != fakeARN && in.KeyID != "alias/signer" {
		return map[string]any{"refusal": "NotFoundException"}
	}
	if operation != "DescribeKey" {
		switch f.state {
		case "Disabled":
			return map[string]any{"refusal": "DisabledException"}
		case "PendingDeletion":
			return map[string]any{"refusal": "KMSInvalidStateException"}
		}
	}
	switch operation {
	case "DescribeKey":
		return map[string]any{"KeyMetadata": map[string]any{"KeyId": "0a0b0c0d", "Arn": fakeARN, "KeySpec": f.spec, "KeyUsage": f.usage, "KeyState": f.state}}
	case "GetPublicKey":
		return map[string]any{"KeyId": fakeARN, "PublicKey": f.publicKey()}
	case "Sign":
		f.signed = append(f.signed, in.KeyID)
		if len(in.Message) != 32 || in.MessageType != "DIGEST" || in.SigningAlgorithm != "ECDSA_SHA_256" {
			return map[string]any{"refusal": "ValidationException"}
		}
		der := f.sign(in.Message)
		if f.deface != nil {
			der = f.deface(der)
		}
		return map[string]any{"KeyId": fakeARN, "SigningAlgorithm": in.SigningAlgorithm, "Signature": der}
	}
	return map[string]any{"refusal": "UnsupportedOperationException"}
}

func (f *fake) publicKey() []byte {
	point := crypto.FromECDSAPub(&f.key.PublicKey)
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
func (f *fake) sign(digest []byte) []byte {
	der, err := f.key.Sign(rand.Reader, digest, nil)
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

// config leads to the fake; the credentials are those of the environment, which
// the package's TestMain sets.
func (f *fake) config() Config {
	return Config{KeyID: "alias/signer", Region: fakeRegion, Endpoint: f.URL, Timeout: 5 * time.Second}
}

func (f *fake) count(operation string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[operation]
}

// outage lets every request wait for an answer.
func (f *fake) outage() (resume func()) {
	stall := make(chan struct{})
	f.set(func() { f.stall = stall })
	return func() { f.set(func() { f.stall = nil }); close(stall) }
}
