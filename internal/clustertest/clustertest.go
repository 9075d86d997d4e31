package clustertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorization "k8s.io/api/authorization/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	rbacv1 "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Variables of the environment: the folder of the programs, and the way to the
// server that Main started for all tests of a binary.
const (
	programsVariable   = "SLIPWAY_CLUSTER"
	kubeconfigVariable = "SLIPWAY_CLUSTER_KUBECONFIG"
)

// PauseImage is the image that holds the namespaces of a pod that really runs.
const PauseImage = "slipway.test/pause:1"

// Main runs the tests of a binary, with a real API server where one is asked
// for. It returns the exit code. m is a testing.M, or what runs one.
func Main(m interface{ Run() int }) int {
	programs := os.Getenv(programsVariable)
	if programs == "" {
		return m.Run()
	}
	plane, err := startControlPlane(programs, thisMachine())
	if err != nil {
		fmt.Fprintln(os.Stderr, "clustertest:", err)
		return 1
	}
	defer plane.stop()
	if err := os.Setenv(kubeconfigVariable, plane.kubeconfig); err != nil {
		fmt.Fprintln(os.Stderr, "clustertest:", err)
		return 1
	}
	return m.Run()
}

// API is an API server with an empty namespace for one test.
type API struct {
	// Config is an administrator's connection.
	Config *rest.Config
	// Namespace exists and is empty.
	Namespace string
	imitation *imitation // nil where the server is real
}

// IsReal says that the server is kube-apiserver itself.
func (a *API) IsReal() bool { return a.imitation == nil }

// Start gives a test its namespace.
func Start(t *testing.T) *API {
	t.Helper()
	path := os.Getenv(kubeconfigVariable)
	if path == "" {
		server := newImitation(t)
		return &API{Config: server.config(), Namespace: imitationNamespace, imitation: server}
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	require.NoError(t, err)
	config.QPS = -1 // no limit of the client's own
	admin, err := corev1.NewForConfig(config)
	require.NoError(t, err)
	made, err := admin.Namespaces().Create(t.Context(), &core.Namespace{ObjectMeta: meta.ObjectMeta{GenerateName: "test-"}}, meta.CreateOptions{})
	require.NoError(t, err)
	furnished(t, admin, made.Name)
	return &API{Config: config, Namespace: made.Name}
}

// furnished waits until the controllers have put into a namespace what every one
// has: a test that compares what is in it would see that come.
func furnished(t *testing.T, admin corev1.CoreV1Interface, namespace string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, noAccount := admin.ServiceAccounts(namespace).Get(t.Context(), "default", meta.GetOptions{})
		_, noAuthority := admin.ConfigMaps(namespace).Get(t.Context(), "kube-root-ca.crt", meta.GetOptions{})
		return noAccount == nil && noAuthority == nil
	}, readyWithin, lookEvery, "namespace "+namespace+" gets no service account, or no authority")
}

// Kubeconfig is a file with the administrator's connection.
func (a *API) Kubeconfig(t *testing.T) string {
	t.Helper()
	if a.imitation == nil {
		return os.Getenv(kubeconfigVariable)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(api.Config{
		CurrentContext: "test",
		Clusters:       map[string]*api.Cluster{"test": {Server: a.Config.Host, CertificateAuthorityData: a.Config.CAData}},
		Contexts:       map[string]*api.Context{"test": {Cluster: "test", Namespace: a.Namespace}},
	}, path))
	return path
}

// As is the connection of a user who has these Roles and nothing else. Each
// user needs a name of its own within the namespace.
func (a *API) As(t *testing.T, user string, roles ...rbac.Role) *rest.Config {
	t.Helper()
	config := rest.CopyConfig(a.Config)
	config.Impersonate.UserName = user
	if a.imitation != nil {
		a.imitation.grant(user, roles)
		return config
	}
	admin, err := rbacv1.NewForConfig(a.Config)
	require.NoError(t, err)
	for _, role := range roles {
		_, err := admin.Roles(a.Namespace).Create(t.Context(), &role, meta.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			require.NoError(t, err)
		}
		_, err = admin.RoleBindings(a.Namespace).Create(t.Context(), &rbac.RoleBinding{
			ObjectMeta: meta.ObjectMeta{Name: strings.ToLower(user + "-" + role.Name)},
			Subjects:   []rbac.Subject{{Kind: rbac.UserKind, APIGroup: rbac.GroupName, Name: user}},
			RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: role.Name},
		}, meta.CreateOptions{})
		require.NoError(t, err)
		a.waitForRights(t, config, role.Rules)
	}
	return config
}

// waitForRights waits until the API server knows what it has just been told: it
// judges by a copy of the Roles that follows them.
func (a *API) waitForRights(t *testing.T, config *rest.Config, rules []rbac.PolicyRule) {
	t.Helper()
	if len(rules) == 0 {
		return
	}
	last := rules[len(rules)-1]
	asked := authorization.ResourceAttributes{Namespace: a.Namespace, Verb: last.Verbs[0], Group: last.APIGroups[0], Resource: last.Resources[0]}
	if len(last.ResourceNames) > 0 {
		asked.Name = last.ResourceNames[0]
	}
	if resource, sub, has := strings.Cut(asked.Resource, "/"); has {
		asked.Resource, asked.Subresource = resource, sub
	}
	user, err := authorizationv1.NewForConfig(config)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		answer, err := user.SelfSubjectAccessReviews().Create(t.Context(), &authorization.SelfSubjectAccessReview{
			Spec: authorization.SelfSubjectAccessReviewSpec{ResourceAttributes: &asked},
		}, meta.CreateOptions{})
		return err == nil && answer.Status.Allowed
	}, 10*time.Second, 10*time.Millisecond, "%v", asked)
}
