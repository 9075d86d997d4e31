package admission

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

var (
	alice = common.HexToAddress("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266") //nolint:gochecknoglobals // addresses of the tests
	bob   = common.HexToAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8") //nolint:gochecknoglobals // addresses of the tests
)

func gate(t *testing.T, cfg Config) *Gate {
	t.Helper()
	cfg.ChainID = 1337
	g, err := New(cfg, nil, telemetry.NewFactory(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return g
}

func as(t *testing.T, tenant string) context.Context {
	t.Helper()
	return access.With(t.Context(), access.Caller{Tenant: tenant, Name: "key:portal", Roles: access.Roles()})
}

// counted is a meter that counts what it was given.
type counted struct{ charges []policy.Charge }

func (c *counted) Charge(_ context.Context, d policy.Decision) error {
	c.charges = append(c.charges, d.Charges...)
	return nil
}

func TestGate_NobodyIsNotLetIn(t *testing.T) {
	t.Parallel()
	g := gate(t, Config{})
	_, err := g.Admit(t.Context(), queue.Request{Sender: alice})
	require.ErrorIs(t, err, ErrNoCaller)
	require.ErrorIs(t, Front{g, &counted{}}.Sign(t.Context(), policy.Request{Sender: alice}), ErrNoCaller)
	_, err = g.DryRun(t.Context(), queue.Request{Sender: alice})
	require.ErrorIs(t, err, ErrNoCaller)
}

func TestGate_AdmitsForTheCallersTenant(t *testing.T) {
	t.Parallel()
	g := gate(t, Config{Tenants: []access.Tenant{{Name: "acme", Senders: []string{alice.Hex()}}}})
	a, err := g.Admit(as(t, "acme"), queue.Request{Tenant: "other", Sender: alice})
	require.NoError(t, err)
	require.Equal(t, "acme", a.Tenant, "whatever the request says")
	require.Equal(t, "key:portal", a.Submitter)
	require.Nil(t, a.Decision, "there are no rules")
	for tenant, sender := range map[string]common.Address{"other": alice, "acme": bob} {
		a, err = g.Admit(as(t, tenant), queue.Request{Sender: sender})
		require.ErrorIs(t, err, queue.ErrUnknownSender)
		require.Equal(t, tenant, a.Tenant)
	}
}

func TestGate_Rates(t *testing.T) {
	t.Parallel()
	g := gate(t, Config{RateLimit: RateLimit{TenantPerMinute: 3, SenderPerHour: 2}})
	front := Front{g, &counted{}}
	message := policy.Request{Kind: policy.KindMessage, Sender: alice}
	require.NoError(t, front.Sign(as(t, "acme"), message))
	_, err := g.Admit(as(t, "acme"), queue.Request{Sender: alice})
	require.NoError(t, err)

	err = front.Sign(as(t, "acme"), message)
	var rate *RateError
	require.ErrorAs(t, err, &rate)
	require.Equal(t, "sender", rate.Whose)
	require.Positive(t, rate.RetryAfter())
	_, err = g.Admit(as(t, "acme"), queue.Request{Sender: bob})
	require.ErrorAs(t, err, &rate)
	require.Equal(t, "tenant", rate.Whose)
	_, err = g.Admit(as(t, "other"), queue.Request{Sender: bob})
	require.NoError(t, err, "another tenant, another sender")
}

func TestFront_SignaturesAreCharged(t *testing.T) {
	t.Parallel()
	one := uint64(1)
	g := gate(t, Config{Policy: policy.Config{Rules: []policy.Rule{
		{ID: "a", Effect: policy.EffectAllow, Limits: []policy.Limit{{Period: time.Hour, Per: policy.PerCaller, Count: &one}}},
	}}})
	meter := &counted{}
	require.NoError(t, Front{g, meter}.Sign(as(t, "acme"), policy.Request{Kind: policy.KindTypedData, Sender: alice, Tenant: "other", Caller: "key:other"}))
	require.NoError(t, Front{g, meter}.SignTransaction(as(t, "acme"), queue.Request{Sender: alice, To: &bob}))
	require.Len(t, meter.charges, 2)
	for _, c := range meter.charges {
		require.Contains(t, c.Key, "acme/key:portal", "who calls is not what the request says")
	}
}

// The audit log has no calldata, no message, and nothing of any length.
func TestEntry_SaysEnoughAndNoMore(t *testing.T) {
	t.Parallel()
	data := append(common.FromHex("a9059cbb"), []byte("hunter2 hunter2 hunter2")...)
	asked := policy.Request{Kind: policy.KindTransaction, Sender: alice, To: &bob, Value: big.NewInt(5), Data: data}
	e := entry(access.Caller{Tenant: "acme", Name: "key:portal", KeyID: "k", Address: "::1"}, "transaction.submit", asked, policy.Decision{Outcome: policy.Denied, Rules: []string{"r"}, Version: "v"})
	text, err := json.Marshal(e)
	require.NoError(t, err)
	require.NotContains(t, string(text), "hunter2")
	require.Equal(t, "0xa9059cbb", e.Detail["selector"])
	require.Equal(t, "5", e.Detail["value"])
	require.Equal(t, []string{"r"}, e.Detail["rules"])

	asked = policy.Request{Kind: policy.KindTypedData, Sender: alice, Domain: policy.Domain{Name: strings.Repeat("x", 10_000)}, PrimaryType: strings.Repeat("y", 10_000)}
	text, err = json.Marshal(entry(access.Caller{}, "sign.typed_data", asked, policy.Decision{}))
	require.NoError(t, err)
	require.Less(t, len(text), 1000)

	asked = policy.Request{Kind: policy.KindDeploy, Data: data}
	require.NotContains(t, entry(access.Caller{}, "x", asked, policy.Decision{}).Detail, "selector", "code has none")
}
