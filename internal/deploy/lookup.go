package deploy

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// lookUpWithin bounds the look-ups of names, all together: a name server that is
// away must not take the time of the questions that come after.
const lookUpWithin = 10 * time.Second

// lookUp resolves the Services' names, which works inside the cluster alone.
// domain is what the nodes' names end in: svc.cluster.local.
func (c *Cluster) lookUp(ctx context.Context, services []service, domain string) []lookup {
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return nil
	}
	return resolveAll(ctx, net.DefaultResolver, serviceNames(services, c.namespace, domain))
}

// serviceNames are whole names, which no search list of the pod completes. A
// headless Service without pods has no name.
func serviceNames(services []service, namespace, domain string) []string {
	var out []string
	for _, one := range services {
		if !one.isHeadless || one.ready > 0 {
			out = append(out, one.name+"."+namespace+"."+cmp.Or(domain, "svc.cluster.local")+".")
		}
	}
	return out
}

func resolveAll(ctx context.Context, resolver *net.Resolver, names []string) []lookup {
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	out := make([]lookup, len(names))
	var asking sync.WaitGroup
	for i, name := range names {
		asking.Go(func() {
			_, err := resolver.LookupHost(ctx, name)
			out[i] = lookup{name, wordsOf(err)}
		})
	}
	asking.Wait()
	return out
}

// wordsOf leaves out of an error what is said already, such as the name.
func wordsOf(err error) error {
	var failed *net.DNSError
	if errors.As(err, &failed) {
		return errors.New(failed.Err)
	}
	return err
}
