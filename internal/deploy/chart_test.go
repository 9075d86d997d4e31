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
