package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestAdmin_KeysAndAudit(t *testing.T) {
	t.Parallel()
	env := map[string]string{"SLIPWAY_DATABASE_URL": pgtest.DSN(t)}
	code, stdout, stderr := signer(t, env, "keys", "create", "--tenant", "acme", "--name", "portal", "--roles", "submit,sign", "--lifetime", "720h")
	require.Zero(t, code, stderr)
	var key struct{ ID, Token string }
	require.NoError(t, json.Unmarshal([]byte(stdout), &key))
	require.Contains(t, key.Token, "slk_"+key.ID+"_")

	code, stdout, stderr = signer(t, env, "keys", "rotate", key.ID, "--tenant", "acme", "--overlap", "1h")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, `"token": "slk_`)
	code, stdout, stderr = signer(t, env, "keys", "revoke", key.ID, "--tenant", "acme")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "is revoked")
	code, stdout, _ = signer(t, env, "keys", "list", "--tenant", "acme")
	require.Zero(t, code)
	require.Contains(t, stdout, "submit,sign")
	require.NotContains(t, stdout, key.Token)

	code, stdout, stderr = signer(t, env, "audit", "verify")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "the audit log is whole: 3 rows\nhead: ")
	code, stdout, _ = signer(t, env, "audit", "prune", "--older-than", "24h")
	require.Zero(t, code)
	require.Contains(t, stdout, "0 rows removed")
	code, stdout, stderr = signer(t, env, "senders", "pause", "--reason", "put back from a copy")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "0 senders are paused")

	for want, args := range map[string][]string{
		"there is no role":      {"keys", "create", "--name", "x", "--roles", "root"},
		"has an active key":     {"keys", "create", "--tenant", "acme", "--name", "portal", "--roles", "submit"},
		"no such API key":       {"keys", "revoke", "unknown"},
		"24h at least":          {"audit", "prune", "--older-than", "1h"},
		"databaseUrl":           {"audit", "verify"},
		"missing flags: --name": {"keys", "create", "--roles", "submit"},
	} {
		with := env
		if want == "databaseUrl" {
			with = nil
		}
		code, _, stderr := signer(t, with, args...)
		require.Equal(t, 1, code)
		require.Contains(t, stderr, want)
	}
}
