package policy

import (
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
)

const (
	alice = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
	bob   = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
	token = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
)

func ptr[T any](v T) *T { return &v }

func whole(t *testing.T, text string) *Integer {
	t.Helper()
	var i Integer
	require.NoError(t, i.UnmarshalText([]byte(text)))
	return &i
}

func amount(t *testing.T, text string) *Amount {
	t.Helper()
	var a Amount
	require.NoError(t, a.UnmarshalText([]byte(text)))
	return &a
}

// transfer is calldata of transfer(address,uint256).
func transfer(to string, value int64) []byte {
	data := common.FromHex("a9059cbb")
	data = append(data, common.LeftPadBytes(common.FromHex(to), 32)...)
	return append(data, common.LeftPadBytes(big.NewInt(value).Bytes(), 32)...)
}

// call is a call that every test changes.
func call(change func(*Request)) Request {
	to := common.HexToAddress(token)
	r := Request{
		Kind: KindTransaction, Tenant: "acme", Caller: "key:portal", Sender: common.HexToAddress(alice), Chain: 1337,
		To: &to, Value: new(big.Int), Gas: 100_000, Data: transfer(bob, 100),
	}
	if change != nil {
		change(&r)
	}
	return r
}

func allow(r Rule) Rule {
	r.ID, r.Effect = "a", EffectAllow
	return r
}

func TestPolicy_ConditionsOfARule(t *testing.T) {
	t.Parallel()
	code := []byte{0x60, 0x80}
	cases := map[string]struct {
		rule Rule
		asks Request
		want bool
	}{
		"nothing given":                {allow(Rule{}), call(nil), true},
		"kind":                         {allow(Rule{Kinds: []Kind{KindTransaction}}), call(nil), true},
		"another kind":                 {allow(Rule{Kinds: []Kind{KindDeploy}}), call(nil), false},
		"tenant":                       {allow(Rule{Tenants: []string{"acme"}}), call(nil), true},
		"another tenant":               {allow(Rule{Tenants: []string{"other"}}), call(nil), false},
		"caller":                       {allow(Rule{Callers: []string{"key:portal"}}), call(nil), true},
		"another caller":               {allow(Rule{Callers: []string{"jwt:portal"}}), call(nil), false},
		"sender":                       {allow(Rule{Senders: []string{strings.ToLower(alice)}}), call(nil), true},
		"another sender":               {allow(Rule{Senders: []string{bob}}), call(nil), false},
		"chain":                        {allow(Rule{Chains: []uint64{1, 1337}}), call(nil), true},
		"another chain":                {allow(Rule{Chains: []uint64{1}}), call(nil), false},
		"recipient":                    {allow(Rule{Recipients: []string{token}}), call(nil), true},
		"another recipient":            {allow(Rule{Recipients: []string{bob}}), call(nil), false},
		"no recipient at all":          {allow(Rule{Recipients: []string{bob}}), call(func(r *Request) { r.Kind, r.To = KindDeploy, nil }), false},
		"selector":                     {allow(Rule{Methods: []string{"0xa9059cbb"}}), call(nil), true},
		"signature":                    {allow(Rule{Methods: []string{"transfer(address, uint256)"}}), call(nil), true},
		"one of two":                   {allow(Rule{Methods: []string{"0x00000000", "0xa9059cbb"}}), call(nil), true},
		"another method":               {allow(Rule{Methods: []string{"approve(address,uint256)"}}), call(nil), false},
		"no data":                      {allow(Rule{Methods: []string{""}}), call(func(r *Request) { r.Data = nil }), true},
		"data where none may be":       {allow(Rule{Methods: []string{""}}), call(nil), false},
		"half a selector":              {allow(Rule{Methods: []string{"0xa9059cbb"}}), call(func(r *Request) { r.Data = r.Data[:3] }), false},
		"value at the bounds":          {allow(Rule{MinValue: amount(t, "5"), MaxValue: amount(t, "5")}), call(func(r *Request) { r.Value = big.NewInt(5) }), true},
		"value above":                  {allow(Rule{MaxValue: amount(t, "5")}), call(func(r *Request) { r.Value = big.NewInt(6) }), false},
		"value below":                  {allow(Rule{MinValue: amount(t, "5")}), call(func(r *Request) { r.Value = nil }), false},
		"no value at all":              {allow(Rule{MaxValue: amount(t, "0")}), call(nil), true},
		"gas":                          {allow(Rule{MinGas: ptr(uint64(1)), MaxGas: ptr(uint64(100_000))}), call(nil), true},
		"gas above":                    {allow(Rule{MaxGas: ptr(uint64(99_999))}), call(nil), false},
		"gas that will be estimated":   {allow(Rule{MaxGas: ptr(uint64(99_999))}), call(func(r *Request) { r.Gas = 0 }), false},
		"gas limit without gas":        {allow(Rule{Limits: []Limit{{Period: time.Hour, Gas: ptr(uint64(9))}}}), call(func(r *Request) { r.Gas = 0 }), false},
		"argument within":              {allow(Rule{Methods: []string{"transfer(address,uint256)"}, Arguments: []Argument{{At: "1", Max: whole(t, "100")}}}), call(nil), true},
		"argument above":               {allow(Rule{Methods: []string{"transfer(address,uint256)"}, Arguments: []Argument{{At: "1", Max: whole(t, "99")}}}), call(nil), false},
		"argument below":               {allow(Rule{Methods: []string{"transfer(address,uint256)"}, Arguments: []Argument{{At: "1", Min: whole(t, "101")}}}), call(nil), false},
		"argument is one of":           {allow(Rule{Methods: []string{"transfer(address,uint256)"}, Arguments: []Argument{{At: "0", OneOf: []string{bob}}}}), call(nil), true},
		"argument is none of":          {allow(Rule{Methods: []string{"transfer(address,uint256)"}, Arguments: []Argument{{At: "0", OneOf: []string{alice}}}}), call(nil), false},
		"number is one of":             {allow(Rule{Methods: []string{"transfer(address,uint256)"}, Arguments: []Argument{{At: "1", OneOf: []string{"0x64"}}}}), call(nil), true},
		"arguments cut short":          {allow(Rule{Methods: []string{"transfer(address,uint256)"}, Arguments: []Argument{{At: "1", Max: whole(t, "100")}}}), call(func(r *Request) { r.Data = r.Data[:40] }), false},
		"code":                         {allow(Rule{CodeHashes: []string{crypto.Keccak256Hash(code).Hex()}}), call(func(r *Request) { r.Kind, r.To, r.Data = KindDeploy, nil, code }), true},
		"other code":                   {allow(Rule{CodeHashes: []string{crypto.Keccak256Hash(code).Hex()}}), call(func(r *Request) { r.Kind, r.To = KindDeploy, nil }), false},
		"code condition and a call":    {allow(Rule{CodeHashes: []string{crypto.Keccak256Hash(code).Hex()}}), call(func(r *Request) { r.Data = code }), false},
		"message":                      {allow(Rule{Kinds: []Kind{KindMessage}}), call(func(r *Request) { r.Kind = KindMessage }), true},
		"message and a recipient":      {allow(Rule{Recipients: []string{token}}), call(func(r *Request) { r.Kind = KindMessage }), false},
		"domain":                       {allow(Rule{Domains: []Domain{{Name: "Ether Mail", VerifyingContract: token}}}), typed(Domain{Name: "Ether Mail", Version: "1", ChainID: 1337, VerifyingContract: strings.ToLower(token)}), true},
		"another contract":             {allow(Rule{Domains: []Domain{{Name: "Ether Mail", VerifyingContract: token}}}), typed(Domain{Name: "Ether Mail", VerifyingContract: bob}), false},
		"no contract":                  {allow(Rule{Domains: []Domain{{VerifyingContract: token}}}), typed(Domain{}), false},
		"primary type":                 {allow(Rule{PrimaryTypes: []string{"Mail"}}), typed(Domain{}), true},
		"another primary type":         {allow(Rule{PrimaryTypes: []string{"Permit"}}), typed(Domain{}), false},
		"domain and a transaction":     {allow(Rule{Domains: []Domain{{Name: "x"}}}), call(nil), false},
		"typed data and a value":       {allow(Rule{MaxValue: amount(t, "0")}), typed(Domain{}), false},
		"everything else of a request": {allow(Rule{}), call(func(r *Request) { r.Kind = "other" }), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := New(Config{Rules: []Rule{c.rule}})
			require.NoError(t, err)

			d := p.Decide(c.asks)

			require.Equal(t, c.want, d.Outcome == Allowed, d.Reason())
			require.Equal(t, !c.want, d.Stops())
		})
	}
}

func typed(d Domain) Request {
	return call(func(r *Request) { r.Kind, r.To, r.Data, r.Domain, r.PrimaryType = KindTypedData, nil, nil, d, "Mail" })
}

// What cannot be known must not help the caller: leaving the gas out is no way
// around a rule that denies much gas.
func TestPolicy_TheUnknownCountsAgainstTheCaller(t *testing.T) {
	t.Parallel()
	everything := Rule{ID: "all", Effect: EffectAllow}
	much := Rule{ID: "much", Effect: EffectDeny, MinGas: ptr(uint64(1_000_000))}
	large := Rule{ID: "large", Effect: EffectApproval, Approvals: 1, Methods: []string{"transfer(address,uint256)"}, Arguments: []Argument{{At: "1", Min: whole(t, "1000")}}}
	cases := map[string]struct {
		asks Request
		want Outcome
	}{
		"known and small":    {call(nil), Allowed},
		"gas left out":       {call(func(r *Request) { r.Gas = 0 }), Denied},
		"much gas":           {call(func(r *Request) { r.Gas = 1_000_000 }), Denied},
		"large":              {call(func(r *Request) { r.Data = transfer(bob, 1000) }), NeedsApproval},
		"cut short":          {call(func(r *Request) { r.Data = r.Data[:50] }), NeedsApproval},
		"too large a number": {call(func(r *Request) { r.Data[4+31] = 1 }), Allowed}, // an address with other upper bytes is read as the chain reads it
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := New(Config{Rules: []Rule{everything, much, large}})
			require.NoError(t, err)

			require.Equal(t, c.want, p.Decide(c.asks).Outcome)
		})
	}
}

func TestPolicy_EffectsInAnyOrder(t *testing.T) {
	t.Parallel()
	a := Rule{ID: "a", Effect: EffectAllow}
	d := Rule{ID: "d", Effect: EffectDeny, Tenants: []string{"acme"}}
	n := Rule{ID: "n", Effect: EffectApproval, Approvals: 2}
	m := Rule{ID: "m", Effect: EffectApproval, Approvals: 1, Approvers: []string{"key:boss"}}
	cases := map[string]struct {
		rules  []Rule
		dryRun bool
		asks   Request
		want   Outcome
		why    string
		stops  bool
	}{
		"no rules":                   {nil, false, call(nil), Allowed, "there are no rules", false},
		"no rule matches":            {[]Rule{d}, false, call(func(r *Request) { r.Tenant = "other" }), Denied, "no rule allows it", true},
		"allowed":                    {[]Rule{a}, false, call(nil), Allowed, "allowed by a", false},
		"deny wins, first":           {[]Rule{d, a, n}, false, call(nil), Denied, "denied by d", true},
		"deny wins, last":            {[]Rule{n, a, d}, false, call(nil), Denied, "denied by d", true},
		"approval wins over allow":   {[]Rule{a, n, m}, false, call(nil), NeedsApproval, "needs approval by n, m", false},
		"a message cannot wait":      {[]Rule{a, n}, false, call(func(r *Request) { r.Kind = KindMessage }), Denied, "denied by n", true},
		"dry run records and allows": {[]Rule{d}, true, call(nil), Denied, "denied by d", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := New(Config{Rules: c.rules, DryRun: c.dryRun})
			require.NoError(t, err)

			got := p.Decide(c.asks)

			require.Equal(t, c.want, got.Outcome)
			require.Equal(t, c.why, got.Reason())
			require.Equal(t, c.stops, got.Stops())
		})
	}
	p, err := New(Config{Rules: []Rule{n, m}})
	require.NoError(t, err)
	got := p.Decide(call(nil))
	require.True(t, got.Waits())
	require.Equal(t, []Approval{{Rule: "n", Count: 2}, {Rule: "m", Count: 1, Approvers: []string{"key:boss"}}}, got.Approvals)
}

func TestApproval_IsMet(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		need   Approval
		agreed []string
		want   bool
	}{
		"nobody":              {Approval{Count: 1}, nil, false},
		"anybody":             {Approval{Count: 1}, []string{"key:a"}, true},
		"one, twice":          {Approval{Count: 2}, []string{"key:a", "key:a"}, false},
		"two":                 {Approval{Count: 2}, []string{"key:a", "key:b"}, true},
		"not one of them":     {Approval{Count: 1, Approvers: []string{"key:a"}}, []string{"key:b"}, false},
		"two of three":        {Approval{Count: 2, Approvers: []string{"key:a", "key:b", "key:c"}}, []string{"key:c", "key:x", "key:a"}, true},
		"one of three, twice": {Approval{Count: 2, Approvers: []string{"key:a", "key:b", "key:c"}}, []string{"key:c", "key:c", "key:y"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, c.need.IsMet(c.agreed))
		})
	}
}

func TestPolicy_Charges(t *testing.T) {
	t.Parallel()
	p, err := New(Config{Rules: []Rule{
		{ID: "a", Effect: EffectAllow, Limits: []Limit{
			{Period: time.Hour, Per: PerSender, Count: ptr(uint64(10)), Value: amount(t, "1 gwei")}, {Period: 24 * time.Hour, Gas: ptr(uint64(7))},
		}},
		{ID: "b", Effect: EffectAllow, Tenants: []string{"other"}, Limits: []Limit{{Period: time.Hour, Count: ptr(uint64(1))}}},
		{ID: "c", Effect: EffectApproval, Approvals: 1, Limits: []Limit{{Period: time.Hour, Per: PerCaller, Count: ptr(uint64(1))}}},
	}})
	require.NoError(t, err)

	got := p.Decide(call(func(r *Request) { r.Value = big.NewInt(3) })).Charges

	require.Len(t, got, 3)
	require.Equal(t, `"c" 1h0m0s caller "acme/key:portal"`, got[0].Key)
	require.Equal(t, `"a" 1h0m0s sender "`+alice+`"`, got[1].Key)
	require.Equal(t, big.NewInt(1e9), got[1].MaxValue)
	require.Equal(t, big.NewInt(3), got[1].Value)
	require.EqualValues(t, 100_000, got[2].Gas)
	require.Nil(t, got[2].MaxCount)
	require.Equal(t, `"a" 24h0m0s rule ""`, got[2].Key)
}

func TestMethod_Nested(t *testing.T) {
	t.Parallel()
	const signature = "pay((address,uint256)[],bool,bytes4,string,int8)"
	m, err := newMethod(signature, nil)
	require.NoError(t, err)
	word := func(v int64) []byte { return common.LeftPadBytes(big.NewInt(v).Bytes(), 32) }
	var data []byte
	data = append(data, m.selector...)
	data = append(data, word(160)...)                                                // the list
	data = append(data, word(1)...)                                                  // true
	data = append(data, common.RightPadBytes([]byte{0xde, 0xad, 0xbe, 0xef}, 32)...) // bytes4
	data = append(data, word(320)...)                                                // the text
	for range 32 {
		data = append(data, 0xff) // -1
	}
	data = append(data, word(2)...)
	data = append(data, common.LeftPadBytes(common.FromHex(alice), 32)...)
	data = append(data, word(5)...)
	data = append(data, common.LeftPadBytes(common.FromHex(bob), 32)...)
	data = append(data, word(9)...)
	data = append(data, word(2)...)
	data = append(data, common.RightPadBytes([]byte("hi"), 32)...)
	cases := map[string]struct {
		bound Argument
		want  truth
	}{
		"every element":        {Argument{At: "0.1", Max: whole(t, "9")}, yes},
		"one element is above": {Argument{At: "0.1", Max: whole(t, "8")}, no},
		"addresses":            {Argument{At: "0.0", OneOf: []string{alice, bob}}, yes},
		"one is not among":     {Argument{At: "0.0", OneOf: []string{alice}}, no},
		"bool":                 {Argument{At: "1", OneOf: []string{"true"}}, yes},
		"bytes":                {Argument{At: "2", OneOf: []string{"0xdeadbeef"}}, yes},
		"other bytes":          {Argument{At: "2", OneOf: []string{"0xdeadbeee"}}, no},
		"text":                 {Argument{At: "3", OneOf: []string{"ho", "hi"}}, yes},
		"negative":             {Argument{At: "4", Min: whole(t, "-1"), Max: whole(t, "-1")}, yes},
		"not negative":         {Argument{At: "4", Min: whole(t, "0")}, no},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, c.bound.fits(m.inputs))
			require.Equal(t, c.want, m.holds(data, []Argument{c.bound}))
		})
	}
}

func TestNew_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		rule Rule
		want string
	}{
		"no id":               {Rule{Effect: EffectAllow}, "an id of its own"},
		"no effect":           {Rule{ID: "a"}, "must be allow, deny or require_approval"},
		"no approvals":        {Rule{ID: "a", Effect: EffectApproval}, "at least 1"},
		"too few approvers":   {Rule{ID: "a", Effect: EffectApproval, Approvals: 2, Approvers: []string{"x"}}, "fewer than approvals"},
		"approvals to allow":  {Rule{ID: "a", Effect: EffectAllow, Approvals: 1}, "for require_approval only"},
		"approval of message": {Rule{ID: "a", Effect: EffectApproval, Approvals: 1, Kinds: []Kind{KindMessage}}, "can wait for approval"},
		"kind":                {allow(Rule{Kinds: []Kind{"x"}}), "must be transaction"},
		"empty list":          {allow(Rule{Senders: []string{}}), "matches nothing"},
		"address":             {allow(Rule{Senders: []string{"0x12"}}), "senders"},
		"checksum":            {allow(Rule{Recipients: []string{strings.Replace(alice, "f", "F", 1)}}), "checksum"},
		"selector":            {allow(Rule{Methods: []string{"0x1234"}}), "8 hex digits"},
		"signature":           {allow(Rule{Methods: []string{"transfer"}}), "signature such as"},
		"type":                {allow(Rule{Methods: []string{"transfer(uint257)"}}), "type"},
		"no methods":          {allow(Rule{Arguments: []Argument{{At: "0", OneOf: []string{"1"}}}}), "need methods"},
		"bound selector":      {allow(Rule{Methods: []string{"0xa9059cbb"}, Arguments: []Argument{{At: "0", OneOf: []string{"1"}}}}), "a signature is needed"},
		"no such argument":    {allow(Rule{Methods: []string{"f(bool)"}, Arguments: []Argument{{At: "1", OneOf: []string{"true"}}}}), "has 1 arguments"},
		"no such field":       {allow(Rule{Methods: []string{"f(bool)"}, Arguments: []Argument{{At: "0.0", OneOf: []string{"true"}}}}), "no such field"},
		"bound of an address": {allow(Rule{Methods: []string{"f(address)"}, Arguments: []Argument{{At: "0", Max: &Integer{}}}}), "for integers"},
		"no bound":            {allow(Rule{Methods: []string{"f(bool)"}, Arguments: []Argument{{At: "0"}}}), "must be given"},
		"a tuple":             {allow(Rule{Methods: []string{"f((bool,bool))"}, Arguments: []Argument{{At: "0", OneOf: []string{"1"}}}}), "is a tuple"},
		"wrong value":         {allow(Rule{Methods: []string{"f(bytes4)"}, Arguments: []Argument{{At: "0", OneOf: []string{"0x12"}}}}), "bytes4"},
		"place":               {allow(Rule{Methods: []string{"f(bool)"}, Arguments: []Argument{{At: "x", OneOf: []string{"true"}}}}), "numbers from 0"},
		"code hash":           {allow(Rule{CodeHashes: []string{"0x12"}}), "64 hex digits"},
		"limit of a denial":   {Rule{ID: "a", Effect: EffectDeny, Limits: []Limit{{Period: time.Hour, Count: ptr(uint64(1))}}}, "no meaning for deny"},
		"limit of nothing":    {allow(Rule{Limits: []Limit{{Period: time.Hour}}}), "count, value or gas"},
		"short period":        {allow(Rule{Limits: []Limit{{Period: time.Second, Count: ptr(uint64(1))}}}), "period"},
		"scope":               {allow(Rule{Limits: []Limit{{Period: time.Hour, Per: "x", Count: ptr(uint64(1))}}}), "per"},
		"the same twice":      {allow(Rule{Limits: []Limit{{Period: time.Hour, Count: ptr(uint64(1))}, {Period: time.Hour, Per: PerRule, Count: ptr(uint64(1))}}}), "the same period"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New(Config{Rules: []Rule{c.rule}})

			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestNew_VersionsAreOfTheContent(t *testing.T) {
	t.Parallel()
	version := func(rules ...Rule) string {
		p, err := New(Config{Rules: rules})
		require.NoError(t, err)
		return p.Version()
	}
	require.Equal(t, version(allow(Rule{MaxValue: amount(t, "1 gwei")})), version(allow(Rule{MaxValue: amount(t, "1000000000")})))
	require.NotEqual(t, version(allow(Rule{MaxValue: amount(t, "1 gwei")})), version(allow(Rule{MaxValue: amount(t, "2 gwei")})))
}

func TestAmount(t *testing.T) {
	t.Parallel()
	most := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	for text, want := range map[string]string{
		"0": "0", "12": "12", "12 wei": "12", "5gwei": "5000000000", "1.5 ether": "1500000000000000000", "0x10": "16", most.String(): most.String(),
		"-1": "", "1_000": "", "": "", "ether": "", "1.5": "", "0.0000000001 gwei": "", most.String() + "0": "", "0x1 ether": "", "1e18": "", ".5 ether": "", "+1": "",
	} {
		var a Amount
		err := a.UnmarshalText([]byte(text))
		if want == "" {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, a.Big().String(), text)
	}
}

// FuzzDecide holds calldata from anywhere against rules that decode it: it must
// neither panic nor let undecodable arguments through.
func FuzzDecide(f *testing.F) {
	config := `{"rules":[
		{"id":"small","effect":"allow","methods":["transfer(address,uint256)","pay((address,uint256)[],bytes,string)","m(uint8[2][],int128)"]},
		{"id":"one","effect":"allow","methods":["transfer(address,uint256)"],"arguments":[{"at":"1","max":"100"},{"at":"0","oneOf":["` + bob + `"]}],"maxValue":"10"},
		{"id":"two","effect":"deny","methods":["pay((address,uint256)[],bytes,string)"],"arguments":[{"at":"0.1","min":"7"}]},
		{"id":"three","effect":"require_approval","approvals":1,"methods":["m(uint8[2][],int128)"],"arguments":[{"at":"0","max":"7"},{"at":"1","min":"-7"}]}]}`
	var cfg Config
	require.NoError(f, json.Unmarshal([]byte(config), &cfg))
	all, err := New(cfg)
	require.NoError(f, err)
	one, err := New(Config{Rules: cfg.Rules[1:2]})
	require.NoError(f, err)
	f.Add(transfer(bob, 100), uint64(0), uint64(21000))
	f.Add(transfer(alice, 101), uint64(11), uint64(0))
	for _, text := range []string{"", "a9059cbb", "a9059c", "ffffffff"} {
		raw, err := hex.DecodeString(text)
		require.NoError(f, err)
		f.Add(raw, uint64(1), uint64(1))
	}
	for _, text := range cfg.Rules[0].Methods {
		m, err := parseSignature(text)
		require.NoError(f, err)
		f.Add(append(m.selector, make([]byte, 320)...), uint64(0), uint64(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, value, gas uint64) {
		asked := call(func(r *Request) { r.Data, r.Value, r.Gas = data, new(big.Int).SetUint64(value), gas })
		all.Decide(asked)
		if one.Decide(asked).Outcome != Allowed {
			return
		}
		if len(data) < 68 || value > 10 || new(big.Int).SetBytes(data[36:68]).Cmp(big.NewInt(100)) > 0 || common.BytesToAddress(data[16:36]) != common.HexToAddress(bob) {
			t.Fatalf("allowed: %x with value %d", data, value)
		}
	})
}

// FuzzNew reads signatures and bounds from anywhere.
func FuzzNew(f *testing.F) {
	f.Add("transfer(address,uint256)", "1", "5", "0x00")
	f.Add("f((uint8,(bool,string)[])[2][])", "0.1.0", "-5", "true")
	f.Add("f(", "", "", "")
	f.Fuzz(func(_ *testing.T, signature, at, bound, value string) {
		r := allow(Rule{Methods: []string{signature}, Arguments: []Argument{{At: at, OneOf: []string{value}}}})
		var i Integer
		if i.UnmarshalText([]byte(bound)) == nil {
			r.Arguments[0].Max = &i
		}
		p, err := New(Config{Rules: []Rule{r}})
		if err != nil {
			return
		}
		data := append([]byte(nil), p.rules[0].methods[0].selector...)
		for n := range 12 {
			p.Decide(call(func(r *Request) { r.Data = append(data, make([]byte, 32*n)...) }))
		}
	})
}
