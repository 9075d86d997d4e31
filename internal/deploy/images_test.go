package deploy

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/stretchr/testify/require"
)

func TestImages_AreAllOfThePods(t *testing.T) {
	t.Parallel()
	r := renderedOnce(t, everything, ownIngress)
	images, err := Images(r.objects)
	require.NoError(t, err)
	known := make(map[string]bool)
	for _, image := range images {
		require.NotEmpty(t, image.UsedBy)
		known[image.Name] = true
	}
	count := make(map[string]bool)
	for _, p := range r.pods(t) {
		for _, c := range p.containers() {
			require.True(t, known[c.Image], "%s of %s", c.Image, p.owner.Name)
			count[c.Image] = true
		}
	}
	require.Len(t, images, len(count))
}

// What is mirrored is found by an installation with global.imageRegistry.
func TestMirroredName_IsWhatTheChartAsksFor(t *testing.T) {
	t.Parallel()
	const to = "registry.example:5000/team"
	original, err := Images(renderedOnce(t, everything, ownIngress).objects)
	require.NoError(t, err)
	mirrored, err := Images(mustRenderValues(t, overlaid(t, everything, ownIngress, "global: {imageRegistry: "+to+"}")).objects)
	require.NoError(t, err)
	var want, got []string
	for _, image := range original {
		name, err := MirroredName(image.Name, to)
		require.NoError(t, err)
		got = append(got, name)
	}
	for _, image := range mirrored {
		want = append(want, image.Name)
	}
	require.ElementsMatch(t, want, got)
}

func newRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestMirror_KeepsDigests(t *testing.T) {
	t.Parallel()
	from, to := newRegistry(t), newRegistry(t)
	image, err := random.Image(512, 2)
	require.NoError(t, err)
	require.NoError(t, crane.Push(image, from+"/besu/node:1.2.3"))
	require.NoError(t, crane.Push(image, from+"/library/db:9"))
	digest, err := image.Digest()
	require.NoError(t, err)

	pinned := from + "/library/db:9@" + digest.String()
	var told []Event
	copied, err := Mirror(t.Context(), []Image{{Name: from + "/besu/node:1.2.3"}, {Name: pinned}}, MirrorOptions{
		To: to + "/mirror", Tell: func(e Event) { told = append(told, e) },
	})
	require.NoError(t, err)
	require.Len(t, told, 2)
	require.Equal(t, Copied{from + "/besu/node:1.2.3", to + "/mirror/besu/node:1.2.3", digest.String()}, copied[0])
	for _, name := range []string{to + "/mirror/besu/node:1.2.3", to + "/mirror/library/db@" + digest.String()} {
		there, err := crane.Digest(name)
		require.NoError(t, err)
		require.Equal(t, digest.String(), there)
	}

	// What is missing is told; what was copied before is too.
	copied, err = Mirror(t.Context(), []Image{{Name: pinned}, {Name: from + "/not/there:1"}}, MirrorOptions{To: to})
	require.ErrorContains(t, err, "not/there:1")
	require.Len(t, copied, 1)
}
