package cache

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

func newTestCoder(tb testing.TB) *coder {
	tb.Helper()
	c, err := newCoder(DefaultCompression())
	require.NoError(tb, err)
	return c
}

func TestEntry_Coding(t *testing.T) {
	t.Parallel()

	c := newTestCoder(t)
	for name, e := range map[string]Entry{
		"final":       {Value: []byte(`"0x1"`), Number: 7},
		"unfinalized": {Value: []byte(`{}`), Finality: Unfinalized, Number: 1 << 60, Hash: strings.Trim(hash, `"`), Asked: 5, Until: 6},
		"large":       {Value: []byte(`"` + strings.Repeat("0", 100_000) + `"`), Finality: Unknown},
	} {
		got, err := c.decode(c.encode(e))
		require.NoError(t, err, name)
		require.Equal(t, e, got, name)
	}
	require.Less(t, len(c.encode(Entry{Value: []byte(`"` + strings.Repeat("0", 100_000) + `"`)})), 1000)

	for name, text := range map[string]string{
		"nothing": "", "version 1": "\x01\"0x1\"", "no JSON": string(c.encode(Entry{Value: []byte("x")})), "no value": string(c.encode(Entry{})),
		"an unknown flag": "\x02\x02" + strings.Repeat("\x00", 26) + "1", "half a hash": "\x02\x00\x00\x10" + strings.Repeat("\x00", 60),
		"no zstd": "\x02\x01\x00\x00" + strings.Repeat("\x00", 24) + "1",
	} {
		_, err := c.decode([]byte(text))
		require.Error(t, err, name)
	}
}

func TestEntry_Age(t *testing.T) {
	t.Parallel()

	now := time.UnixMilli(10_000)
	require.Equal(t, 3*time.Second, Entry{Asked: 7000}.Age(now))
	require.Zero(t, Entry{}.Age(now))
	require.Equal(t, int64(12_000), Entry{Until: 1}.expiring(now, 2*time.Second).Until)
	require.Zero(t, Entry{Until: 1}.expiring(now, 0).Until)
}

func TestEntry_LeftWhateverTheClocksSay(t *testing.T) {
	t.Parallel()

	now := time.UnixMilli(100_000_000)
	at := func(d time.Duration) int64 { return now.Add(d).UnixMilli() }
	cases := map[string]struct {
		entry Entry
		want  time.Duration
	}{
		"for ever":                  {Entry{}, forever},
		"half of its time":          {Entry{Asked: at(-5 * time.Second), Until: at(5 * time.Second)}, 5 * time.Second},
		"over":                      {Entry{Asked: at(-5 * time.Second), Until: at(-time.Second)}, -time.Second},
		"the clock was set back":    {Entry{Asked: at(time.Hour), Until: at(time.Hour + 5*time.Second)}, 5 * time.Second},
		"the clock was set forward": {Entry{Asked: at(-time.Hour), Until: at(-time.Hour + 5*time.Second)}, -time.Hour + 5*time.Second},
		"back, and not known when":  {Entry{Finality: Realtime, Until: at(time.Hour)}, maxVolatileTTL},
		"final, and not known when": {Entry{Until: at(time.Hour)}, time.Hour},
	}
	for name, c := range cases {
		require.Equal(t, c.want, c.entry.left(now), name)
	}
}

func TestCompression_Validate(t *testing.T) {
	t.Parallel()

	require.NoError(t, DefaultCompression().Validate())
	require.ErrorContains(t, Compression{Level: "huge"}.Validate(), "must be fastest")
	require.ErrorContains(t, Compression{Level: "best", Threshold: -1}.Validate(), "must not be negative")
}

// FuzzDecodeEntry: whatever stands in Redis is an entry with a JSON value, or
// an error; and what is read can be written and read again.
func FuzzDecodeEntry(f *testing.F) {
	c := newTestCoder(f)
	f.Add(c.encode(Entry{Value: []byte(`"0x1"`), Number: 7}))
	f.Add(c.encode(Entry{Value: []byte(`"` + strings.Repeat("0", 3000) + `"`), Finality: Unfinalized, Hash: strings.Trim(hash, `"`)}))
	f.Add([]byte("\x01\"0x1\""))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := c.decode(bytes.Clone(text))
		if err != nil {
			return
		}
		require.True(t, jsonrpc.Valid(e.Value))
		again, err := c.decode(c.encode(e))
		require.NoError(t, err)
		require.Equal(t, e, again)
	})
}
