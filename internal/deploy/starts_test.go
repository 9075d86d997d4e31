package deploy

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
)

// TestHasura_HasNoEmptyVariable is about its start: it reads an empty variable as
// a value, and ends where that is none, such as a list of origins.
func TestHasura_HasNoEmptyVariable(t *testing.T) {
	t.Parallel()
	hasura := find[appsv1.Deployment](t, mustRender(t, ""), "Deployment", "hasura").Spec.Template.Spec.Containers[0]
	for _, e := range hasura.Env {
		require.False(t, e.Value == "" && e.ValueFrom == nil, e.Name)
	}
	require.Equal(t, "true", valueOf(hasura, "HASURA_GRAPHQL_DISABLE_CORS"))

	r := mustRender(t, `hasura: {corsDomain: "https://app.example"}`)
	hasura = find[appsv1.Deployment](t, r, "Deployment", "hasura").Spec.Template.Spec.Containers[0]
	require.Equal(t, "https://app.example", valueOf(hasura, "HASURA_GRAPHQL_CORS_DOMAIN"))
	require.Empty(t, valueOf(hasura, "HASURA_GRAPHQL_DISABLE_CORS"))
}

// TestDApp_MakesItsTablesItself is about the installation, which waits for every
// job: one in the image of the dApp finds neither scripts nor tools there.
func TestDApp_MakesItsTablesItself(t *testing.T) {
	t.Parallel()
	for name := range all[batchv1.Job](t, mustRender(t, ""), "Job") {
		require.NotContains(t, name, "dapp-setup")
	}
	require.Equal(t, "atk-hd-private-key", env(t, mustRender(t, ""), "dapp", "SETTLEMINT_HD_PRIVATE_KEY"))

	_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, "dapp: {setup: {enabled: true}}"))
	require.ErrorContains(t, err, "dapp.setup.image.repository: is needed")
}
