package deploy

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// requestsOf are the Secrets that the bootstrap job is asked for.
func requestsOf(t *testing.T, r rendered) []string {
	t.Helper()
	var out []string
	for _, config := range all[corev1.ConfigMap](t, r, "ConfigMap") {
		if config.Labels["slipway.io/secret-request"] == "true" {
			out = append(out, config.Data["name"])
		}
	}
	slices.Sort(out)
	return out
}

// TestDatabases_EachComponentHasARoleAndOneOfItsOwn: nobody is the administrator,
// and nobody has the password of another one.
func TestDatabases_EachComponentHasARoleAndOneOfItsOwn(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	databases := map[string]string{"signer": "txsigner", "portal": "portal", "hasura": "hasura", "graph-node": "thegraph", "blockscout": "blockscout"}
	passwords := make(map[string]string)
	for _, p := range r.pods(t) {
		name, isJob := strings.CutSuffix(p.Labels["app.kubernetes.io/name"], "-database")
		if !isJob {
			continue
		}
		psql := p.spec.Containers[0]
		require.Equal(t, databases[name], valueOf(psql, "DATABASE"), name)
		require.Equal(t, databases[name], valueOf(psql, "ROLE"), name)
		sql := valueOf(psql, "SQL")
		require.Contains(t, sql, "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS", name)
		require.Contains(t, sql, "OWNER %I", name)
		require.Contains(t, sql, "REVOKE ALL ON DATABASE %I FROM PUBLIC", name)
		require.Equal(t, 2, strings.Count(sql, "WHERE NOT EXISTS"), "%s: it can run again", name)
		password := passwordOf(t, r, name)
		passwords[password] = name
		require.Equal(t, databases[name], env(t, r, name, "PGDATABASE"))
		require.Equal(t, databases[name], env(t, r, name, "PGUSER"))
		require.NotEqual(t, password, env(t, r, "postgresql", "POSTGRES_PASSWORD"), "the administrator's is another one")
	}
	require.Len(t, passwords, len(databases), "%v", passwords)
}

// TestRequests_AreForWhatIsUsed: a part that is switched off, or a store of
// somebody's own, leaves no password behind.
func TestRequests_AreForWhatIsUsed(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"blockscout", "blockscout-postgresql", "dapp", "grafana-admin", "graph-node-postgresql", "hasura-admin", "hasura-postgresql", "portal-postgresql", "postgresql", "redis", "signer-hasura", "signer-mnemonic", "signer-postgresql"},
		requestsOf(t, mustRender(t, "")))
	require.Equal(t, []string{"blockscout", "dapp", "grafana-admin", "hasura-admin", "signer-hasura", "signer-mnemonic"}, requestsOf(t, mustRender(t, external)))
	require.Equal(t, []string{"hasura-admin", "hasura-postgresql", "portal-postgresql", "postgresql", "redis", "signer-hasura", "signer-postgresql"},
		requestsOf(t, mustRender(t, "signer: {mnemonic: {existingSecret: mine}}\nblockscout: {enabled: false}\ngraph-node: {enabled: false}\ndapp: {enabled: false}\nobservability: {enabled: false}")))
}

// TestExistingSecrets_AreTakenForEachStore is about Secrets of somebody's own, with keys of their own.
func TestExistingSecrets_AreTakenForEachStore(t *testing.T) {
	t.Parallel()
	r := mustRender(t, `
global:
  datastores:
    txsigner: {postgresql: {host: a.example, existingSecret: of-signer, existingSecretKeys: {password: pw, username: user}}}
    portal: {postgresql: {host: b.example, existingSecret: of-portal}, redis: {host: c.example, existingSecret: cache-of-portal}}
    hasura: {postgresql: {host: d.example, existingSecret: of-hasura}, redis: {host: e.example, existingSecret: cache-of-hasura}}
    graphNode: {postgresql: {host: f.example, existingSecret: of-graph-node}}
    blockscout: {postgresql: {host: g.example, existingSecret: of-blockscout}}
    erpc: {redis: {host: h.example, existingSecret: cache-of-gateway, existingSecretKeys: {password: auth}}}
`)
	for at, want := range map[[2]string]string{
		{"signer", "PGHOST"}:     "a.example",
		{"portal", "PGPASSWORD"}: "of-portal/password", {"portal", "REDIS_PASSWORD"}: "cache-of-portal/password", {"portal", "REDIS_HOST"}: "c.example",
		{"hasura", "PGPASSWORD"}: "of-hasura/password", {"hasura", "REDIS_PASSWORD"}: "cache-of-hasura/password",
		{"graph-node", "PGPASSWORD"}: "of-graph-node/password", {"blockscout", "PGPASSWORD"}: "of-blockscout/password",
	} {
		require.Equal(t, want, env(t, r, at[0], at[1]), at)
	}
	requireLogin(t, r, "signer", "postgresql", "of-signer", "pw", "user")
	requireLogin(t, r, "gateway", "redis", "cache-of-gateway", "auth")
}

// TestBackup_CopiesCountWhenTheyWereRestored reads the script of the job: a copy gets its
// name after a server has taken it.
func TestBackup_CopiesCountWhenTheyWereRestored(t *testing.T) {
	t.Parallel()
	r := mustRender(t, `signer: {backup: {enabled: true, schedule: "5 * * * *", keep: 30}}`)
	job := find[batchv1.CronJob](t, r, "CronJob", "signer-backup")
	require.Equal(t, "5 * * * *", job.Spec.Schedule)
	require.Equal(t, batchv1.ForbidConcurrent, job.Spec.ConcurrencyPolicy)
	script := strings.Join(job.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Command, " ")
	restored := strings.Index(script, "pg_restore")
	require.Greater(t, restored, strings.Index(script, "pg_dump"))
	require.Greater(t, strings.Index(script, "\nmv "), restored)
	require.Contains(t, script, "--exit-on-error")
	require.Contains(t, script, "tail -n +31", "thirty are left")
	claim := find[corev1.PersistentVolumeClaim](t, r, "PersistentVolumeClaim", "signer-backup")
	require.Equal(t, "keep", claim.Annotations["helm.sh/resource-policy"], "they outlive the release")
	require.Empty(t, slices.Collect(maps.Keys(all[batchv1.CronJob](t, mustRender(t, ""), "CronJob"))))
}
