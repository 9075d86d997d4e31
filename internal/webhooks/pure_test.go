package webhooks

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/events"
)

func TestGuard_Allows(t *testing.T) {
	t.Parallel()
	cases := map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1:248:1893:25c8:1946": true, "::ffff:93.184.216.34": true, "64:ff9b::5db8:d822": true,

		"127.0.0.1": false, "127.8.8.8": false, "::1": false, "::ffff:127.0.0.1": false, "::127.0.0.1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "::ffff:10.0.0.1": false,
		"169.254.1.1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false,
		"100.64.0.1": false, "100.127.255.255": false, "198.18.0.1": false, "192.0.0.8": false, "192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false,
		"224.0.0.1": false, "ff02::1": false, "240.0.0.1": false, "255.255.255.255": false,
		"fc00::1": false, "fd12:3456::1": false, "2001:db8::1": false, "2001::1": false, "3fff::1": false, "5f00::1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2002:a00:1::1": false,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "fd00:ec2::254": false, "100.100.100.200": false, "168.63.129.16": false,
	}
	for text, want := range cases {
		require.Equal(t, want, guard{}.allows(netip.MustParseAddr(text)), text)
	}
	open := guard{allowed: []netip.Prefix{netip.MustParsePrefix("10.42.0.0/16"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("169.254.0.0/16")}}
	for text, want := range map[string]bool{
		"10.42.3.4": true, "::ffff:10.42.3.4": true, "10.43.0.1": false, "127.0.0.1": true, "fd00::1": true, "::1": false,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "fd00:ec2::254": false,
	} {
		require.Equal(t, want, open.allows(netip.MustParseAddr(text)), text)
	}
	require.ErrorIs(t, guard{}.control("tcp", "not an address", nil), errAddress)
	require.ErrorIs(t, guard{}.control("tcp4", "127.0.0.1:80", nil), errAddress)
	require.NoError(t, guard{}.control("tcp4", net.JoinHostPort("93.184.216.34", "443"), nil))
}

func TestVerify(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	body := []byte(`{"id":"1"}`)
	header := func(timestamp time.Time, secrets ...string) http.Header {
		h := http.Header{}
		h.Set(HeaderID, "an-id")
		h.Set(HeaderTimestamp, strconv.FormatInt(timestamp.Unix(), 10))
		h.Set(HeaderSignature, sign(secrets, h.Get(HeaderTimestamp), "an-id", body))
		return h
	}
	// A vector made with OpenSSL; docs/events.md shows it for other languages.
	require.Equal(t, "v1=90a1cf4e61c7f99ac7e3c038d1ed69bc5512e8d66f6653da0536ec3d871941be",
		sign([]string{"whsec_0123456789abcdef0123456789"}, "1700000000", "5d8a1f6e-0c5b-4c9b-9a51-7f2f6f0f8f11", body))

	require.NoError(t, Verify("one", header(now, "one"), body, now, time.Minute))
	require.NoError(t, Verify("two", header(now, "one", "two"), body, now, time.Minute), "while secrets are changed, both are right")
	require.NoError(t, Verify("one", header(now, "one", "two"), body, now.Add(59*time.Second), time.Minute))
	require.ErrorIs(t, Verify("three", header(now, "one", "two"), body, now, time.Minute), ErrSignature)
	require.ErrorIs(t, Verify("one", header(now, "one"), []byte(`{"id":"2"}`), now, time.Minute), ErrSignature)
	require.ErrorIs(t, Verify("one", header(now, "one"), body, now.Add(2*time.Minute), time.Minute), ErrSignature, "played again later")
	require.ErrorIs(t, Verify("one", header(now.Add(2*time.Minute), "one"), body, now, time.Minute), ErrSignature)
	require.ErrorIs(t, Verify("one", http.Header{}, body, now, time.Minute), ErrSignature)
	for name, change := range map[string]func(http.Header){
		"another id":        func(h http.Header) { h.Set(HeaderID, "another-id") },
		"another timestamp": func(h http.Header) { h.Set(HeaderTimestamp, strconv.FormatInt(now.Unix()+1, 10)) },
		"no scheme":         func(h http.Header) { h.Set(HeaderSignature, h.Get(HeaderSignature)[3:]) },
		"cut":               func(h http.Header) { h.Set(HeaderSignature, h.Get(HeaderSignature)[:20]) },
	} {
		h := header(now, "one")
		change(h)
		require.ErrorIs(t, Verify("one", h, body, now, time.Minute), ErrSignature, name)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	near := func(want time.Duration, got time.Duration) {
		t.Helper()
		require.GreaterOrEqual(t, got, want)
		require.LessOrEqual(t, got, want+want/10)
	}
	near(time.Second, backoff(1, time.Hour, 0))
	near(2*time.Second, backoff(2, time.Hour, 0))
	near(64*time.Second, backoff(7, time.Hour, 0))
	near(time.Hour, backoff(13, time.Hour, 0))
	near(time.Hour, backoff(1_000_000, time.Hour, 0))
	near(time.Second, backoff(0, time.Hour, 0))
	near(time.Minute, backoff(1, time.Hour, time.Minute))
	near(time.Hour, backoff(1, time.Hour, 24*time.Hour))
}

func TestDecide(t *testing.T) {
	t.Parallel()
	cfg := Default()
	cases := map[string]struct {
		r    result
		age  time.Duration
		want State
	}{
		"delivered":             {result{outcome: outcomeDelivered}, time.Minute, StateDelivered},
		"delivered though old":  {result{outcome: outcomeDelivered}, 100 * time.Hour, StateDelivered},
		"failed":                {result{outcome: outcomeTimeout}, time.Minute, StatePending},
		"failed just before":    {result{outcome: outcomeStatus}, 24*time.Hour - 1, StatePending},
		"failed when it is old": {result{outcome: outcomeStatus}, 24 * time.Hour, StateDead},
	}
	for name, c := range cases {
		got := decide(c.r, 3, c.age, cfg)
		require.Equal(t, c.want, got.state, name)
		require.Equal(t, c.want == StatePending, got.pause > 0, name)
	}
}

func TestBlock_KeepsTheOrderOfEachLane(t *testing.T) {
	t.Parallel()
	hook, other, tx, otherTx := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	on := func(h, tx uuid.UUID) planned { return planned{webhook: h, event: events.Event{TxID: tx}} }
	list := []planned{on(hook, tx), on(hook, otherTx), on(hook, tx), on(other, tx), on(other, otherTx)}

	block(list, map[lane]bool{{other, otherTx}: true})

	var got []bool
	for _, d := range list {
		got = append(got, d.blocked)
	}
	require.Equal(t, []bool{false, false, true, false, true}, got)
}

func TestReadRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for text, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "120": 2 * time.Minute, "99999999999": 0, now.Add(time.Minute).UTC().Format(http.TimeFormat): time.Minute,
		now.Add(-time.Minute).UTC().Format(http.TimeFormat): 0,
	} {
		got := readRetryAfter(http.Header{"Retry-After": {text}}, now)
		if text == "99999999999" {
			require.LessOrEqual(t, got, (1<<20)*time.Second)
			continue
		}
		require.Equal(t, want, got, text)
	}
}

func TestConfig_ReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	require.NoError(t, Default().Validate())
	bad := Config{AllowNetworks: []string{"10.0.0.1"}, Lease: -1}
	err := bad.Validate()
	for _, key := range []string{"allowNetworks", "maxPerTenant", "concurrency", "perWebhook", "timeout", "lease", "maxBackoff", "giveUpAfter", "keepDead", "poll"} {
		require.ErrorContains(t, err, "webhooks."+key)
	}
}
