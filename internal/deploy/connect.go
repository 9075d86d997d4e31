package deploy

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Connection says which cluster, and which namespace of it.
type Connection struct {
	// Kubeconfig is a file; empty means KUBECONFIG, ~/.kube/config, or inside a
	// pod its service account.
	Kubeconfig string
	// Context of the file; empty means its current one.
	Context   string
	Namespace string
}

// Errors that a caller can tell apart.
var (
	// ErrUnreachable says that the API server did not answer.
	ErrUnreachable = errors.New("the cluster cannot be reached")
	// ErrForbidden says that the API server does not allow what is needed.
	ErrForbidden = errors.New("the cluster does not allow it")
	// ErrInsecure says that nobody would notice another server in its place.
	ErrInsecure = errors.New("the kubeconfig has insecure-skip-tls-verify")
)

// Limits of the connection.
const (
	requestTimeout = 30 * time.Second
	maxRate        = 50 // requests a second
	maxBurst       = 300
	// fieldManager is under which name the API server notes our writes.
	fieldManager = "slipway"
)

// Cluster is one namespace of a cluster, in which releases live.
type Cluster struct {
	namespace string
	host      string
	rest      *rest.Config
	api       kubernetes.Interface
	// configure makes what a Helm action needs.
	configure func() (*action.Configuration, error)
	warned    *warnings
	nodes     nodes
	poll      time.Duration // between two looks at what is waited for
}

// pollEvery is how often the cluster is looked at while waiting.
const pollEvery = time.Second

// Connect reads the configuration and asks the API server whether it is there.
func Connect(ctx context.Context, to Connection) (*Cluster, error) {
	flags := genericclioptions.NewConfigFlags(true)
	flags.Namespace = &to.Namespace
	if to.Kubeconfig != "" {
		flags.KubeConfig = &to.Kubeconfig
	}
	if to.Context != "" {
		flags.Context = &to.Context
	}
	warned := new(warnings)
	flags.WrapConfigFn = func(config *rest.Config) *rest.Config {
		config.Timeout, config.QPS, config.Burst, config.UserAgent = requestTimeout, maxRate, maxBurst, fieldManager
		config.WarningHandler = warned
		return config
	}
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster is configured: %w: give --kubeconfig and --context, or run in a pod with a service account", err)
	}
	if config.Insecure {
		return nil, fmt.Errorf("%w: whoever stands between could read and change everything: give certificate-authority in the kubeconfig instead", ErrInsecure)
	}
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("configure the connection to the cluster: %w", err)
	}
	c := &Cluster{namespace: to.Namespace, host: config.Host, rest: config, api: api, warned: warned, poll: pollEvery}
	c.nodes = forwarded{c}
	c.configure = func() (*action.Configuration, error) {
		out := new(action.Configuration)
		if err := out.Init(flags, to.Namespace, "secret", func(string, ...any) {}); err != nil {
			return nil, fmt.Errorf("configure Helm: %w", err)
		}
		return out, nil
	}
	if err := c.reach(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Namespace is the one that the Cluster works in.
func (c *Cluster) Namespace() string { return c.namespace }

func (c *Cluster) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return c.explain("ask for the cluster's version", c.api.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Error())
}

// explain adds to an error of the API server what to do about it.
func (c *Cluster) explain(doing string, err error) error {
	var failed *url.Error
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err) || strings.Contains(err.Error(), "is forbidden: "):
		return fmt.Errorf("%s: %w: %w: ask an administrator of namespace %s for it, or use other credentials with --context", doing, ErrForbidden, err, c.namespace)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: %w: the credentials are not accepted: log in again, or choose others with --context", doing, ErrForbidden)
	case errors.As(err, &failed):
		return fmt.Errorf("%s: %w at %s: %w: check --kubeconfig, --context and the network (VPN, proxy)", doing, ErrUnreachable, c.host, failed.Err)
	case strings.Contains(err.Error(), "cluster unreachable"):
		return fmt.Errorf("%s: %w at %s: %w: check --kubeconfig, --context and the network (VPN, proxy)", doing, ErrUnreachable, c.host, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}
