package wallets

import (
	"encoding/base32"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/sealed"
)

// RFC 4226, appendix D, and RFC 6238, appendix B.
func TestOTP_VectorsOfTheRFCs(t *testing.T) {
	t.Parallel()

	seed := func(n int) []byte { return []byte(strings.Repeat("1234567890", 7)[:n]) }
	for step, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		require.Equal(t, want, otpSettings{Algorithm: "SHA1", Digits: 6}.code(seed(20), int64(step)))
	}
	cases := []struct {
		unix                 int64
		sha1, sha256, sha512 string
	}{
		{59, "94287082", "46119246", "90693936"},
		{1111111109, "07081804", "68084774", "25091201"},
		{1111111111, "14050471", "67062674", "99943326"},
		{1234567890, "89005924", "91819424", "93441116"},
		{2000000000, "69279037", "90698825", "38618901"},
		{20000000000, "65353130", "77737706", "47863826"},
	}
	for _, c := range cases {
		require.Equal(t, c.sha1, otpSettings{Algorithm: "SHA1", Digits: 8}.code(seed(20), c.unix/30))
		require.Equal(t, c.sha256, otpSettings{Algorithm: "SHA256", Digits: 8}.code(seed(32), c.unix/30))
		require.Equal(t, c.sha512, otpSettings{Algorithm: "SHA512", Digits: 8}.code(seed(64), c.unix/30))
	}
}

func TestOTP_Match(t *testing.T) {
	t.Parallel()

	o := otpSettings{Algorithm: "SHA3-256", Digits: 6, Period: 30}
	key := []byte("a key")
	now := time.Unix(3000, 0) // step 100
	cases := map[string]struct {
		step, last int64
		want       bool
	}{
		"this step":            {100, 0, true},
		"the one before":       {99, 0, true},
		"the one after":        {101, 0, true},
		"too old":              {98, 0, false},
		"too new":              {102, 0, false},
		"used":                 {100, 100, false},
		"older than the used":  {99, 100, false},
		"newer than the used":  {101, 100, true},
		"used, a step further": {100, 99, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			step, ok := o.match(key, o.code(key, c.step), now, c.last)
			require.Equal(t, c.want, ok)
			if ok {
				require.Equal(t, c.step, step)
			}
		})
	}
	_, ok := o.match(key, "", now, 0)
	require.False(t, ok)
}

func TestOTP_EveryAlgorithmOfTheClients(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512"} {
		require.Regexp(t, `^\d{6}$`, otpSettings{Algorithm: name, Digits: 6}.code([]byte("k"), 1), name)
	}
	require.Nil(t, otpHash("MD5"))
}

func TestOTP_URI(t *testing.T) {
	t.Parallel()

	text := otpSettings{Algorithm: "SHA256", Digits: 8, Period: 60}.uri([]byte("12345678901234567890"), "My Bank", "my phone")

	require.NotContains(t, text, "+")
	u, err := url.Parse(text)
	require.NoError(t, err)
	require.Equal(t, "otpauth", u.Scheme)
	require.Equal(t, "totp", u.Host)
	require.Equal(t, "/My Bank:my phone", u.Path)
	require.Equal(t, url.Values{
		"secret": {"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}, "issuer": {"My Bank"}, "algorithm": {"SHA256"}, "digits": {"8"}, "period": {"60"},
	}, u.Query())
}

// The values were computed with sha256sum.
func TestPincode_Response(t *testing.T) {
	t.Parallel()

	digest := pinDigest("salt", "123456")
	require.Equal(t, "9898410d7f5045bc673db80c1a49b74f088fd7440037d8ce25c7d272a505bce5", digest)
	require.Equal(t, "11135b7efa4acab8c73c5174f1cbd8cdfe1d8e273647119bf7c0f822ccefa9e8", pinResponse(digest, "secret"))
}

func TestCodes(t *testing.T) {
	t.Parallel()

	seen := map[string]bool{}
	for _, code := range newCodes() {
		require.Regexp(t, `^[2-9A-Z]{5}-[2-9A-Z]{5}$`, code)
		require.False(t, seen[code])
		seen[code] = true
		require.Equal(t, strings.ReplaceAll(code, "-", ""), normalCode(" "+strings.ToLower(code)+"\n"))
	}
	for _, bad := range []string{"", "ABCDE", "ABCDE-FGHJ1", "ABCDE-FGHJKL", "ABCDE-FGHJ\x00"} {
		require.Empty(t, normalCode(bad), "%q", bad)
	}
}

// What was sealed before the box had a package of its own is still read.
func TestChecker_OpensRowsFromBefore(t *testing.T) {
	t.Parallel()
	c := testChecker(t)
	before, err := hex.DecodeString("7330d6f2c353d8ed901be43d02e176ab94079497e845c69161bd8547f6b19ab061d9bf")
	require.NoError(t, err)
	plain, err := c.open(&record{id: uuid.UUID{15: 7}, sealed: before})
	require.NoError(t, err)
	require.Equal(t, "hunter2", string(plain))
	_, err = c.open(&record{id: uuid.UUID{15: 8}, sealed: before})
	require.ErrorIs(t, err, ErrSealed, "it stays in its row")
}

func TestParseKey(t *testing.T) {
	t.Parallel()

	raw := []byte(strings.Repeat("k", 32))
	for _, text := range []string{hex.EncodeToString(raw), "0x" + hex.EncodeToString(raw) + "\n", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="} {
		key, err := ParseKey(text)
		require.NoError(t, err)
		require.Equal(t, raw, key)
	}
	for _, text := range []string{"", "hunter2", hex.EncodeToString(raw[:31])} {
		_, err := ParseKey(text)
		require.ErrorContains(t, err, "32 bytes")
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestNewVerification_Check(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		n    NewVerification
		want string // "": fine
	}{
		"a PIN":              {NewVerification{Name: "n", Type: Pincode, Pincode: "1234"}, ""},
		"codes":              {NewVerification{Name: "n", Type: SecretCodes}, ""},
		"OTP by default":     {NewVerification{Name: "n", Type: OTP}, ""},
		"no name":            {NewVerification{Type: SecretCodes}, "name"},
		"a long name":        {NewVerification{Name: strings.Repeat("n", 257), Type: SecretCodes}, "name"},
		"NUL in the name":    {NewVerification{Name: "a\x00", Type: SecretCodes}, "name"},
		"unknown type":       {NewVerification{Name: "n", Type: "FACE"}, "verificationType"},
		"a short PIN":        {NewVerification{Name: "n", Type: Pincode, Pincode: "123"}, "pincode"},
		"no PIN":             {NewVerification{Name: "n", Type: Pincode}, "pincode"},
		"unknown algorithm":  {NewVerification{Name: "n", Type: OTP, Algorithm: "MD5"}, "algorithm"},
		"too few digits":     {NewVerification{Name: "n", Type: OTP, Digits: 4}, "digits"},
		"too many digits":    {NewVerification{Name: "n", Type: OTP, Digits: 9}, "digits"},
		"negative digits":    {NewVerification{Name: "n", Type: OTP, Digits: -6}, "digits"},
		"a short period":     {NewVerification{Name: "n", Type: OTP, Period: 1}, "period"},
		"a long period":      {NewVerification{Name: "n", Type: OTP, Period: 3600}, "period"},
		"colon in an issuer": {NewVerification{Name: "n", Type: OTP, Issuer: "a:b"}, "issuer"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.n.check()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			var bad *InvalidError
			require.ErrorAs(t, err, &bad)
			require.Contains(t, bad.Detail, c.want)
		})
	}
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()

	require.NoError(t, Default().Validate())
	err := Config{EncryptionKeyFile: "x"}.Validate()
	for _, part := range []string{"challengeTtl", "maxFailures", "lockFor"} {
		require.ErrorContains(t, err, part)
	}
}

// testChecker locks after three failures.
func testChecker(t *testing.T) *checker {
	t.Helper()
	b, err := sealed.New(make([]byte, sealed.KeySize))
	require.NoError(t, err)
	return &checker{box: b, hasher: newHasher(), limits: limits{maxFailures: 3, lockFor: time.Minute}}
}

func TestChecker_Rule(t *testing.T) {
	t.Parallel()

	c := testChecker(t)
	now := time.Unix(1_000_000, 0)
	open := []challengeRow{{uuid.New(), "newer"}, {uuid.New(), "older"}}
	pin, _ := newRecord(NewVerification{Name: "n", Type: Pincode, Pincode: "1234"}, c.box, c.hasher)
	pin.failures = 2
	pin.challenges = open
	otp, parameters := newRecord(NewVerification{Name: "n", Type: OTP, Algorithm: "SHA1", Digits: 6, Period: 30, Issuer: "i"}, c.box, c.hasher)
	u, err := url.Parse(parameters["uri"])
	require.NoError(t, err)
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
	require.NoError(t, err)
	password := otp.otp.code(key, now.Unix()/30)
	codes, parameters := newRecord(NewVerification{Name: "n", Type: SecretCodes}, c.box, c.hasher)
	code := strings.Split(parameters["secretCodes"], ",")[3]
	answer := func(secret string) string { return pinResponse(pinDigest(pin.salt, "1234"), secret) }
	locked := func(r record) record { r.lockedUntil = now.Add(time.Second); return r }
	asked := func(r record) record { r.challenges = open[:1]; return r }
	none := func(r record) record { r.challenges = nil; return r }
	named := Target{Challenge: open[0].id}

	cases := map[string]struct {
		list     []record
		target   Target
		response string
		used     *uuid.UUID
		err      error
		failures int // of the first changed record, -1 when none is changed
	}{
		"a PIN for the newest challenge":   {[]record{pin}, Target{}, answer("newer"), &open[0].id, nil, 0},
		"a PIN for an older challenge":     {[]record{pin}, Target{}, answer("older"), &open[1].id, nil, 0},
		"a PIN for the named challenge":    {[]record{asked(pin)}, named, answer("newer"), &open[0].id, nil, 0},
		"a PIN for another challenge":      {[]record{asked(pin)}, named, answer("older"), nil, ErrUnverified, 0}, // the third failure: locked
		"a PIN without challenge":          {[]record{none(pin)}, Target{}, answer("newer"), nil, ErrUnverified, 0},
		"a PIN in clear":                   {[]record{pin}, Target{}, "1234", nil, ErrUnverified, 0},
		"a password":                       {[]record{otp}, Target{}, password, nil, nil, 0},
		"a password for a named challenge": {[]record{asked(otp)}, named, password, &open[0].id, nil, 0},
		"a password, challenge gone":       {[]record{none(otp)}, named, password, nil, ErrUnverified, 1},
		"a wrong password":                 {[]record{otp}, Target{}, "000000x", nil, ErrUnverified, 1},
		"a code":                           {[]record{codes}, Target{}, code, nil, nil, 0},
		"a code for a named challenge":     {[]record{asked(codes)}, named, code, &open[0].id, nil, 0},
		"a wrong code":                     {[]record{codes}, Target{}, "ABCDE-FGHJK", nil, ErrUnverified, 1},
		"no code at all":                   {[]record{codes}, Target{}, "x", nil, ErrUnverified, 1},
		"one of several":                   {[]record{otp, codes, pin}, Target{}, answer("newer"), &open[0].id, nil, 0},
		"none of several":                  {[]record{otp, codes, pin}, Target{}, "x", nil, ErrUnverified, 1},
		"no verification":                  {nil, Target{}, code, nil, ErrUnverified, -1},
		"a locked one":                     {[]record{locked(codes)}, Target{}, code, nil, &LockedError{Until: now.Add(time.Second)}, -1},
		"another one is locked":            {[]record{locked(otp), codes}, Target{}, code, nil, nil, 0},
		"an empty response":                {[]record{otp}, Target{}, "", nil, ErrUnverified, 1},
	}
	for name, cs := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := c.rule(cs.list, cs.target, cs.response, now)

			require.Equal(t, cs.err, got.err)
			require.Equal(t, cs.used, got.used)
			if cs.failures < 0 {
				require.Empty(t, got.changed)
				return
			}
			require.NotEmpty(t, got.changed)
			require.Equal(t, cs.failures, got.changed[0].failures)
			if cs.err == nil {
				require.Len(t, got.changed, 1, "only what was shown changes")
				require.Zero(t, got.changed[0].lockedUntil)
			}
		})
	}

	third := c.rule([]record{pin}, Target{}, "x", now).changed[0]
	require.Equal(t, now.Add(time.Minute), third.lockedUntil)

	once := c.rule([]record{codes}, Target{}, code, now).changed[0]
	require.Len(t, once.hashes, codeCount-1)
	require.Equal(t, ErrUnverified, c.rule([]record{once}, Target{}, code, now).err)
	used := c.rule([]record{otp}, Target{}, password, now).changed[0]
	require.Equal(t, ErrUnverified, c.rule([]record{used}, Target{}, password, now).err)

	otp.sealed = []byte("of another key")
	require.Equal(t, ruling{err: ErrSealed}, c.rule([]record{otp}, Target{}, password, now))
}
