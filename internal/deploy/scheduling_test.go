package deploy

import (
	"testing"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestScheduling_IsThatOfTheScheduler(t *testing.T) {
	t.Parallel()
	out, err := chainOf(mustRender(t, `
network:
  validator:
    nodeSelector: {pool: stateful}
    tolerations: [{key: dedicated, operator: Equal, value: chain, effect: NoSchedule}]
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: NotIn, values: [far]}]}]
`).objects)
	require.NoError(t, err)
	dedicated := core.Taint{Key: "dedicated", Value: "chain", Effect: core.TaintEffectNoSchedule}
	for name, c := range map[string]struct {
		labels map[string]string
		spec   core.NodeSpec
		fits   bool
	}{
		"its pool":                   {map[string]string{"pool": "stateful"}, core.NodeSpec{}, true},
		"its pool, kept for it":      {map[string]string{"pool": "stateful"}, core.NodeSpec{Taints: []core.Taint{dedicated}}, true},
		"another pool":               {map[string]string{"pool": "other"}, core.NodeSpec{}, false},
		"too far":                    {map[string]string{"pool": "stateful", "zone": "far"}, core.NodeSpec{}, false},
		"cordoned":                   {map[string]string{"pool": "stateful"}, core.NodeSpec{Unschedulable: true}, false},
		"kept for others":            {map[string]string{"pool": "stateful"}, core.NodeSpec{Taints: []core.Taint{{Key: "gpu", Effect: core.TaintEffectNoSchedule}}}, false},
		"being emptied":              {map[string]string{"pool": "stateful"}, core.NodeSpec{Taints: []core.Taint{{Key: "gone", Effect: core.TaintEffectNoExecute}}}, false},
		"others preferred elsewhere": {map[string]string{"pool": "stateful"}, core.NodeSpec{Taints: []core.Taint{{Key: "old", Effect: core.TaintEffectPreferNoSchedule}}}, true},
	} {
		machine := &core.Node{ObjectMeta: meta.ObjectMeta{Name: "m", Labels: c.labels}, Spec: c.spec}
		require.Equal(t, c.fits, out.Placement.fits(machine), name)
	}
}
