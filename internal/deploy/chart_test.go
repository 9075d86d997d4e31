package deploy

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"

	"github.com/slipwayhq/slipway/charts"
)

func mustLoad(t *testing.T) *chart.Chart {
	t.Helper()
	out, err := load(charts.Files, chartFolder)
	require.NoError(t, err)
	return out
}

func TestCharts_RenderAlone(t *testing.T) {
	t.Parallel()
	for _, sub := range mustLoad(t).Dependencies() {
		t.Run(sub.Name(), func(t *testing.T) {
			t.Parallel()
			alone, err := load(charts.Files, chartFolder+"/charts/"+sub.Name())
			require.NoError(t, err)
			objects, err := render(t.Context(), alone, Target{Release: "alone", Namespace: "alone"}, Values{})
			require.NoError(t, err)
			require.NotEmpty(t, objects)
		})
	}
}

func TestCharts_AreDependenciesWithACondition(t *testing.T) {
	t.Parallel()
	umbrella := mustLoad(t)
	for _, sub := range umbrella.Dependencies() {
		at := slices.IndexFunc(umbrella.Metadata.Dependencies, func(d *chart.Dependency) bool { return d.Name == sub.Name() })
		require.GreaterOrEqual(t, at, 0, "%s is not in Chart.yaml", sub.Name())
		require.Equal(t, sub.Name()+".enabled", umbrella.Metadata.Dependencies[at].Condition)
		require.Equal(t, umbrella.Metadata.Version, sub.Metadata.Version)
		require.NotNil(t, umbrella.Values[sub.Name()], "%s has no toggle in values.yaml", sub.Name())
	}
}

func TestProfiles_Render(t *testing.T) {
	t.Parallel()
	names, err := Profiles()
	require.NoError(t, err)
	require.Subset(t, names, []string{"preview", "production"})
	for _, name := range names {
		v, err := Sources{Profiles: []string{name}}.Load()
		require.NoError(t, err)
		mustRenderValues(t, v)
	}
}

// TestCharts_SayWhichKubernetesTheyNeed: an older one is refused before anything is made.
func TestCharts_SayWhichKubernetesTheyNeed(t *testing.T) {
	t.Parallel()
	for version, taken := range map[string]bool{"1.27.16": false, "1.28.0": true, "1.29.4-eks-036c24b": true, "v1.33.1+k3s1": true, "1.40.0": true} {
		_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk", KubeVersion: version}, Values{})
		if taken {
			require.NoError(t, err, version)
			continue
		}
		require.ErrorContains(t, err, "1.28.0", version)
	}
}
