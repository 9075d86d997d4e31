//go:build programs

package programstest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/deploy"
)

// kubo has busybox, of which the command uses sh.
func kubo() image {
	return image{program: "kubo", path: "/usr/local/bin/ipfs", shell: true, folders: []string{"ipfs", "ipns", "mfs", "container-init.d"}}
}

// ipfsAPI is where Graph Node is told that the API is.
func ipfsAPI(t *testing.T, objects []deploy.Object) string {
	t.Helper()
	for _, e := range find[workload](t, objects, "StatefulSet", "graph-node").Spec.Template.Spec.Containers[0].Env {
		if e.Name == "IPFS_URL" {
			address := e.Value
			if !strings.HasPrefix(address, "http") {
				address = "http://" + address
			}
			return strings.TrimSuffix(reach(t, objects, address), "/")
		}
	}
	require.Fail(t, "Graph Node has no address of IPFS")
	return ""
}

// add gives a file to Kubo, as `graph deploy` does, and tells its name.
func add(t *testing.T, api, text string) string {
	t.Helper()
	body := fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"subgraph.yaml\"\r\n\r\n%s\r\n--b--\r\n", text)
	var added struct{ Hash string }
	require.NoError(t, json.Unmarshal([]byte(ask(t, http.MethodPost, api+"/api/v0/add?pin=true", "multipart/form-data; boundary=b", body)), &added))
	return added.Hash
}

func TestPrograms_KuboServesGraphNode(t *testing.T) {
	objects := render(t, namespace, "global: {networkPolicy: {enabled: true}}")
	data := folder(t, 100)
	// What a fresh volume of ext4 has.
	require.NoError(t, os.Mkdir(filepath.Join(data, "lost+found"), 0o700))
	pod := start(t, objects, "StatefulSet", "ipfs", kubo(), data, nil)
	pod.becomesReady()
	api := ipfsAPI(t, objects)

	name := add(t, api, "specVersion: 1.0.0")
	require.Equal(t, "specVersion: 1.0.0", ask(t, http.MethodPost, api+"/api/v0/cat?arg="+name, "", ""))
	require.Equal(t, "specVersion: 1.0.0", ask(t, http.MethodGet, "http://"+podIP+":8080/ipfs/"+name, "", ""))
	require.Contains(t, ask(t, http.MethodPost, api+"/api/v0/version", "", ""), "Version")
	eventually(t, api+"/debug/metrics/prometheus", "go_goroutines")
	// It is part of no network.
	pod.callsNobody()
	require.NotContains(t, pod.output.String(), "Swarm listening")
	var identity struct{ Addresses []string }
	require.NoError(t, json.Unmarshal([]byte(ask(t, http.MethodPost, api+"/api/v0/id", "", "")), &identity))
	require.Empty(t, identity.Addresses)
	pod.stop()

	// The public network and back, on the same volume.
	for _, public := range []bool{true, false} {
		pod = start(t, render(t, namespace, fmt.Sprintf("ipfs: {public: %t}", public)), "StatefulSet", "ipfs", kubo(), data, nil)
		pod.becomesReady()
		require.Equal(t, "specVersion: 1.0.0", ask(t, http.MethodPost, api+"/api/v0/cat?arg="+name, "", ""))
		var settings struct{ Bootstrap []string }
		require.NoError(t, json.Unmarshal([]byte(read(t, filepath.Join(data, "config"))), &settings))
		require.Equal(t, public, len(settings.Bootstrap) > 0, "whom it asks for its peers")
		pod.stop()
	}
	pod.callsNobody()
}

// Version 16 of a repository, which Kubo 0.36 wrote, has the same files and no
// AutoConf.
func TestPrograms_KuboTakesARepositoryOfAnOlderOne(t *testing.T) {
	objects := render(t, namespace, "{}")
	data := folder(t, 100)
	pod := start(t, objects, "StatefulSet", "ipfs", kubo(), data, nil)
	pod.becomesReady()
	api := ipfsAPI(t, objects)
	name := add(t, api, "specVersion: 0.0.9")
	pod.stop()
	newest := strings.TrimSpace(read(t, filepath.Join(data, "version")))

	var settings map[string]any
	require.NoError(t, json.Unmarshal([]byte(read(t, filepath.Join(data, "config"))), &settings))
	delete(settings, "AutoConf")
	settings["Bootstrap"] = []string{"/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN"}
	older, err := json.Marshal(settings)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(data, "config"), older, 0o600)) // its owner stays
	require.NoError(t, os.WriteFile(filepath.Join(data, "version"), []byte("16\n"), 0o600))

	second := start(t, objects, "StatefulSet", "ipfs", kubo(), data, nil)
	second.becomesReady()
	second.callsNobody()
	require.Equal(t, newest, strings.TrimSpace(read(t, filepath.Join(data, "version"))))
	require.Equal(t, "specVersion: 0.0.9", ask(t, http.MethodPost, api+"/api/v0/cat?arg="+name, "", ""))
}

func TestPrograms_KuboOfThePublicNetwork(t *testing.T) {
	objects := render(t, namespace, "ipfs: {public: true, metrics: true}")
	pod := start(t, objects, "StatefulSet", "ipfs", kubo(), "", nil)
	pod.becomesReady()
	require.Contains(t, pod.output.String(), "Swarm listening")
	add(t, ipfsAPI(t, objects), "specVersion: 1.0.0")
	pod.stop()
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}
