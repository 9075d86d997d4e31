package deploy

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
)

func TestPrepull_HasEveryImageThatIsRendered(t *testing.T) {
	t.Parallel()
	const prepull = "global: {prepull: {enabled: true, nodeSelector: {pool: chain}}}"
	for name, more := range map[string]string{
		"default": "", "everything": everything, "external": "support: {enabled: false}\nglobal: {datastores: {default: {postgresql: {host: db.example, existingSecret: a}, redis: {host: cache.example, existingSecret: b}}}}", "mirror": "global: {imageRegistry: 'mirror.example:5000'}",
		"own ingress": ownIngress,
		"less":        "observability: {enabled: false}\nblockscout: {frontend: {enabled: false}}",
	} {
		r := mustRenderValues(t, overlaid(t, more, prepull))
		template := find[appsv1.DaemonSet](t, r, "DaemonSet", "image-prepull").Spec.Template.Spec
		require.Equal(t, map[string]string{"pool": "chain"}, template.NodeSelector)
		pulled := make(map[string]bool)
		for _, c := range template.InitContainers[1:] {
			require.Equal(t, "/slipway/slipway", c.Command[0], "nothing of the image is needed")
			require.False(t, pulled[c.Image], "%s: twice: %s", name, c.Image)
			pulled[c.Image] = true
		}
		for _, p := range r.pods(t) {
			for _, c := range p.containers() {
				require.True(t, pulled[c.Image], "%s: %s of %s", name, c.Image, p.owner.Name)
			}
		}
		if name == "less" {
			require.Less(t, len(pulled), 12, "what is switched off is not fetched")
		}
	}
	require.False(t, mustRender(t, "").has("DaemonSet", "image-prepull"))
}
