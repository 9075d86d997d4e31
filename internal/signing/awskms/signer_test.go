package awskms

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/awskms/kmstest"
	"github.com/slipwayhq/slipway/internal/signing/signingtest"
)

// TestMain gives the SDK's default chain credentials, and nothing of the
// machine's own.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": kmstest.AccessKeyID, "AWS_SECRET_ACCESS_KEY": kmstest.SecretAccessKey, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func open(t *testing.T, cfg Config) signing.Signer {
	t.Helper()
	s, err := new(Opener).Open(t.Context(), cfg)
	require.NoError(t, err)
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()

	signingtest.Run(t, func(t *testing.T) signingtest.Key {
		t.Helper()
		f := kmstest.New(t)
		cfg := configOf(f)
		return signingtest.Key{
			Address: crypto.PubkeyToAddress(f.Key.PublicKey),
			Open:    func(t *testing.T) signing.Signer { t.Helper(); return open(t, cfg) },
			Interrupt: func(*testing.T) func() {
				f.Set(func() { f.Refusal = "KMSInternalException" })
				return func() { f.Set(func() { f.Refusal = "" }) }
			},
			Forbid: func(*testing.T) { f.Set(func() { f.State = "Disabled" }) },
		}
	})
}

func TestSign_AnAliasThatMovesChangesNothing(t *testing.T) {
	t.Parallel()
	f := kmstest.New(t)
	s := open(t, configOf(f))
	require.EqualValues(t, "awskms:alias/signer", s.Ref())

	_, err := s.Sign(t.Context(), [32]byte{1})

	require.NoError(t, err)
	require.Equal(t, []string{kmstest.ARN}, f.Signed, "the key itself is asked, not the alias")
	require.Equal(t, 1, f.Count("GetPublicKey"))
}

func TestSign_Classes(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		refusal   string
		permanent bool
		reason    string
	}{
		"disabled":     {"DisabledException", true, "disabled"},
		"deleted":      {"KMSInvalidStateException", true, "deletion"},
		"gone":         {"NotFoundException", true, "no such key"},
		"forbidden":    {"AccessDeniedException", true, "policy"},
		"wrong use":    {"InvalidKeyUsageException", true, "not for signing"},
		"throttled":    {"ThrottlingException", false, "KMS"},
		"limit":        {"LimitExceededException", false, "KMS"},
		"internal":     {"KMSInternalException", false, "KMS"},
		"dependency":   {"DependencyTimeoutException", false, "DependencyTimeoutException"},
		"key not here": {"KeyUnavailableException", false, "KeyUnavailableException"},
		"expired":      {"ExpiredTokenException", false, "ExpiredTokenException"},
		"nonsense":     {"what is this?", false, "an unknown error"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := kmstest.New(t)
			s := open(t, configOf(f))
			f.Set(func() { f.Refusal = c.refusal })

			_, err := s.Sign(t.Context(), [32]byte{1})

			var permanent *signing.PermanentError
			var unavailable *signing.UnavailableError
			if c.permanent {
				require.ErrorAs(t, err, &permanent)
			} else {
				require.ErrorAs(t, err, &unavailable)
			}
			require.ErrorContains(t, err, c.reason)
			require.NotContains(t, err.Error(), "hunter2", "what KMS says beside the code is not repeated")
		})
	}
}

func TestSign_NoAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	f := kmstest.New(t)
	cfg := configOf(f)
	cfg.Timeout = 300 * time.Millisecond
	s := open(t, cfg)
	resume := f.Outage()
	defer resume()

	_, err := s.Sign(t.Context(), [32]byte{1})
	var unavailable *signing.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.ErrorContains(t, err, "no result from KMS within 300ms")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = s.Sign(ctx, [32]byte{1})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorAs(t, err, &unavailable, "the caller's own deadline is not the fault of KMS")

	cfg.Endpoint = "http://127.0.0.1:1"
	_, err = new(Opener).Open(t.Context(), cfg)
	require.ErrorAs(t, err, &unavailable)
}

// Throttling is waited out inside the call, at a rate that follows KMS.
func TestSign_Throttling(t *testing.T) {
	t.Parallel()
	f := kmstest.New(t)
	cfg := configOf(f)
	cfg.Timeout = 20 * time.Second
	s := open(t, cfg)
	f.Set(func() { f.Throttle = 3 })

	var failed atomic.Int64
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if _, err := s.Sign(t.Context(), [32]byte{byte(i)}); err != nil {
				failed.Add(1)
			}
		})
	}
	group.Wait()
	require.Zero(t, failed.Load())
	require.Equal(t, 11, f.Count("Sign"), "8 signatures and 3 refusals")
}

func TestSign_NothingWrongIsReturned(t *testing.T) {
	t.Parallel()
	cases := map[string]func([]byte) []byte{
		"trailing byte": func(der []byte) []byte { return append(der, 0) },
		"cut":           func(der []byte) []byte { return der[:len(der)-2] },
		"empty":         func([]byte) []byte { return nil },
		"another key":   func([]byte) []byte { return []byte{0x30, 6, 2, 1, 1, 2, 1, 1} },
		"negative":      func(der []byte) []byte { der[4] |= 0x80; return der },
	}
	for name, deface := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := kmstest.New(t)
			s := open(t, configOf(f))
			f.Set(func() { f.Deface = deface })

			_, err := s.Sign(t.Context(), [32]byte{1})

			var permanent *signing.PermanentError
			require.ErrorAs(t, err, &permanent)
			require.ErrorIs(t, err, signing.ErrSignature)
		})
	}
}

func TestOpen_KeysThatCannotSign(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*kmstest.Server)
		want   string
	}{
		"another curve": {func(f *kmstest.Server) { f.Spec = "ECC_NIST_P256" }, "ECC_SECG_P256K1"},
		"another use":   {func(f *kmstest.Server) { f.Usage = "KEY_AGREEMENT" }, "SIGN_VERIFY"},
		"disabled":      {func(f *kmstest.Server) { f.State = "Disabled" }, "not enabled"},
		"to be deleted": {func(f *kmstest.Server) { f.State = "PendingDeletion" }, "not enabled"},
	}
	for name, c := range cases {
		f := kmstest.New(t)
		c.change(f)
		_, err := new(Opener).Open(t.Context(), configOf(f))
		var permanent *signing.PermanentError
		require.ErrorAs(t, err, &permanent, name)
		require.ErrorContains(t, err, c.want, name)
	}
	cfg := configOf(kmstest.New(t))
	cfg.KeyID = "alias/other"
	_, err := new(Opener).Open(t.Context(), cfg)
	require.ErrorContains(t, err, "no such key")
	cfg.Region = ""
	_, err = new(Opener).Open(t.Context(), cfg)
	require.ErrorContains(t, err, "AWS_REGION")
}

// Keys of one account share a client, and what it has learnt of the quota.
func TestOpener_SharesClients(t *testing.T) {
	t.Parallel()
	f := kmstest.New(t)
	var o Opener
	for _, id := range []string{"alias/signer", kmstest.ARN} {
		cfg := configOf(f)
		cfg.KeyID = id
		_, err := o.Open(t.Context(), cfg)
		require.NoError(t, err)
	}
	require.Len(t, o.clients, 1)
}

// IRSA: a projected token is changed for credentials at STS. Its environment is
// the process's, so this test runs alone.
func TestOpen_WebIdentity(t *testing.T) { //nolint:paralleltest // sets the environment of the process
	var refuse atomic.Bool
	security := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != "projected" || refuse.Load() {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>AKIDWEB</AccessKeyId><SecretAccessKey>web-secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>%s</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer security.Close()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("projected"), 0o600))
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_WEB_IDENTITY_TOKEN_FILE": file,
		"AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/signer", "AWS_ENDPOINT_URL_STS": security.URL,
	} {
		t.Setenv(name, value)
	}
	f := kmstest.New(t)
	f.Creds = aws.Credentials{AccessKeyID: "AKIDWEB", SecretAccessKey: "web-secret", SessionToken: "session"}

	_, err := open(t, configOf(f)).Sign(t.Context(), [32]byte{1})
	require.NoError(t, err)

	// A refusal by STS says nothing of the key: it passes once the role is repaired.
	refuse.Store(true)
	_, err = new(Opener).Open(t.Context(), configOf(f))
	var unavailable *signing.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.ErrorContains(t, err, "no AWS credentials (STS")
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	require.NoError(t, Config{KeyID: "alias/x", Endpoint: "https://vpce.example:443"}.Validate())
	err := Config{ExternalID: "x", Endpoint: "https://user:hunter2@host", Timeout: -1}.Validate()
	for _, part := range []string{"keyId", "externalId", "endpoint", "timeout"} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "hunter2")
}

// configOf leads to the fake; the credentials are those of the environment, which
// TestMain sets.
func configOf(f *kmstest.Server) Config {
	return Config{KeyID: kmstest.Alias, Region: kmstest.Region, Endpoint: f.URL, Timeout: 5 * time.Second}
}
