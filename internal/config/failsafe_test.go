package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLoadGateway_ReadsTheRulesOfAnERPCFile(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/erpc-stack.yaml", environment())
	require.NoError(t, err)
	require.NoError(t, got.App.Validate())

	require.Len(t, rules(got.file.Projects[0].Networks[0].Failsafe), 6)
	logs := rules(got.file.Projects[0].Networks[0].Failsafe)[0]
	require.Equal(t, "eth_getLogs", logs.MatchMethod)
	require.Equal(t, 45*time.Second, *logs.Timeout.Base)
	require.Equal(t, 3, *logs.Retry.MaxAttempts)
	require.Equal(t, 500*time.Millisecond, *logs.Retry.Delay)
	require.InDelta(t, 2, *logs.Retry.BackoffFactor, 0)
	require.Equal(t, 10*time.Second, *logs.Retry.BackoffMaxDelay)
	require.Equal(t, 300*time.Millisecond, *logs.Retry.Jitter)
	require.Equal(t, 1, *logs.Hedge.MaxCount)
	require.Nil(t, logs.Hedge.Delay.Base)
	require.InDelta(t, 0.9, *logs.Hedge.Delay.Quantile, 0)
	require.Equal(t, 200*time.Millisecond, *logs.Hedge.Delay.Min)
	require.Equal(t, 4*time.Second, *logs.Hedge.Delay.Max)
	require.Nil(t, logs.CircuitBreaker)

	require.Nil(t, rules(got.file.Projects[0].Networks[0].Failsafe)[1].Hedge, "left out, not zero")
	require.Equal(t, []string{"unfinalized", "realtime"}, rules(got.file.Projects[0].Networks[0].Failsafe)[3].MatchFinality)
	require.Equal(t, 250*time.Millisecond, *rules(got.file.Projects[0].Networks[0].Failsafe)[3].Hedge.Delay.Base)

	require.Len(t, got.file.Projects[0].Upstreams, 1)
	breaker := rules(got.file.Projects[0].Upstreams[0].Failsafe)[0].CircuitBreaker
	require.Equal(t, 40, *breaker.FailureThresholdCount)
	require.Equal(t, 80, *breaker.FailureThresholdCapacity)
	require.Equal(t, 2*time.Minute, *breaker.HalfOpenAfter)
	require.Equal(t, 3, *breaker.SuccessThresholdCount)
	require.Equal(t, 10, *breaker.SuccessThresholdCapacity)
}

func TestLoadGateway_WarnsOfWhatHasNoEffect(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/erpc-stack.yaml", environment())
	require.NoError(t, err)

	const file = "testdata/good/erpc-stack.yaml:"
	require.Equal(t, []string{
		file + "138:5: database.sharedState.lockTtl: not supported yet, no locks are taken",
	}, got.Warnings)
}

func TestLoadGateway_ReadsOlderAndNewerForms(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/failsafe-forms.yaml", environment())
	require.NoError(t, err)
	require.Equal(t, uint64(7), got.App.Pool().ChainID, "a number as a text")
	require.Len(t, rules(got.file.Projects[0].Networks[0].Failsafe), 1, "one rule alone")
	rule := rules(got.file.Projects[0].Networks[0].Failsafe)[0]
	require.Equal(t, "*", rule.MatchMethod)
	require.Equal(t, 2*time.Second, *rule.Timeout.Base)
	require.Equal(t, 10*time.Second, *rule.Timeout.Max)
	require.Equal(t, 50*time.Millisecond, *rule.Hedge.Delay.Min)
	require.Equal(t, time.Second, *rule.Hedge.Delay.Max, "the older form adds what the new one leaves out")
	require.Zero(t, *rule.Hedge.MaxCount)
	require.Zero(t, *rule.Retry.Delay)
	require.Nil(t, rule.Retry.MaxAttempts)
	require.Equal(t, []string{"eth_getLogs"}, rule.Retry.EmptyResultAccept)

	got, err = LoadGateway("testdata/good/older-names.yaml", environment())
	require.NoError(t, err)
	require.Equal(t, "0.0.0.0:4100", got.App.Listen)
	redis := got.App.Cache.Redis.Conn
	require.Equal(t, "redis://redis:6379/2", redis.URL.Reveal())
	require.Equal(t, "default", redis.Username)
	require.Equal(t, "atk", redis.Password.Reveal())
	require.Equal(t, 50*time.Millisecond, redis.Timeout)

	got, err = LoadGateway("testdata/good/anchors.yaml", environment())
	require.NoError(t, err)
	require.Equal(t, "second", got.App.Pool().Upstreams[1].ID)
	require.Equal(t, rules(got.file.Projects[0].Networks[0].Failsafe), rules(got.file.Projects[0].Upstreams[0].Failsafe))
}

func TestLoadGateway_BoundsAliases(t *testing.T) {
	t.Parallel()
	text := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for name := 'b'; name < 'h'; name++ {
		before := string(name - 1)
		text += string(name) + ": &" + string(name) + " [" + strings.Repeat("*"+before+", ", 9) + "*" + before + "]\n"
	}
	_, err := parseGateway("file", []byte(text), environment())
	require.ErrorContains(t, err, "more than 200000 values, aliases included")

	_, err = parseGateway("file", []byte(strings.Repeat("[", 100)+strings.Repeat("]", 100)), environment())
	require.ErrorContains(t, err, "nested more than 64 levels deep")
}
