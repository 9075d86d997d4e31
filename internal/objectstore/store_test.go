package objectstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/objectstore/s3test"
	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
	"github.com/slipwayhq/slipway/internal/secret"
)

// configOf is that of a store at the server, with two attempts, so that failures are quick.
func configOf(s s3test.Server) Config {
	return Config{
		Endpoint: "http://" + s.Address, AccessKey: s3test.AccessKey, SecretKey: secret.New(s3test.SecretKey),
		Bucket: "copies", Prefix: "atk/signer", PathStyle: true, Attempts: 2,
	}
}

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	return s
}

// withBucket is a store at a server of the test's own.
func withBucket(t *testing.T) (*Store, s3test.Server) {
	t.Helper()
	at := server.Start(t)
	s := open(t, configOf(at))
	require.NoError(t, s.EnsureBucket(t.Context()))
	return s, at
}

func fileOf(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func TestStore_GivesBackWhatWasPut(t *testing.T) {
	t.Parallel()
	s, at := withBucket(t)
	require.NoError(t, s.EnsureBucket(t.Context()), "it is there")
	s.partSize = 5 << 20 // the least that S3 takes
	for name, size := range map[string]int{"empty": 0, "small": 1000, "a part": 5 << 20, "three parts": 11<<20 + 7} {
		content := bytes.Repeat([]byte("slipway"), size/7+1)[:size]
		pushed, err := s.Push(t.Context(), fileOf(t, name, content))
		require.NoError(t, err, name)
		require.Equal(t, int64(size), pushed.Size)
		require.Equal(t, hashOf(content), pushed.SHA256)
		stored, err := os.ReadFile(filepath.Join(at.Data, "copies", "atk", "signer", name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, stored), name)

		to := filepath.Join(t.TempDir(), "fetched")
		fetched, err := s.Fetch(t.Context(), name, to)
		require.NoError(t, err)
		require.Equal(t, pushed, fetched)
		got, err := os.ReadFile(to)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got), name)
		_, err = s.Fetch(t.Context(), name, to)
		require.ErrorContains(t, err, "is there already")
	}
	list, err := s.List(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, list, 4)
	require.Equal(t, "a part", list[0].Name)
	require.Equal(t, int64(5<<20), list[0].Size)
	require.WithinDuration(t, time.Now(), list[0].Modified, time.Minute)
}

func TestStore_SeesWhatIsNotWhatWasPut(t *testing.T) {
	t.Parallel()
	s, at := withBucket(t)
	_, err := s.Push(t.Context(), fileOf(t, "signer-1.dump", []byte("content")))
	require.NoError(t, err)
	stored := filepath.Join(at.Data, "copies", "atk", "signer", "signer-1.dump")
	f, err := os.OpenFile(stored, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("CONTENT")
	require.NoError(t, err)
	require.NoError(t, f.Close())

	_, err = s.Verify(t.Context(), "signer-1.dump")
	require.ErrorIs(t, err, ErrMismatch)
	to := filepath.Join(t.TempDir(), "fetched")
	_, err = s.Fetch(t.Context(), "signer-1.dump", to)
	require.ErrorIs(t, err, ErrMismatch)
	require.NoFileExists(t, to)
	require.NoFileExists(t, to+".part")

	_, err = s.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &s.bucket, Key: s.key("other"), Body: bytes.NewReader([]byte("x"))})
	require.NoError(t, err)
	_, err = s.Verify(t.Context(), "other")
	require.ErrorContains(t, err, "was not put there by slipway")
}

func TestPrune_LeavesTheLastOnesAndWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	for i := range 6 {
		_, err := s.Push(t.Context(), fileOf(t, fmt.Sprintf("signer-2026010%dT000000Z.dump", i), []byte{byte(i)}))
		require.NoError(t, err)
	}
	_, err := s.Push(t.Context(), fileOf(t, "notes.txt", []byte("mine")))
	require.NoError(t, err)
	other := configOf(s3test.Server{})
	other.Endpoint, other.Prefix = *s.client.Options().BaseEndpoint, "atk/signer/deeper"
	_, err = open(t, other).Push(t.Context(), fileOf(t, "signer-20250101T000000Z.dump", []byte("another's")))
	require.NoError(t, err)

	gone, err := s.Prune(t.Context(), "signer-*.dump", 2, "signer-20260100T000000Z.dump")
	require.NoError(t, err)
	require.Len(t, gone, 3)
	require.Equal(t, []string{"notes.txt", "signer-20260100T000000Z.dump", "signer-20260104T000000Z.dump", "signer-20260105T000000Z.dump"}, namesOf(t, s))
	require.Equal(t, []string{"signer-20250101T000000Z.dump"}, namesOf(t, open(t, other)), "what is deeper is another's")
}

func namesOf(t *testing.T, s *Store) []string {
	t.Helper()
	list, err := s.List(t.Context(), "")
	require.NoError(t, err)
	var out []string
	for _, one := range list {
		out = append(out, one.Name)
	}
	return out
}

func TestTooMany(t *testing.T) {
	t.Parallel()
	copies := []Copy{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	for _, c := range []struct {
		keep   int
		except string
		want   []Copy
	}{
		{3, "", nil},
		{4, "", nil},
		{1, "", copies[:2]},
		{0, "", copies[:2]}, // the last one always stays
		{1, "a", copies[1:2]},
		{2, "c", copies[:1]},
	} {
		require.Equal(t, c.want, tooMany(copies, c.keep, c.except), "%+v", c)
	}
}

func TestStore_ListsMoreThanAPage(t *testing.T) {
	t.Parallel()
	s, at := withBucket(t)
	folder := filepath.Join(at.Data, "copies", "atk", "signer")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	for i := range 1203 { // a page has 1000
		require.NoError(t, os.WriteFile(filepath.Join(folder, fmt.Sprintf("signer-%04d.dump", i)), nil, 0o600))
	}
	require.Len(t, namesOf(t, s), 1203)
}

func TestFailures_SayWhatToDo(t *testing.T) {
	t.Parallel()
	at := server.Start(t)
	require.NoError(t, open(t, configOf(at)).EnsureBucket(t.Context()))
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"wrong secret":   {func(c *Config) { c.SecretKey = secret.New("hunter2-hunter2") }, "SignatureDoesNotMatch"},
		"wrong key":      {func(c *Config) { c.AccessKey = "somebody" }, "the store does not take this key: AWS_ACCESS_KEY_ID"},
		"missing bucket": {func(c *Config) { c.Bucket = "none" }, "make the bucket none, or name another one"},
		"other region":   {func(c *Config) { c.Region = "eu-central-1" }, "the region is AWS_REGION"},
		"nobody there":   {func(c *Config) { c.Endpoint = "http://127.0.0.1:1" }, "connection refused; the store's address is AWS_ENDPOINT_URL_S3"},
		"no such name":   {func(c *Config) { c.Endpoint = "http://store.invalid" }, "the store's address is AWS_ENDPOINT_URL_S3"},
		"no key":         {func(c *Config) { c.AccessKey, c.SecretKey = "", secret.String{} }, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the account a role"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configOf(at)
			c.change(&cfg)
			s := open(t, cfg)
			file := fileOf(t, "signer-1.dump", []byte("content"))
			_, err := s.Push(t.Context(), file)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), s3test.SecretKey)
			require.FileExists(t, file)
			_, err = s.List(t.Context(), "")
			require.ErrorContains(t, err, c.want)
			_, err = s.Fetch(t.Context(), "signer-1.dump", filepath.Join(t.TempDir(), "to"))
			require.ErrorContains(t, err, c.want)
		})
	}
	s := open(t, configOf(at))
	_, err := s.Verify(t.Context(), "none")
	require.ErrorContains(t, err, "`slipway backup list` tells what is there")
	ended, cancel := context.WithTimeout(t.Context(), 0)
	t.Cleanup(cancel)
	_, err = s.List(ended, "")
	require.ErrorContains(t, err, "--timeout")
}

func TestOpen_RefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]Config{
		"--bucket":                       {},
		"go together":                    {Bucket: "b", AccessKey: "a"},
		"http or https URL without user": {Bucket: "b", Endpoint: "https://me:hunter2@s3.example"},
		"such as https://s3.example.org": {Bucket: "b", Endpoint: "s3.example"},
	} {
		_, err := Open(t.Context(), cfg)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestTLS_TrustsTheCertificatesThatAreNamed(t *testing.T) {
	t.Parallel()
	files := redistest.Certificates(t)
	at := server.Start(t, "--cert", files.ServerCert, "--key", files.ServerKey)
	cfg := configOf(at)
	cfg.Endpoint = "https://" + at.Address
	_, err := open(t, cfg).List(t.Context(), "")
	require.ErrorContains(t, err, "the store's certificates are named by AWS_CA_BUNDLE")

	cfg.CA, err = os.ReadFile(files.CA)
	require.NoError(t, err)
	s := open(t, cfg)
	require.NoError(t, s.EnsureBucket(t.Context()))
	_, err = s.Push(t.Context(), fileOf(t, "signer-1.dump", []byte("content")))
	require.NoError(t, err)
	require.Equal(t, []string{"signer-1.dump"}, namesOf(t, s))
}

// TestStore_GoesOnWhereAnAnswerBreaksOff has a line in between that is cut
// within the first two answers that are long.
func TestStore_GoesOnWhereAnAnswerBreaksOff(t *testing.T) {
	t.Parallel()
	direct, at := withBucket(t)
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	_, err := direct.Push(t.Context(), fileOf(t, "signer-1.dump", content))
	require.NoError(t, err)

	var cuts atomic.Int32
	cuts.Store(2)
	cfg := configOf(at)
	cfg.Endpoint = "http://" + cutting(t, at.Address, &cuts)
	to := filepath.Join(t.TempDir(), "fetched")
	_, err = open(t, cfg).Fetch(t.Context(), "signer-1.dump", to)
	require.NoError(t, err)
	require.LessOrEqual(t, cuts.Load(), int32(0))
	got, err := os.ReadFile(to)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))

	cuts.Store(1000)
	_, err = open(t, cfg).Verify(t.Context(), "signer-1.dump")
	require.ErrorContains(t, err, "unexpected EOF", "and it does not do so for ever")
}

// cutting passes connections on, and ends some after 100 kB of the answer.
func cutting(t *testing.T, to string, cuts *atomic.Int32) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			up, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "tcp", to)
			if err != nil {
				_ = from.Close()
				continue
			}
			context.AfterFunc(t.Context(), func() { _, _ = up.Close(), from.Close() })
			running.Go(func() {
				_, _ = io.Copy(up, from)
				_ = up.Close()
			})
			running.Go(func() {
				const before = 100_000
				if n, _ := io.CopyN(from, up, before); n == before && cuts.Add(-1) >= 0 {
					_ = up.Close()
				} else {
					_, _ = io.Copy(from, up)
				}
				_ = from.Close()
			})
		}
	})
	return listener.Addr().String()
}

// TestSignatures_StandAProxyThatChangesEncodings has one in between as clouds have them.
func TestSignatures_StandAProxyThatChangesEncodings(t *testing.T) {
	t.Parallel()
	_, at := withBucket(t)
	store, err := url.Parse("http://" + at.Address)
	require.NoError(t, err)
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(store)
		r.Out.Host = r.In.Host
		r.Out.Header.Set("Accept-Encoding", "gzip,gzip(gfe)")
	}})
	t.Cleanup(proxy.Close)
	cfg := configOf(at)
	cfg.Endpoint = proxy.URL
	s := open(t, cfg)
	_, err = s.Push(t.Context(), fileOf(t, "signer-1.dump", []byte("content")))
	require.NoError(t, err)
	require.Equal(t, []string{"signer-1.dump"}, namesOf(t, s))
}

func TestPartSize_StaysBelowWhatS3Takes(t *testing.T) {
	t.Parallel()
	require.Equal(t, int64(64<<20), partSize(1<<30, defaultPartSize))
	huge := int64(5) << 40 // the largest object
	require.LessOrEqual(t, (huge+partSize(huge, defaultPartSize)-1)/partSize(huge, defaultPartSize), int64(maxParts))
}
