// Package vaulttest starts the real core of HashiCorp Vault for a test. The
// program is built from test/vaultserver, a module of its own; the first build
// on a machine takes some minutes, later ones take nothing.
package vaulttest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/testprogram"
)

// Builder builds the program once in a test binary.
type Builder struct {
	once   sync.Once
	binary string
	err    error
}

func (b *Builder) build() (string, error) {
	b.once.Do(func() { b.binary, b.err = testprogram.Build("vaultserver", ".") })
	return b.binary, b.err
}

// Server is a Vault of one test: unsealed, with nothing mounted.
type Server struct {
	// Address is its URL.
	Address string
	// Token is its root token.
	Token string

	unsealKey string
	client    *http.Client
}

// Start starts a Vault, which ends with the test.
func (b *Builder) Start(t *testing.T) *Server {
	t.Helper()
	binary, err := b.build()
	require.NoError(t, err)

	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var log bytes.Buffer
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close() // it ends with its standard input
		_ = cmd.Wait()
	})
	var started struct{ Address, Token, UnsealKey string }
	require.NoError(t, json.NewDecoder(stdout).Decode(&started), "%s", &log)
	return &Server{Address: started.Address, Token: started.Token, unsealKey: started.UnsealKey, client: &http.Client{Timeout: 30 * time.Second}}
}

// Do calls Vault with the root token, until it succeeds: an engine that was just
// mounted takes a moment.
func (s *Server) Do(t *testing.T, method, path string, body map[string]any) map[string]any {
	t.Helper()
	var answer map[string]any
	require.Eventually(t, func() bool {
		var ok bool
		answer, ok = s.try(t, method, path, body)
		return ok
	}, 20*time.Second, 20*time.Millisecond, "%s %s: %v", method, path, &answer)
	return answer
}

func (s *Server) try(t *testing.T, method, path string, body map[string]any) (answer map[string]any, ok bool) {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), method, s.Address+"/v1/"+strings.TrimPrefix(path, "/"), bytes.NewReader(text))
	require.NoError(t, err)
	req.Header.Set("X-Vault-Token", s.Token)
	resp, err := s.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if len(raw) > 0 {
		require.NoError(t, json.Unmarshal(raw, &answer), "%s", raw)
	}
	return answer, resp.StatusCode < 300
}

// Mount mounts a secrets engine: kv (version 2), ethsign or digest.
func (s *Server) Mount(t *testing.T, path, engine string) {
	t.Helper()
	body := map[string]any{"type": engine}
	if engine == "kv" {
		body["options"] = map[string]any{"version": "2"}
	}
	s.Do(t, http.MethodPost, "sys/mounts/"+path, body)
}

// Policy writes a policy.
func (s *Server) Policy(t *testing.T, name, rules string) {
	t.Helper()
	s.Do(t, http.MethodPut, "sys/policies/acl/"+name, map[string]any{"policy": rules})
}

// NewToken makes a token with a policy, besides "default".
func (s *Server) NewToken(t *testing.T, policy, ttl string) string {
	t.Helper()
	answer := s.Do(t, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{policy}, "ttl": ttl})
	auth, _ := answer["auth"].(map[string]any)
	token, _ := auth["client_token"].(string)
	require.NotEmpty(t, token)
	return token
}

// Seal seals Vault, as an operator or a restart does.
func (s *Server) Seal(t *testing.T) {
	t.Helper()
	s.Do(t, http.MethodPut, "sys/seal", nil)
}

// Unseal is the way back.
func (s *Server) Unseal(t *testing.T) {
	t.Helper()
	s.Do(t, http.MethodPut, "sys/unseal", map[string]any{"key": s.unsealKey})
}
