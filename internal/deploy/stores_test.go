package deploy

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// theirs is the global block of the Asset Tokenization Kit's documentation.
const theirs = `
global:
  chainId: "53771311147"
  chainName: "ATK"
  datastores:
    default:
      redis:
        host: "redis"
        port: 6379
        username: "default"
        password: "atk"
        db: 0
      postgresql:
        host: "postgresql"
        port: 5432
        username: "postgres"
        password: "atk"
        database: "postgres"
        sslMode: "disable"
    portal:
      postgresql:
        database: "portal"
        username: "portal"
        password: "atk"
      redis:
        db: 4
    txsigner:
      postgresql:
        database: "txsigner"
        username: "txsigner"
        password: "atk"
`

func TestTheirGlobalBlock_IsTakenAsItStands(t *testing.T) {
	t.Parallel()
	r := mustRender(t, theirs)
	requireReferences(t, r)
	require.Equal(t, "txsigner", env(t, r, "signer", "PGUSER"), "the role of default is the administrator's")
	requireLogin(t, r, "signer", "postgresql", "signer-postgresql-inline", "password")
	requireLogin(t, r, "gateway", "redis", "gateway-redis-inline", "password")
	require.Equal(t, "postgresql-inline/password", env(t, r, "postgresql", "POSTGRES_PASSWORD"))
	secret := find[corev1.Secret](t, r, "Secret", "signer-postgresql-inline")
	require.Equal(t, "postgresql://txsigner:atk@postgresql:5432/txsigner?sslmode=disable", secret.StringData["url"])
}

// TestSecrets_StandInSecretsOnly gives every secret a text that is found again.
func TestSecrets_StandInSecretsOnly(t *testing.T) {
	t.Parallel()
	const canary = "C4n%ry @p/w:d?"
	r := mustRenderValues(t, overlaid(t, everything, fmt.Sprintf(`
global:
  datastores: {default: {redis: {password: %[1]q}, postgresql: {password: %[1]q}, objectStore: {accessKey: %[1]q, secretKey: %[1]q}}}
  imagePullCredentials: {registries: {mine: {registry: r.example, username: me, password: %[1]q}}}
signer: {mnemonic: {value: %[1]q}}
`, canary)))
	for i, o := range r.objects {
		if o.Kind == "Secret" {
			continue
		}
		eachText(r.parsed[i], o.Kind+" "+o.Name, func(path, text string) {
			require.NotContains(t, text, "C4n", path)
		})
	}
	escaped := find[corev1.Secret](t, r, "Secret", "gateway-redis-inline").StringData["cacheUrl"]
	require.Equal(t, "redis://default:C4n%25ry%20%40p%2Fw%3Ad%3F@redis:6379/0", escaped)
	require.Equal(t, canary, find[corev1.Secret](t, r, "Secret", "signer-mnemonic-inline").StringData["mnemonic"])
}

// TestVariables_HoldNoSecret looks at names: what is called a secret comes from one.
func TestVariables_HoldNoSecret(t *testing.T) {
	t.Parallel()
	for name, r := range bases(t) {
		for _, p := range r.pods(t) {
			for _, c := range p.containers() {
				for _, e := range c.Env {
					if e.Name == "SETTLEMINT_HD_PRIVATE_KEY" {
						continue // The name of a key vault.
					}
					lower := strings.ToLower(e.Name)
					for _, word := range []string{"password", "secret", "token", "mnemonic", "private_key", "access_key"} {
						if strings.Contains(lower, word) && !strings.HasSuffix(lower, "_file") {
							require.Empty(t, e.Value, "%s: %s %s", name, p.owner.Name, e.Name)
						}
					}
				}
			}
		}
		require.Empty(t, all[corev1.Secret](t, r, "Secret"), "%s: no password is made up", name)
	}
}

func TestInlineSecrets_AreRefused(t *testing.T) {
	t.Parallel()
	for text, key := range map[string]string{
		"global: {datastores: {txsigner: {postgresql: {password: x}}}}":                                                           "global.datastores.txsigner.postgresql.password",
		"signer: {mnemonic: {value: x}}":                                                                                          "signer.mnemonic.value",
		"global: {imagePullCredentials: {registries: {mine: {registry: r, username: u, password: p}}}}":                           "global.imagePullCredentials.registries.mine.password",
		"global: {datastores: {default: {redis: {password: x}}}}":                                                                 "redis.password",
		"global: {datastores: {default: {postgresql: {host: db.example, password: x}}}}\nsupport: {postgresql: {enabled: false}}": "global.datastores.txsigner.postgresql.password",
	} {
		_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, overlaid(t, text, "global: {allowInlineSecrets: false}"))
		require.ErrorContains(t, err, "global.allowInlineSecrets is false", text)
		require.ErrorContains(t, err, key, text)
	}
}

func TestExternalStores_NeedALogin(t *testing.T) {
	t.Parallel()
	_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, "global: {datastores: {txsigner: {postgresql: {host: db.example}}}}"))
	require.ErrorContains(t, err, "global.datastores.txsigner.postgresql: the postgresql at db.example needs a password")
	r := mustRender(t, "global: {datastores: {default: {redis: {host: cache.example, auth: false}}}}")
	require.False(t, r.says("REDIS_PASSWORD"))
}

func TestExternalStores_AreReachedWithTLS(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, overlaid(t, everything, external))
	require.Equal(t, "db.example", env(t, r, "signer", "PGHOST"))
	require.Equal(t, "verify-full", env(t, r, "signer", "PGSSLMODE"))
	require.Equal(t, "/etc/slipway/postgresql-ca/ca.crt", env(t, r, "signer", "PGSSLROOTCERT"))
	requireLogin(t, r, "signer", "postgresql", "db-login", "password")
	requireLogin(t, r, "gateway", "redis", "cache-login", "password")
	require.True(t, r.says("rediss://default@cache.example:6379/0"))
	require.True(t, r.says("rediss://default@cache.example:6379/1"))
	require.False(t, r.says("host: postgresql"))
	require.False(t, r.says("kind: Job\nmetadata:\n  name: signer-database"), "there is nothing to make")
}

func TestStores_EachIndexReachesItsContainer(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "global: {datastores: {erpc: {redis: {cacheDb: 7, sharedStateDb: 8}}}}")
	config := find[corev1.ConfigMap](t, r, "ConfigMap", "gateway").Data["gateway.yaml"]
	require.Contains(t, config, "redis:6379/7")
	require.Contains(t, config, "redis:6379/8")
	require.Equal(t, "4", env(t, r, "portal", "REDIS_DB"))
	require.Equal(t, "redis://$(REDIS_USERNAME):$(REDIS_PASSWORD)@$(REDIS_ADDRESS)/4", env(t, r, "portal", "REDIS_URL"))
	require.Equal(t, "redis://$(REDIS_USERNAME):$(REDIS_PASSWORD)@$(REDIS_ADDRESS)/2", env(t, r, "hasura", "HASURA_GRAPHQL_REDIS_URL"))
	require.Equal(t, "redis://$(REDIS_USERNAME):$(REDIS_PASSWORD)@$(REDIS_ADDRESS)/3", env(t, r, "hasura", "HASURA_GRAPHQL_RATE_LIMIT_REDIS_URL"))
	r = mustRender(t, "global: {datastores: {portal: {redis: {db: 9}}}}")
	require.Equal(t, "9", env(t, r, "portal", "REDIS_DB"))
}

// TestDatabase_SuitsGraphNode is about what it looks at before it starts.
func TestDatabase_SuitsGraphNode(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	require.Equal(t, "thegraph", env(t, r, "graph-node", "PGDATABASE"))
	statements := func(component string) string {
		for _, p := range r.pods(t) {
			if p.Labels["app.kubernetes.io/name"] == component+"-database" {
				return valueOf(p.spec.Containers[0], "SQL")
			}
		}
		require.Fail(t, "there is no job", component)
		return ""
	}
	require.Contains(t, statements("graph-node"), "LC_COLLATE ''C'' LC_CTYPE ''C'''")
	require.Contains(t, statements("graph-node"), "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;")
	require.Contains(t, statements("graph-node"), "GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw")
	require.Contains(t, statements("signer"), "LC_COLLATE ''C'' LC_CTYPE ''C.UTF-8'''")
	require.NotContains(t, statements("signer"), "EXTENSION")
}

func TestStores_OneAddressIsAskedForWhereSeveralCannotBe(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"portal", "hasura"} {
		_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, fmt.Sprintf("global: {datastores: {%s: {redis: {cluster: ['c-0.example:7000'], existingSecret: login}}}}", service)))
		require.ErrorContains(t, err, "global.datastores."+service+".redis.host: is needed in place of sentinel and cluster")
	}
}

func TestEveryStore_IsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, r := range bases(t) {
		for _, p := range r.pods(t) {
			if slices.Contains([]string{"postgresql", "redis", "object-store"}, p.owner.Name) {
				continue
			}
			waits := make(map[string]corev1.Container)
			for _, c := range p.spec.InitContainers {
				waits[c.Name] = c
			}
			for _, c := range p.spec.Containers {
				for _, e := range c.Env {
					if e.Name == "PGHOST" {
						require.Equal(t, e.Value, valueOf(waits["wait-for-postgresql"], "PGHOST"), "%s: %s", name, p.owner.Name)
					}
					if e.Name == "REDIS_PASSWORD" {
						require.NotEmpty(t, waits["wait-for-redis"].Args, "%s: %s", name, p.owner.Name)
					}
					if e.Name == "AWS_ENDPOINT_URL_S3" || e.Name == "SETTLEMINT_MINIO_ENDPOINT" {
						u, err := url.Parse(e.Value)
						require.NoError(t, err)
						address := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))
						require.Contains(t, waits["wait-for-object-store"].Args, "tcp://"+address, "%s: %s", name, p.owner.Name)
					}
				}
				for _, m := range c.VolumeMounts {
					if kind, is := strings.CutSuffix(m.Name, "-login"); is {
						require.NotEmpty(t, waits["wait-for-"+kind].Args, "%s: %s", name, p.owner.Name)
					}
				}
			}
		}
	}
}

func valueOf(c corev1.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

func TestRedis_SentinelAndCluster(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "global: {datastores: {erpc: {redis: {sentinel: {master: main, addresses: ['s-0.example:26379', 's-1.example:26380']}, existingSecret: login}}}}")
	config := find[corev1.ConfigMap](t, r, "ConfigMap", "gateway").Data["gateway.yaml"]
	require.Contains(t, config, "master: main")
	require.Contains(t, config, "s-1.example:26380")
	require.True(t, r.says(`"tcp://s-0.example:26379","tcp://s-1.example:26380"`))
	require.True(t, r.says("{port: 26380, protocol: TCP}"))
	r = mustRender(t, "global: {datastores: {erpc: {redis: {cluster: ['c-0.example:7000'], existingSecret: login}}}}")
	config = find[corev1.ConfigMap](t, r, "ConfigMap", "gateway").Data["gateway.yaml"]
	require.Contains(t, config, "keyPrefix: 'slipway:'")
	require.NotContains(t, config, "db:")
}
