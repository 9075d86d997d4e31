package upstreams

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// TestErrorRules sends each rule's example through the whole table: an earlier,
// wider rule must not catch it.
func TestErrorRules(t *testing.T) {
	t.Parallel()

	for i, rule := range errorRules() {
		kind := methods.Read
		if rule.only == sendOnly {
			kind = methods.Send
		}
		require.Equal(t, rule.outcome.String(), classifyError(kind, &rule.example).String(), "rule %d: %v", i, rule.example)
	}
}

func TestClassifyError_WhatTheSameWordsMean(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		kind    methods.Kind
		code    jsonrpc.Code
		message string
		want    Outcome
	}{
		"-32005 of Besu on a send is a gas limit":     {methods.Send, -32005, "Transaction gas limit exceeds block gas limit", OutcomeClientFault},
		"-32005 of Besu on a read is no throttling":   {methods.Read, -32005, "Some limit", OutcomeNodeError},
		"a refused transaction is the answer":         {methods.Send, -32000, "Replacement transaction underpriced", OutcomeClientFault},
		"a bad signature is the answer":               {methods.Send, -32002, "Invalid signature", OutcomeClientFault},
		"permissioning is the answer":                 {methods.Send, -32007, "Sender account not authorized to send transactions", OutcomeClientFault},
		"a gas price is the answer":                   {methods.Send, -32009, "Gas price below configured minimum gas price", OutcomeClientFault},
		"a syncing node is no answer to a send":       {methods.Send, -32008, "Initial sync is still in progress", OutcomeMissing},
		"a nonce means nothing to a call":             {methods.Read, -32001, "nonce too low", OutcomeNodeError},
		"unknown words lead a read to the next node":  {methods.Read, -32000, "something new", OutcomeNodeError},
		"nobody retries the words of an unknown send": {methods.Send, -32000, "something new", OutcomeClientFault},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want.String(), classifyError(c.kind, jsonrpc.NewError(c.code, c.message)).String())
		})
	}
}

func TestClassifyReply(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		method string
		status int
		body   string
		want   Outcome
	}{
		"answer":                         {"eth_getBalance", 200, `{"id":7,"result":"0x1"}`, OutcomeOK},
		"error with HTTP 400":            {"eth_call", 400, `{"id":7,"error":{"code":-32602,"message":"Invalid params"}}`, OutcomeClientFault},
		"revert":                         {"eth_call", 200, `{"id":7,"error":{"code":3,"message":"execution reverted","data":"0x08"}}`, OutcomeClientFault},
		"somebody else's answer":         {"eth_getBalance", 200, `{"id":8,"result":"0x1"}`, OutcomeBroken},
		"an id of another type":          {"eth_getBalance", 200, `{"id":"7","result":"0x1"}`, OutcomeBroken},
		"HTML":                           {"eth_getBalance", 200, `<html>`, OutcomeBroken},
		"empty":                          {"eth_getBalance", 200, ``, OutcomeBroken},
		"HTML with 404":                  {"eth_getBalance", 404, `<html>`, OutcomeBroken},
		"500 whatever the body":          {"eth_getBalance", 500, `{"id":7,"result":"0x1"}`, OutcomeBroken},
		"redirect":                       {"eth_getBalance", 307, ``, OutcomeBroken},
		"429":                            {"eth_getBalance", 429, `{"id":7,"result":"0x1"}`, OutcomeRateLimited},
		"405 is no failure":              {"eth_getBalance", 405, ``, OutcomeUnsupported},
		"415 is no failure":              {"eth_getBalance", 415, `<html>`, OutcomeUnsupported},
		"402":                            {"eth_getBalance", 402, ``, OutcomeUnauthorized},
		"403":                            {"eth_getBalance", 403, `<html>`, OutcomeUnauthorized},
		"gzip that nobody asked for":     {"eth_getBalance", 200, "\x1f\x8b\x08\x00\x00", OutcomeBroken},
		"a cut body":                     {"eth_getBalance", 200, `{"id":7,"result":"0x`, OutcomeBroken},
		"401":                            {"eth_getBalance", 401, `{"id":7,"error":{"code":-40100,"message":"Unauthorized"}}`, OutcomeUnauthorized},
		"null where it cannot be":        {"eth_getBalance", 200, `{"id":7,"result":null}`, OutcomeMissing},
		"null where it may be":           {"eth_getTransactionReceipt", 200, `{"id":7,"result":null}`, OutcomeNull},
		"null of an unknown method":      {"foo_bar", 200, `{"id":7,"result":null}`, OutcomeOK},
		"finalized on a network without": {"eth_getBalance", 200, `{"id":7,"error":{"code":-39001,"message":"Unknown block"}}`, OutcomeMissing},
	}
	catalogue := methods.New()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := classifyReply(catalogue.Describe(c.method, nil), []byte("7"), httpReply{status: c.status, body: []byte(c.body)})
			require.Equal(t, c.want.String(), v.outcome.String())
		})
	}
}

func TestClassifyFailure(t *testing.T) {
	t.Parallel()

	ended := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		return ctx
	}
	broken := errors.New("EOF")
	require.Equal(t, OutcomeBroken, classifyFailure(t.Context(), broken))
	require.Equal(t, OutcomeRefused, classifyFailure(t.Context(), fmt.Errorf("%w: x", errRefused)))
	require.Equal(t, OutcomeTimeout, classifyFailure(t.Context(), fmt.Errorf("%w: x", errAttemptTimeout)))
	require.Equal(t, OutcomeOversized, classifyFailure(t.Context(), fmt.Errorf("read the answer: %w", errTooLarge)))
	require.Equal(t, OutcomeLostRace, classifyFailure(ended(errLostRace), broken))
	require.Equal(t, OutcomeCanceled, classifyFailure(ended(nil), broken))
}

func TestOutcome_OnlyTheNodesFaultCountsAgainstIt(t *testing.T) {
	t.Parallel()

	blamed := []string{}
	seen := map[string]bool{}
	for o := range outcomeCount {
		require.False(t, seen[o.String()], o.String())
		seen[o.String()] = true
		if o.blamesNode() {
			blamed = append(blamed, o.String())
			require.False(t, o.passes(), "%s: its words are not for clients", o)
		}
	}
	require.Equal(t, []string{"unauthorized", "broken", "timeout", "refused", "lost_race", "wrong"}, blamed)
}
