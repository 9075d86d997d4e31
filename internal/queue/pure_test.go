package queue

import (
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/nodeclient"
)

func scanText(row pgx.CollectableRow) (string, error) { return pgx.RowTo[string](row) }

func wei(n int64) *big.Int { return big.NewInt(n) }

func TestChooseFees(t *testing.T) {
	t.Parallel()

	london := func(base, price, tip int64) market {
		return market{head: nodeclient.Head{BaseFee: wei(base)}, gasPrice: wei(price), tip: wei(tip)}
	}
	legacy := func(price int64) market { return market{gasPrice: wei(price)} }
	cases := map[string]struct {
		asked Fees
		mode  FeeMode
		m     market
		want  Fees
	}{
		"free network":                        {Fees{}, FeeAuto, london(0, 0, 0), Fees{MaxFee: wei(0), MaxTip: wei(0)}},
		"free network on which somebody tips": {Fees{}, FeeAuto, london(0, 0, 7), Fees{MaxFee: wei(0), MaxTip: wei(0)}},
		"free network before London":          {Fees{}, FeeAuto, legacy(0), Fees{GasPrice: wei(0)}},
		"priced network":                      {Fees{}, FeeAuto, london(100, 110, 7), Fees{MaxFee: wei(207), MaxTip: wei(7)}},
		"priced network before London":        {Fees{}, FeeAuto, legacy(9), Fees{GasPrice: wei(9)}},
		"zero by configuration":               {Fees{}, FeeZero, london(100, 110, 7), Fees{MaxFee: wei(0), MaxTip: wei(0)}},
		"market by configuration on free":     {Fees{}, FeeMarket, london(0, 0, 7), Fees{MaxFee: wei(7), MaxTip: wei(7)}},
		"the caller's gas price":              {Fees{GasPrice: wei(5)}, FeeAuto, london(100, 110, 7), Fees{GasPrice: wei(5)}},
		"the caller's fees":                   {Fees{MaxFee: wei(5), MaxTip: wei(1)}, FeeAuto, london(100, 110, 7), Fees{MaxFee: wei(5), MaxTip: wei(1)}},
		"the caller's cap, our tip":           {Fees{MaxFee: wei(500)}, FeeAuto, london(100, 110, 7), Fees{MaxFee: wei(500), MaxTip: wei(7)}},
		"the caller's cap below our tip":      {Fees{MaxFee: wei(3)}, FeeAuto, london(100, 110, 7), Fees{MaxFee: wei(3), MaxTip: wei(3)}},
		"one price, free":                     {Fees{IsGasPrice: true}, FeeAuto, london(0, 0, 0), Fees{GasPrice: wei(0)}},
		"one price, by the node":              {Fees{IsGasPrice: true}, FeeAuto, london(100, 110, 7), Fees{GasPrice: wei(110)}},
		"one price, above the node's":         {Fees{IsGasPrice: true}, FeeMarket, london(100, 101, 7), Fees{GasPrice: wei(107)}},
		"one price, before London":            {Fees{IsGasPrice: true}, FeeAuto, legacy(9), Fees{GasPrice: wei(9)}},
		"one price, zero":                     {Fees{IsGasPrice: true}, FeeZero, london(100, 110, 7), Fees{GasPrice: wei(0)}},
		"one price, fixed":                    {Fees{IsGasPrice: true}, FeeFixed, london(100, 110, 7), Fees{GasPrice: wei(9)}},
		"the caller's tip, our cap":           {Fees{MaxTip: wei(3)}, FeeAuto, london(100, 110, 7), Fees{MaxFee: wei(203), MaxTip: wei(3)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, chooseFees(c.asked, c.mode, 9, c.m))
		})
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()

	reverted := nodeclient.Estimate{Err: &jsonrpc.Error{Code: 3, Message: "execution reverted", Data: []byte(`"0xab"`)}}
	const limit = 1_000_000
	cases := map[string]struct {
		c     claimed
		e     nodeclient.Estimate
		alone bool
		gas   uint64
		want  verdict
	}{
		"estimate with margin":           {claimed{}, nodeclient.Estimate{Gas: 50_000}, true, 60_000, verdict{}},
		"a plain transfer needs none":    {claimed{}, nodeclient.Estimate{Gas: 21_000}, true, 21_000, verdict{}},
		"margin stops at the block":      {claimed{}, nodeclient.Estimate{Gas: 950_000}, true, limit, verdict{}},
		"the caller's gas as it stands":  {claimed{request: Request{Gas: 70_000}}, nodeclient.Estimate{Gas: 70_000}, true, 70_000, verdict{}},
		"revert with others in flight":   {claimed{}, reverted, false, 0, verdict{wait: WaitingForEarlier}},
		"revert alone":                   {claimed{}, reverted, true, 0, verdict{refuse: &Reason{Code: ReasonReverted, Message: "execution reverted", Data: "0xab"}}},
		"besu's words for too poor":      {claimed{}, nodeclient.Estimate{Err: &jsonrpc.Error{Code: -32004, Message: "Upfront cost exceeds account balance"}}, true, 0, verdict{refuse: &Reason{Code: ReasonInsufficientFunds, Message: "Upfront cost exceeds account balance"}}},
		"any other refusal":              {claimed{}, nodeclient.Estimate{Err: &jsonrpc.Error{Code: -32602, Message: "Invalid params"}}, true, 0, verdict{refuse: &Reason{Code: ReasonPreparation, Message: "Invalid params"}}},
		"unreadable":                     {claimed{}, nodeclient.Estimate{Err: errors.New("x")}, true, 0, verdict{refuse: &Reason{Code: ReasonPreparation, Message: "the node's gas estimate could not be read"}}},
		"expired":                        {claimed{expired: true}, nodeclient.Estimate{Gas: 21_000}, true, 0, verdict{expired: true}},
		"the caller's gas above a block": {claimed{request: Request{Gas: 2_000_000}}, nodeclient.Estimate{Gas: 2_000_000}, true, 0, verdict{refuse: &Reason{Code: ReasonGasLimit, Message: "exceeds block gas limit: gas 2000000, limit 1000000"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gas, got := judge(c.c, c.e, 20, limit, c.alone)
			require.Equal(t, c.want, got)
			require.Equal(t, c.gas, gas)
		})
	}
}

func TestTxData_TypeFollowsThePrice(t *testing.T) {
	t.Parallel()

	access := types.AccessList{{Address: common.HexToAddress("0x1")}}
	for want, p := range map[uint8]prepared{
		types.LegacyTxType:     {fees: Fees{GasPrice: wei(1)}},
		types.AccessListTxType: {fees: Fees{GasPrice: wei(1)}, claimed: claimed{request: Request{AccessList: access}}},
		types.DynamicFeeTxType: {fees: Fees{MaxFee: wei(1), MaxTip: wei(1)}, claimed: claimed{request: Request{AccessList: access}}},
	} {
		require.Equal(t, want, types.NewTx(txData(p, 1, 0)).Type())
	}

	to := common.HexToAddress("0x2")
	huge := new(big.Int).Lsh(wei(1), 300)
	setCode := types.NewTx(txData(prepared{fees: Fees{MaxFee: huge, MaxTip: wei(1)}, claimed: claimed{request: Request{
		To: &to, Value: wei(3), AccessList: access, Authorizations: []types.SetCodeAuthorization{{Nonce: 4}},
	}}}, 9, 5))
	require.EqualValues(t, types.SetCodeTxType, setCode.Type())
	require.Equal(t, wei(9), setCode.ChainId())
	require.Equal(t, wei(3), setCode.Value())
	require.Equal(t, 256, setCode.GasFeeCap().BitLen())
	require.Len(t, setCode.SetCodeAuthorizations(), 1)
}

func TestMisfit(t *testing.T) {
	t.Parallel()

	to := common.HexToAddress("0x1")
	nonce := func(n uint64) Request { return Request{To: &to, Nonce: &n} }
	setCode := Request{To: &to, Authorizations: make([]types.SetCodeAuthorization, 1)}
	cases := map[string]struct {
		r    Request
		fees Fees
		want string // "": fits
	}{
		"no nonce":                       {Request{}, Fees{}, ""},
		"the next nonce":                 {nonce(7), Fees{}, ""},
		"an earlier one":                 {nonce(6), Fees{}, "nonce too low: next nonce 7, tx nonce 6"},
		"a later one":                    {nonce(8), Fees{}, "nonce too high: next nonce 7, tx nonce 8"},
		"set-code":                       {setCode, Fees{MaxFee: wei(0), MaxTip: wei(0)}, ""},
		"set-code on a network too old":  {setCode, Fees{GasPrice: wei(0)}, "transaction type not supported"},
		"set-code without a recipient":   {Request{Authorizations: setCode.Authorizations}, Fees{MaxFee: wei(0)}, "transaction type not supported"},
		"legacy where nothing else goes": {Request{To: &to}, Fees{GasPrice: wei(0)}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := misfit(c.r, c.fees, 7)
			if c.want == "" {
				require.Nil(t, got)
				return
			}
			require.NotNil(t, got)
			require.Contains(t, got.Message, c.want)
		})
	}
}

func TestFingerprint_SeesEveryField(t *testing.T) {
	t.Parallel()

	to, other := common.HexToAddress("0x1"), common.HexToAddress("0x2")
	base := func() Request { return Request{Sender: to, To: &to, Value: wei(1), Data: []byte{1}} }
	changes := map[string]func(*Request){
		"sender": func(r *Request) { r.Sender = other }, "to": func(r *Request) { r.To = &other }, "create": func(r *Request) { r.To = nil },
		"value": func(r *Request) { r.Value = wei(2) }, "data": func(r *Request) { r.Data = []byte{2} }, "gas": func(r *Request) { r.Gas = 1 },
		"gas price": func(r *Request) { r.Fees.GasPrice = wei(0) }, "max fee": func(r *Request) { r.Fees.MaxFee = wei(0) }, "tip": func(r *Request) { r.Fees.MaxTip = wei(0) },
		"reference": func(r *Request) { r.Reference = "x" }, "not after": func(r *Request) { r.NotAfter = time.Unix(1, 0) },
		"access list": func(r *Request) { r.AccessList = types.AccessList{{Address: to}} },
		"nonce":       func(r *Request) { r.Nonce = new(uint64) },
		"authority":   func(r *Request) { r.Authorizations = []types.SetCodeAuthorization{{Address: to}} },
		"authority 2": func(r *Request) { r.Authorizations = []types.SetCodeAuthorization{{Address: to, V: 1}} },
	}
	seen := map[[32]byte]string{base().fingerprint(1): "unchanged", base().fingerprint(2): "chain"}
	for name, change := range changes {
		r := base()
		change(&r)
		f := r.fingerprint(1)
		require.Empty(t, seen[f], "%s has the same fingerprint", name)
		seen[f] = name
	}
	r := base()
	r.IdempotencyKey, r.Tenant = "k", "t"
	require.Equal(t, "unchanged", seen[r.fingerprint(1)])
}

func TestIsStolen(t *testing.T) {
	t.Parallel()

	now := time.Now()
	const after = time.Minute
	long := now.Add(-after)
	require.True(t, isStolen(slot{missing: stolenAfterHeads, missingSince: long}, now, after))
	require.False(t, isStolen(slot{missing: stolenAfterHeads - 1, missingSince: long}, now, after))
	require.False(t, isStolen(slot{missing: stolenAfterHeads, missingSince: now}, now, after))
	require.False(t, isStolen(slot{}, now, after))
}

func TestOpenSlots(t *testing.T) {
	t.Parallel()

	now := time.Now()
	at := func(nonce uint64) *slot {
		return &slot{nonce: nonce, attempts: []attempt{{hash: common.BigToHash(wei(int64(nonce)))}}}
	}
	a, b, c := at(5), at(6), at(7)
	o := newOpenSlots([]*slot{c, a, b})
	require.Equal(t, []*slot{a, b, c}, o.list)
	require.Equal(t, []*slot{a, b, c}, o.unsent())
	require.Equal(t, []*slot{a, b}, o.used(7))
	require.EqualValues(t, 5, o.lowWater(8))
	require.Same(t, b, o.byHash[b.newest().hash])

	a.sent, a.lastSent = true, now.Add(-time.Minute)
	require.True(t, o.overdue(now, time.Minute))
	a.mined = &nodeclient.Receipt{BlockNumber: 10}
	require.False(t, o.overdue(now, time.Minute), "the lowest that waits is b, and it was never sent")
	require.Equal(t, []*slot{b, c}, o.unsent())
	require.Equal(t, []*slot{b}, o.used(7))
	require.Empty(t, o.ripe(11, 3))
	require.Equal(t, []*slot{a}, o.ripe(12, 3))

	o.remove(map[*slot]bool{a: true, b: true, c: false})
	require.Equal(t, []*slot{c}, o.list)
	require.Nil(t, o.byHash[b.newest().hash])
	o.remove(map[*slot]bool{c: true})
	require.EqualValues(t, 8, o.lowWater(8))
}

func TestBackoff(t *testing.T) {
	t.Parallel()

	b := backoff{first: 100 * time.Millisecond, most: 300 * time.Millisecond}
	require.Equal(t, []time.Duration{100e6, 200e6, 300e6, 300e6}, []time.Duration{b.next(), b.next(), b.next(), b.next()})
	b.reset()
	require.Equal(t, 100*time.Millisecond, b.next())
}

func TestConfig_ReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()

	good := Default()
	good.ChainID = 53771311147
	require.NoError(t, good.Validate())

	err := Config{FeeMode: "cheap", ChainID: 1 << 63, Retention: time.Hour}.Validate()
	for _, part := range []string{"chainId", "confirmations", `feeMode "cheap"`, "batchSize", "leaseTtl", "headPoll", "resendAfter", "stolenAfter", "retention"} {
		require.ErrorContains(t, err, part)
	}
}

func TestRaisedFees(t *testing.T) {
	t.Parallel()
	wei := big.NewInt
	dynamic := func(fee, tip int64) Fees { return Fees{MaxFee: wei(fee), MaxTip: wei(tip)} }
	cases := map[string]struct {
		old, asked Fees
		m          market
		want       Fees
	}{
		"an eighth more":                       {dynamic(800, 80), Fees{}, market{gasPrice: wei(1), tip: wei(1)}, dynamic(900, 90)},
		"rounded up":                           {dynamic(101, 1), Fees{}, market{gasPrice: wei(1), tip: wei(1)}, dynamic(114, 2)},
		"nothing stays nothing":                {dynamic(0, 0), Fees{}, market{gasPrice: wei(0), tip: wei(0)}, dynamic(0, 0)},
		"what the market asks":                 {dynamic(100, 10), Fees{}, market{head: nodeclient.Head{BaseFee: wei(500)}, gasPrice: wei(520), tip: wei(20)}, dynamic(1020, 20)},
		"what the caller asks":                 {dynamic(100, 10), dynamic(300, 30), market{gasPrice: wei(1), tip: wei(1)}, dynamic(300, 30)},
		"no less than an eighth, all the same": {dynamic(800, 80), dynamic(801, 81), market{gasPrice: wei(1), tip: wei(1)}, dynamic(900, 90)},
		"the tip is within the fee":            {dynamic(100, 10), dynamic(110, 500), market{gasPrice: wei(1), tip: wei(1)}, dynamic(500, 500)},
		"a gas price stays one":                {Fees{GasPrice: wei(100)}, Fees{}, market{gasPrice: wei(90)}, Fees{GasPrice: wei(113)}},
		"a gas price follows the market":       {Fees{GasPrice: wei(100)}, Fees{}, market{gasPrice: wei(200)}, Fees{GasPrice: wei(200)}},
		"a gas price free of charge":           {Fees{GasPrice: wei(0)}, Fees{}, market{gasPrice: wei(0)}, Fees{GasPrice: wei(0)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, raisedFees(c.old, c.asked, c.m))
		})
	}
}

func TestIsBumpDue(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cfg := Config{BumpAfter: 30 * time.Second, ResendAfter: 10 * time.Second}
	due := slot{isPriced: true, sent: true, attempts: []attempt{{fees: Fees{GasPrice: big.NewInt(1)}, firstSent: now.Add(-31 * time.Second), sentAt: 10}}}
	with := func(change func(*slot)) slot {
		s := due
		s.attempts = append([]attempt(nil), due.attempts...)
		change(&s)
		return s
	}
	cases := map[string]struct {
		s    slot
		head uint64
		want bool
	}{
		"passed by":            {due, 13, true},
		"too few blocks":       {due, 12, false},
		"too short":            {with(func(s *slot) { s.attempts[0].firstSent = now.Add(-29 * time.Second) }), 13, false},
		"never offered":        {with(func(s *slot) { s.attempts[0].firstSent = time.Time{} }), 13, false},
		"free":                 {with(func(s *slot) { s.attempts[0].fees = Fees{GasPrice: new(big.Int)} }), 13, false},
		"the caller's price":   {with(func(s *slot) { s.isPriced = false }), 13, false},
		"not taken":            {with(func(s *slot) { s.sent = false }), 13, false},
		"refused as too cheap": {with(func(s *slot) { s.sent, s.waiting = false, WaitingPrice }), 10, true},
		"just tried":           {with(func(s *slot) { s.bumpedAt = now.Add(-time.Second) }), 13, false},
		"pauses double":        {with(func(s *slot) { s.attempts = append(s.attempts, s.attempts[0]) }), 13, false},
		"often enough": {with(func(s *slot) {
			for range maxBumps {
				s.attempts = append(s.attempts, attempt{fees: s.attempts[0].fees, firstSent: now.Add(-100 * time.Hour)})
			}
		}), 13, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, isBumpDue(c.s, c.head, now, cfg))
		})
	}
}
