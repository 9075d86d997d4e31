package gateway

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

func TestAnswerCoding(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		accept []string
		want   coding
	}{
		"nothing said":          {nil, identity},
		"empty":                 {[]string{""}, identity},
		"gzip":                  {[]string{"gzip"}, gzipped},
		"old name":              {[]string{"X-GZIP"}, gzipped},
		"zstd before gzip":      {[]string{"gzip, deflate, br, zstd"}, zstandard},
		"two lines":             {[]string{"gzip", "zstd"}, zstandard},
		"gzip is preferred":     {[]string{"zstd;q=0.5, gzip;q=0.9"}, gzipped},
		"zstd is excluded":      {[]string{"zstd;q=0, gzip"}, gzipped},
		"all excluded":          {[]string{"zstd;q=0, gzip; q=0.000"}, identity},
		"anything":              {[]string{"*"}, gzipped},
		"anything but gzip":     {[]string{"gzip;q=0, *"}, identity},
		"identity is preferred": {[]string{"identity, gzip;q=0.5"}, identity},
		"identity as well":      {[]string{"identity, gzip"}, gzipped},
		"not spoken":            {[]string{"br, deflate"}, identity},
		"broken weight":         {[]string{"gzip;q=much, zstd;q=NaN"}, identity},
		"weight above one":      {[]string{"gzip;q=7"}, identity},
		"not a weight":          {[]string{"gzip;level=1"}, identity},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, answerCoding(c.accept))
		})
	}
}

func TestBodyCoding(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		values []string
		want   coding
	}{
		"none":      {nil, identity},
		"identity":  {[]string{"identity"}, identity},
		"gzip":      {[]string{" GZip "}, gzipped},
		"zstd":      {[]string{"zstd"}, zstandard},
		"br":        {[]string{"br"}, unknownCoding},
		"two":       {[]string{"gzip, zstd"}, unknownCoding},
		"two lines": {[]string{"gzip", "zstd"}, unknownCoding},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, bodyCoding(http.Header{"Content-Encoding": c.values}))
		})
	}
}

// endless is a reader without an end; it counts what was taken from it.
type endless struct{ taken int64 }

func (e *endless) Read(b []byte) (int, error) {
	e.taken += int64(len(b))
	return len(b), nil
}

func TestReadAll_TakesOneByteBeyondTheLimitAtMost(t *testing.T) {
	t.Parallel()

	var from endless
	got, err := readAll(&from, make([]byte, 0, 4096), 1000)
	require.ErrorIs(t, err, errBodyTooLarge)
	require.Len(t, got, 1001)
	require.Equal(t, int64(1001), from.taken)
}

func deflated(t *testing.T, c coding, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var d deflaters
	d.write(&out, c, text)
	return out.Bytes()
}

func inflated(t *testing.T, c coding, from io.Reader) string {
	t.Helper()
	var reader io.Reader
	var err error
	if c == zstandard {
		reader, err = zstd.NewReader(from)
	} else {
		reader, err = gzip.NewReader(from)
	}
	require.NoError(t, err)
	text, err := io.ReadAll(reader)
	require.NoError(t, err)
	return string(text)
}

func TestCodings_ThereAndBack(t *testing.T) {
	t.Parallel()

	for _, c := range []coding{gzipped, zstandard} {
		var d deflaters
		var f inflaters
		for _, part := range []string{"a", strings.Repeat("b", 3<<20), ""} { // the second and third use pooled ones
			var out bytes.Buffer
			d.write(&out, c, []byte("["), []byte(part), []byte("]"))
			require.Equal(t, "["+part+"]", inflated(t, c, bytes.NewReader(out.Bytes())))
			got, err := f.read(&out, c, nil, 4<<20)
			require.NoError(t, err)
			require.Equal(t, "["+part+"]", string(got))
		}
	}
}

func TestInflaters_Refuse(t *testing.T) {
	t.Parallel()

	bomb := make([]byte, 64<<20)
	var wide bytes.Buffer
	window, err := zstd.NewWriter(&wide, zstd.WithWindowSize(2*maxZstdWindow))
	require.NoError(t, err)
	_, err = window.Write(make([]byte, 3*maxZstdWindow))
	require.NoError(t, err)
	require.NoError(t, window.Close())
	cases := map[string]struct {
		c    coding
		body []byte
		want error
	}{
		"gzip bomb":                {gzipped, deflated(t, gzipped, bomb), errBodyTooLarge},
		"zstd bomb":                {zstandard, deflated(t, zstandard, bomb), errBodyTooLarge},
		"members of nothing":       {gzipped, bytes.Repeat(deflated(t, gzipped, nil), 10_000), errBodyTooLarge},
		"zstd with a large window": {zstandard, wide.Bytes(), errBodyTooLarge},
		"not gzip":                 {gzipped, []byte("{}"), errBodyBroken},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f inflaters
			const limit = 100_000
			got, err := f.read(bytes.NewReader(c.body), c.c, nil, limit)
			require.ErrorIs(t, err, c.want)
			require.LessOrEqual(t, len(got), limit+1)
		})
	}
	for _, c := range []coding{gzipped, zstandard} {
		var f inflaters
		whole := deflated(t, c, []byte(strings.Repeat("abc", 1000)))
		_, err := f.read(bytes.NewReader(whole[:len(whole)/2]), c, nil, 1<<20)
		require.Error(t, err, "half a body")
		require.NotErrorIs(t, err, errBodyTooLarge)
	}
}
