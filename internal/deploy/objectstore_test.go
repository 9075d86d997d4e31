package deploy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// withFiles uses an object store, and says nothing of where it is.
const withFiles = withDApp + `
signer: {backup: {enabled: true, s3: {enabled: true}}}
`

func withFilesAnd(t *testing.T, text string) Values {
	t.Helper()
	return overlaid(t, withFiles, "dapp: {objectStore: {enabled: true}}", text)
}

// copies are the containers of the job that copies the signer's database, in order.
func copies(t *testing.T, r rendered) []corev1.Container {
	t.Helper()
	spec := find[batchv1.CronJob](t, r, "CronJob", "signer-backup").Spec.JobTemplate.Spec.Template.Spec
	return append(spec.InitContainers, spec.Containers...)
}

func TestObjectStore_IsReplacedByOneSetting(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, withFilesAnd(t, "support: {objectStore: {enabled: true}}"))
	require.Equal(t, "http://object-store:7070", env(t, r, "dapp", "SETTLEMINT_MINIO_ENDPOINT"))
	require.Equal(t, "object-store/accessKey", env(t, r, "dapp", "SETTLEMINT_MINIO_ACCESS_KEY"))
	require.Equal(t, "object-store/secretKey", env(t, r, "dapp", "SETTLEMINT_MINIO_SECRET_KEY"))
	require.Equal(t, "http://object-store:7070", env(t, r, "signer-backup", "AWS_ENDPOINT_URL_S3"))
	require.Equal(t, "object-store/accessKey", env(t, r, "signer-backup", "AWS_ACCESS_KEY_ID"))
	require.Equal(t, "object-store/secretKey", env(t, r, "object-store", "ROOT_SECRET_KEY"))
	push := copies(t, r)[3]
	require.Equal(t, []string{"--bucket=slipway", "--prefix=atk", "--keep=30", "--timeout=1h", "--make-bucket", "/data/signer-*.dump"}, push.Args)
	requireReferences(t, r)

	r = mustRenderValues(t, withFilesAnd(t, `
global: {datastores: {default: {objectStore: {endpoint: 'https://s3.example:9000/', region: eu-central-1, bucket: copies, pathStyle: false, existingSecret: s3-login, existingSecretKeys: {accessKey: id}, caSecret: s3-ca}}}}
`))
	require.Equal(t, "https://s3.example:9000", env(t, r, "dapp", "SETTLEMINT_MINIO_ENDPOINT"))
	require.Equal(t, "s3-login/id", env(t, r, "dapp", "SETTLEMINT_MINIO_ACCESS_KEY"))
	require.Equal(t, "s3-login/secretKey", env(t, r, "dapp", "SETTLEMINT_MINIO_SECRET_KEY"))
	require.Equal(t, "/etc/slipway/object-store-ca/ca.crt", env(t, r, "dapp", "NODE_EXTRA_CA_CERTS"))
	require.Equal(t, "eu-central-1", env(t, r, "signer-backup", "AWS_REGION"))
	require.Equal(t, "/etc/slipway/object-store-ca/ca.crt", env(t, r, "signer-backup", "AWS_CA_BUNDLE"))
	require.Equal(t, []string{"--bucket=copies", "--prefix=atk", "--keep=30", "--timeout=1h", "--no-path-style", "/data/signer-*.dump"}, copies(t, r)[3].Args)
	require.False(t, r.says("object-store:7070"))
	require.False(t, r.says("secret-request-object-store"))
	require.Contains(t, egressPorts(t, r, "dapp"), int32(9000))
	requireReferences(t, r)
}

func egressPorts(t *testing.T, r rendered, policy string) []int32 {
	t.Helper()
	var out []int32
	for _, rule := range find[networkingv1.NetworkPolicy](t, r, "NetworkPolicy", policy).Spec.Egress {
		for _, port := range rule.Ports {
			out = append(out, port.Port.IntVal)
		}
	}
	return out
}

// TestObjectStore_LeavesNoTraceUnused is about installations that have none.
func TestObjectStore_LeavesNoTraceUnused(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, overlaid(t, withDApp, "signer: {backup: {enabled: true}}"))
	for _, trace := range []string{"object-store:", "calls-object-store", "name: object-store", "wait-for-object-store", "SETTLEMINT_MINIO", "AWS_", "podFailurePolicy"} {
		require.False(t, r.says(trace), trace)
	}
	require.Len(t, copies(t, r), 2)
}

// TestObjectStore_AFailedPushLeavesTheCopy requires the order, and that the job
// is not tried again, which would make another copy and take an old one away.
func TestObjectStore_AFailedPushLeavesTheCopy(t *testing.T) {
	t.Parallel()
	r := mustRender(t, everything)
	var names []string
	for _, c := range copies(t, r) {
		names = append(names, c.Name)
	}
	require.Equal(t, []string{"wait-for-postgresql", "backup", "wait-for-object-store", "push"}, names)
	var failed []string
	for _, rule := range find[batchv1.CronJob](t, r, "CronJob", "signer-backup").Spec.JobTemplate.Spec.PodFailurePolicy.Rules {
		require.Equal(t, batchv1.PodFailurePolicyActionFailJob, rule.Action)
		failed = append(failed, *rule.OnExitCodes.ContainerName)
	}
	require.Equal(t, names[2:], failed)
	for _, c := range copies(t, r)[:3] {
		require.Empty(t, valueOf(c, "AWS_ENDPOINT_URL_S3"), "%s has no use for the key", c.Name)
	}
	require.True(t, copies(t, r)[3].VolumeMounts[0].ReadOnly, "who puts copies elsewhere changes none")
}

func TestObjectStore_KeysOrARole(t *testing.T) {
	t.Parallel()
	const external = "global: {datastores: {default: {objectStore: {endpoint: 'https://s3.eu-central-1.amazonaws.com', bucket: copies, auth: false}}}}"
	r := mustRenderValues(t, overlaid(t, "signer: {backup: {enabled: true, s3: {enabled: true}}}", external))
	require.False(t, r.says("AWS_ACCESS_KEY_ID"))
	require.Subset(t, egressPorts(t, r, "signer-backup"), []int32{443, 80}, "where keys of roles come from")

	_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, withFilesAnd(t, external))
	require.ErrorContains(t, err, "dapp.datastores.objectStore.existingSecret: is needed")
	r = mustRenderValues(t, withFilesAnd(t, external+"\ndapp: {datastores: {objectStore: {existingSecret: s3-login}}}"))
	require.Equal(t, "s3-login/accessKey", env(t, r, "dapp", "SETTLEMINT_MINIO_ACCESS_KEY"))
	require.False(t, r.says("AWS_ACCESS_KEY_ID"))

	r = mustRenderValues(t, withFilesAnd(t, `
global: {datastores: {default: {objectStore: {endpoint: 'https://s3.example', bucket: copies, existingSecret: s3-login}}, txsigner: {objectStore: {auth: false, bucket: mine}}}}
`))
	require.Equal(t, "--bucket=mine", copies(t, r)[3].Args[0])
	require.Equal(t, "s3-login/accessKey", env(t, r, "dapp", "SETTLEMINT_MINIO_ACCESS_KEY"))
	require.False(t, r.says("AWS_ACCESS_KEY_ID"))
}

func TestObjectStore_KeysInValuesAreInSecrets(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, withFilesAnd(t, `
support: {objectStore: {enabled: true}}
global: {datastores: {default: {objectStore: {accessKey: me, secretKey: 'C4n%ry'}}}}
`))
	for _, name := range []string{"object-store-inline", "dapp-object-store-inline", "signer-backup-object-store-inline"} {
		require.Equal(t, map[string]string{"accessKey": "me", "secretKey": "C4n%ry"}, find[corev1.Secret](t, r, "Secret", name).StringData)
	}
	require.Equal(t, 3, strings.Count(r.text(), "C4n"))
	require.False(t, r.says("secret-request-object-store"))
	requireReferences(t, r)
}

func TestObjectStore_RefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "global.datastores.default.objectStore.endpoint: is needed, because support.objectStore.enabled is false",
		"global: {datastores: {default: {objectStore: {endpoint: 'https://s3.example', bucket: b}}}}":                                                        "the object store at s3.example needs keys",
		"global: {datastores: {default: {objectStore: {endpoint: 'https://s3.example', existingSecret: l}}}}":                                                "objectStore.bucket: is needed, because signer.backup.s3.enabled is true",
		"global: {datastores: {default: {objectStore: {endpoint: 'https://s3.example', bucket: b, secretKey: x}}}}":                                          "objectStore.accessKey: is needed",
		"global: {allowInlineSecrets: false, datastores: {default: {objectStore: {endpoint: 'https://s3.example', bucket: b, accessKey: a, secretKey: x}}}}": "objectStore.secretKey: global.allowInlineSecrets is false",
		"global: {datastores: {default: {objectStore: {endpoint: 'https://me:hunter2@s3.example', bucket: b, existingSecret: l}}}}":                          "global.datastores.default.objectStore.endpoint",
		"global: {datastores: {default: {objectStore: {endpoint: 's3.example', bucket: b, existingSecret: l}}}}":                                             "global.datastores.default.objectStore.endpoint",
		"global: {datastores: {hasura: {objectStore: {endpoint: 'https://s3.example'}}}}":                                                                    "global.datastores.hasura.objectStore",
	} {
		_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, withFilesAnd(t, text))
		require.ErrorContains(t, err, want, text)
	}
}
