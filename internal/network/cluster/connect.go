package cluster

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Config says which cluster.
type Config struct {
	// Kubeconfig is a file; empty means KUBECONFIG, ~/.kube/config, or inside a
	// pod its service account.
	Kubeconfig string
	// Context of the file; empty means its current one.
	Context string
	// Namespace; empty means that of the context, or of the pod.
	Namespace string
}

// Limits of the connection. The library's own rate, five requests a second,
// would make a network of many nodes wait for itself.
const (
	requestTimeout = 15 * time.Second // of one request
	maxRate        = 50               // requests a second
	maxBurst       = 200
)

// Cluster is one namespace of a cluster.
type Cluster struct {
	api       corev1.CoreV1Interface
	host      string
	namespace string
}

// Connect reads the configuration; it talks to nobody.
func Connect(cfg Config) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = cfg.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: cfg.Context}
	overrides.Context.Namespace = cfg.Namespace
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	server, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster is configured: %w: give --kubeconfig and --context, or run in a pod with a service account", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("read the namespace: %w", err)
	}
	return New(server, namespace)
}

// New is a Cluster over a connection that is already configured.
func New(server *rest.Config, namespace string) (*Cluster, error) {
	if server.Insecure {
		return nil, errors.New("the kubeconfig has insecure-skip-tls-verify: whoever stands between could read the keys; give certificate-authority instead")
	}
	server = rest.CopyConfig(server)
	server.Timeout = requestTimeout
	server.UserAgent = "slipway"
	server.ContentType = "application/json"
	server.WarningHandler = rest.NoWarnings{} // the library would write them to standard error
	server.QPS, server.Burst = maxRate, maxBurst
	api, err := corev1.NewForConfig(server)
	if err != nil {
		return nil, fmt.Errorf("configure the connection to the cluster: %w", err)
	}
	return &Cluster{api: api, host: server.Host, namespace: namespace}, nil
}

// Namespace is the one that the Cluster works in.
func (c *Cluster) Namespace() string { return c.namespace }

// explain adds to an error of the API server what to do about it.
func (c *Cluster) explain(doing string, err error) error {
	var hint string
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		hint = "give the service account the Role that `slipway bootstrap --print-role` prints, or ask an administrator"
	case apierrors.IsUnauthorized(err):
		hint = "the credentials are not accepted: log in again, or check the service account's token"
	case apierrors.IsNotFound(err):
		hint = fmt.Sprintf("does the namespace exist? kubectl create namespace %s", c.namespace)
	case isUnreachable(err):
		return fmt.Errorf("%s: the cluster at %s cannot be reached: %w: check --kubeconfig, --context and the network", doing, c.host, withoutURL(err))
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %s", doing, err, hint)
}

func isUnreachable(err error) bool {
	var failed *url.Error
	return errors.As(err, &failed)
}

func withoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
