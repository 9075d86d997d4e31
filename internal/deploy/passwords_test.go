package deploy

import (
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/slipwayhq/slipway/internal/config"
	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/secret/secrettest"
	"github.com/slipwayhq/slipway/internal/waitfor"
)

// hostilePasswords have what means something in YAML, shells, URLs or redis.conf.
func hostilePasswords() []string {
	return []string{
		`: # " ' \ $ { } %`, `#begins`, `ends:`, `- item`, `{a: b}`, `[x`, `*alias`, `&anchor`, `!tag`, `|`, `>`, `%25`, `@`, "`id`", `$(id)`, `${REDIS_PASSWORD}`,
		`  spaces on both sides  `, `"quoted"`, `'quoted'`, `back\slash\n`, `null`, `true`, `0123`, `1e5`, `~`, `ünïcode €`, `a/b?c=d&e`, `\`, `"`, `'`,
	}
}

// TestPasswords_OfRedisMayBeAnythingForTheGateway logs in with them at a real server, as
// the gateway does where its password is a file.
func TestPasswords_OfRedisMayBeAnythingForTheGateway(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"password": "",
		"sentinel": "global: {datastores: {erpc: {redis: {sentinel: {addresses: ['s.example:26379'], master: main}, existingSecret: cache}}}}",
		"urls":     "global: {datastores: {erpc: {redis: {host: cache.example, existingSecret: cache, existingSecretKeys: {cacheUrl: a, sharedStateUrl: b}}}}}",
	} {
		path := writeConfig(t, mustRender(t, text), "gateway")
		for _, password := range hostilePasswords() {
			at := (&url.URL{Scheme: "redis", Host: "cache.example:6379", Path: "/0", User: url.UserPassword("default", password)}).String()
			gateway, err := config.LoadGateway(path, func(variable string) string {
				return map[string]string{"CHAIN_ID": "1337", "REDIS_CACHE_URL": at, "REDIS_SHARED_URL": at}[variable]
			})
			require.NoError(t, err, "%s: %q", name, password)
			require.NoError(t, gateway.App.Validate(), "%s: %q", name, password)
			shown := gateway.App.SharedState.Redis
			if name == "urls" {
				require.Equal(t, at, shown.URL.Reveal())
				require.Empty(t, shown.PasswordFile)
				continue
			}
			require.Equal(t, "/run/secrets/redis/password", shown.PasswordFile, name)
			require.True(t, shown.Password.IsEmpty(), name)
		}
	}

	files := secrettest.New(t, map[string]string{"password": ""})
	for _, password := range hostilePasswords() {
		address, stop := redistest.Start(t, "--requirepass", password)
		files.Swap(t, map[string]string{"password": password})
		conn, err := redisconn.New(redisconn.Config{URL: secret.New("redis://default@" + address), PasswordFile: files.Path("password"), Timeout: 10 * time.Second})
		require.NoError(t, err)
		require.NoError(t, conn.Ping(t.Context()), "%q", password)
		require.NoError(t, conn.Close())
		stop()
	}
}

func TestPasswords_InValuesMayBeAnything(t *testing.T) {
	t.Parallel()
	for _, password := range hostilePasswords() {
		stores := map[string]any{"postgresql": map[string]any{"host": "db.example", "password": password}, "redis": map[string]any{"host": "cache.example", "password": password}}
		r := mustRenderValues(t, Values{
			"global": map[string]any{"datastores": map[string]any{"default": stores}, "imagePullCredentials": map[string]any{"registries": map[string]any{"r": map[string]any{"registry": "r.example", "username": "me", "password": password}}}},
			"signer": map[string]any{"mnemonic": map[string]any{"value": password}},
		})
		urls := 0
		for _, secret := range all[corev1.Secret](t, r, "Secret") {
			if secret.Name == "signer-mnemonic-inline" {
				require.Equal(t, password, secret.StringData["mnemonic"])
				continue
			}
			if inline, found := secret.StringData["password"]; found {
				require.Equal(t, password, inline, secret.Name)
			}
			for key, text := range secret.StringData {
				if !strings.Contains(text, "://") {
					continue
				}
				at, err := url.Parse(text)
				require.NoError(t, err, "%s %s", secret.Name, key)
				given, _ := at.User.Password()
				require.Equal(t, password, given, "%s %s", secret.Name, key)
				urls++
			}
		}
		require.Positive(t, urls)
	}
}

// TestPasswords_OfTheBundledRedisMayBeAnything runs the rendered start of the server.
func TestPasswords_OfTheBundledRedisMayBeAnything(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "global: {datastores: {default: {redis: {username: me, existingSecret: mine}}}}")
	command := find[appsv1.Deployment](t, r, "Deployment", "redis").Spec.Template.Spec.Containers[0].Command
	for _, password := range hostilePasswords() {
		folder, address := t.TempDir(), redistest.FreeAddress(t)
		_, port, _ := strings.Cut(address, ":")
		script := strings.ReplaceAll(command[2], "/run/redis", folder) + fmt.Sprintf(" --port %s --bind 127.0.0.1", port)
		script = strings.Replace(script, "\n --port", " --port", 1)
		server := exec.CommandContext(t.Context(), command[0], command[1], script)
		server.Env = []string{"PATH=/usr/bin:/bin", "REDISCLI_AUTH=" + password}
		require.NoError(t, server.Start())
		for _, user := range []string{"default", "me"} {
			at := (&url.URL{Scheme: "redis", Host: address, Path: "/0", User: url.UserPassword(user, password)}).String()
			target, err := waitfor.Parse(at, waitfor.Options{})
			require.NoError(t, err)
			err = waitfor.Wait(t.Context(), []waitfor.Target{target}, 20*time.Second, 20*time.Millisecond, func(string) {})
			require.NoError(t, err, "%s: %q", user, password)
		}
		require.NoError(t, server.Process.Kill())
		_ = server.Wait() // it was killed
		require.FileExists(t, filepath.Join(folder, "redis.conf"))
	}
}
