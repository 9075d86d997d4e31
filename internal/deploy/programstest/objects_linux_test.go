//go:build programs

package programstest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/slipwayhq/slipway/internal/deploy"
)

const namespace = "atk"

// workload is as much of a Deployment, StatefulSet or DaemonSet as is looked at.
type workload struct {
	Metadata meta.ObjectMeta `json:"metadata"`
	Spec     struct {
		Template             core.PodTemplateSpec         `json:"template"`
		VolumeClaimTemplates []core.PersistentVolumeClaim `json:"volumeClaimTemplates"`
	} `json:"spec"`
}

func render(t *testing.T, namespace, text string) []deploy.Object {
	t.Helper()
	values := deploy.Values{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &values))
	objects, err := deploy.Render(t.Context(), deploy.Target{Release: "slipway", Namespace: namespace}, values)
	require.NoError(t, err)
	return objects
}

func find[T any](t *testing.T, objects []deploy.Object, kind, name string) T {
	t.Helper()
	var out T
	for _, o := range objects {
		if o.Kind == kind && o.Name == name {
			require.NoError(t, yaml.Unmarshal([]byte(o.Text), &out))
			return out
		}
	}
	require.Failf(t, "missing", "%s %s", kind, name)
	return out
}

// hosts lets pods find every Service by its name.
func hosts(objects []deploy.Object) string {
	var out strings.Builder
	fmt.Fprintln(&out, "127.0.0.1 localhost")
	for _, o := range objects {
		if o.Kind == "Service" {
			fmt.Fprintf(&out, "%s %s.%s.svc.cluster.local\n", podIP, o.Name, o.Namespace)
		}
	}
	return out.String()
}

// reach makes a rendered URL of a Service one that the test can ask; the Service
// must be there, and its port must be one of the pod's.
func reach(t *testing.T, objects []deploy.Object, url string) string {
	t.Helper()
	for _, o := range objects {
		host := fmt.Sprintf("%s.%s.svc.cluster.local", o.Name, o.Namespace)
		if o.Kind == "Service" && strings.Contains(url, "//"+host+":") {
			return strings.Replace(url, host, podIP, 1)
		}
	}
	require.Fail(t, "no Service", url)
	return ""
}

// ask requires an answer with a status of 2xx, and gives its text.
func ask(t *testing.T, method, url, contentType, body string) string {
	t.Helper()
	text, err := tryAsk(t, method, url, contentType, body)
	require.NoError(t, err)
	return text
}

// tryAsk asks once.
func tryAsk(t *testing.T, method, url, contentType, body string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s: %s", url, answer.Status, text)
	}
	return string(text), err
}

// eventually asks until the answer has what is wanted.
func eventually(t *testing.T, url, want string) {
	t.Helper()
	var last string
	require.Eventually(t, func() bool {
		text, err := tryAsk(t, http.MethodGet, url, "", "")
		last = fmt.Sprint(text, err)
		return err == nil && strings.Contains(text, want)
	}, longestStart, 200*time.Millisecond, "%s must have %s: %s", url, want, &last)
}
