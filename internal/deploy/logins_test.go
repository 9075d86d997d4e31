package deploy

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// requireLogin looks that a program reads a store's login from files that
// Kubernetes keeps up to date, and from no variable.
func requireLogin(t *testing.T, r rendered, owner, kind, secret string, keys ...string) {
	t.Helper()
	at := slices.IndexFunc(r.pods(t), func(p pod) bool { return p.owner.Name == owner })
	require.GreaterOrEqual(t, at, 0, owner)
	spec := r.pods(t)[at].spec
	volume := slices.IndexFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == kind+"-login" })
	require.GreaterOrEqual(t, volume, 0, "%s has no files of its %s", owner, kind)
	source := spec.Volumes[volume].Secret
	require.Equal(t, secret, source.SecretName)
	require.EqualValues(t, 0o440, *source.DefaultMode, "for the group of the pod, fsGroup")
	require.Len(t, source.Items, len(keys))
	for i, path := range []string{"password", "username"}[:len(keys)] {
		require.Equal(t, corev1.KeyToPath{Key: keys[i], Path: path}, source.Items[i])
	}
	program := spec.Containers[0]
	mount := slices.IndexFunc(program.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == kind+"-login" })
	require.GreaterOrEqual(t, mount, 0)
	require.Equal(t, corev1.VolumeMount{Name: kind + "-login", MountPath: "/run/secrets/" + kind, ReadOnly: true}, program.VolumeMounts[mount], "files below a subPath stay as they are")
	for _, e := range program.Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			require.NotContains(t, keys, e.ValueFrom.SecretKeyRef.Key, "%s: %s", owner, e.Name)
		}
	}
	switch owner {
	case "signer":
		file := loadSigner(t, r)
		require.Equal(t, "/run/secrets/postgresql/password", file.App.DatabasePasswordFile)
		require.Equal(t, "postgresql://", file.App.DatabaseURL.Reveal())
		if len(keys) > 1 {
			require.Equal(t, "/run/secrets/postgresql/username", file.App.DatabaseUsernameFile)
			require.False(t, hasVariable(program, "PGUSER"))
		} else {
			require.Empty(t, file.App.DatabaseUsernameFile)
			require.True(t, hasVariable(program, "PGUSER"))
		}
	case "gateway":
		gateway := loadGateway(t, r)
		require.Equal(t, "/run/secrets/redis/password", gateway.App.SharedState.Redis.PasswordFile)
		require.True(t, gateway.App.SharedState.Redis.Password.IsEmpty())
	}
}

// passwordOf is the Secret, and the key in it, with a component's password of
// PostgreSQL: a file or a variable.
func passwordOf(t *testing.T, r rendered, owner string) string {
	t.Helper()
	for _, p := range r.pods(t) {
		for _, v := range p.spec.Volumes {
			if p.owner.Name == owner && v.Name == "postgresql-login" {
				return v.Secret.SecretName + "/" + v.Secret.Items[0].Key
			}
		}
	}
	return env(t, r, owner, "PGPASSWORD")
}

func hasVariable(c corev1.Container, name string) bool {
	return slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name })
}

func TestLogins_AreFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		owner, kind, secret string
		keys                []string
	}{
		"":  {"signer", "postgresql", "signer-postgresql", []string{"password"}},
		" ": {"gateway", "redis", "redis", []string{"password"}},
		"global: {datastores: {txsigner: {postgresql: {password: x}}}}":                                                                                      {"signer", "postgresql", "signer-postgresql-inline", []string{"password"}},
		"global: {datastores: {erpc: {redis: {password: x}}}}":                                                                                               {"gateway", "redis", "gateway-redis-inline", []string{"password"}},
		"global: {datastores: {txsigner: {postgresql: {existingSecret: mine, existingSecretKeys: {password: secret.text}}}}}":                                {"signer", "postgresql", "mine", []string{"secret.text"}},
		"global: {datastores: {txsigner: {postgresql: {existingSecret: mine, existingSecretKeys: {password: p, username: u}}}}}":                             {"signer", "postgresql", "mine", []string{"p", "u"}},
		"global: {datastores: {erpc: {redis: {existingSecret: mine, existingSecretKeys: {password: p}}}}}":                                                   {"gateway", "redis", "mine", []string{"p"}},
		"global: {datastores: {erpc: {redis: {existingSecret: mine, existingSecretKeys: {cacheUrl: only}}}}}":                                                {"gateway", "redis", "mine", []string{"password"}},
		"global: {datastores: {erpc: {redis: {sentinel: {addresses: ['s.example:26379'], master: main}, existingSecret: mine}}}}":                            {"gateway", "redis", "mine", []string{"password"}},
		"global: {datastores: {erpc: {redis: {cluster: ['c.example:7000'], existingSecret: mine}}}}":                                                         {"gateway", "redis", "mine", []string{"password"}},
		"global: {secretStore: {type: csi, secrets: {mine: {password: a}}}, datastores: {txsigner: {postgresql: {host: db.example, existingSecret: mine}}}}": {"signer", "postgresql", "mine", []string{"password"}},
	} {
		requireLogin(t, mustRender(t, text), want.owner, want.kind, want.secret, want.keys...)
	}
}

// A Secret with whole URLs is read from variables, as before.
func TestLogins_ThatAreURLsAreVariables(t *testing.T) {
	t.Parallel()
	r := mustRender(t, `global: {datastores: {
  txsigner: {postgresql: {existingSecret: mine, existingSecretKeys: {url: u}}},
  erpc: {redis: {existingSecret: mine, existingSecretKeys: {cacheUrl: a, sharedStateUrl: b}}}}}`)
	require.Equal(t, "mine/u", env(t, r, "signer", "SLIPWAY_DATABASE_URL"))
	require.Equal(t, "mine/a", env(t, r, "gateway", "REDIS_CACHE_URL"))
	require.Equal(t, "mine/b", env(t, r, "gateway", "REDIS_SHARED_URL"))
	for _, p := range r.pods(t) {
		require.False(t, slices.ContainsFunc(p.spec.Volumes, func(v corev1.Volume) bool { return v.Name == "postgresql-login" || v.Name == "redis-login" }), p.owner.Name)
	}
	requireReferences(t, mustRender(t, "gateway: {redis: {enabled: false}}"))
}
