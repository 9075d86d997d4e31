package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/secret"
)

// Examination says what doctor looks at.
type Examination struct {
	Release string
	// SignerToken is for the signer's API; empty is none.
	SignerToken secret.String
}

// Doctor looks for what is wrong with an installation, and says what to do.
// What it cannot find out is a finding too.
func (c *Cluster) Doctor(ctx context.Context, e Examination) ([]Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, gatherWithin)
	defer cancel()
	f, err := c.facts(ctx, e)
	if err != nil {
		return nil, err
	}
	return diagnose(f), nil
}

func (c *Cluster) facts(ctx context.Context, e Examination) (facts, error) {
	o, err := c.begin(ctx, Request{Release: e.Release})
	if err != nil {
		return facts{}, err
	}
	f := facts{state: o.history.state(), release: e.Release, namespace: c.namespace}
	objects, err := objectsOf(o.history.running())
	if err != nil {
		return f, err
	}
	seen, err := c.observe(ctx, e.Release, objects)
	if err != nil {
		return f, err
	}
	f.waiting = seen.waiting()
	if f.callers, err = callerNotes(objects); err != nil {
		return f, err
	}
	s, err := c.situation(ctx, e.Release, objects, nil)
	if err != nil {
		return f, err
	}
	f.genesisHash = s.genesisHash
	f.wantChainID = s.wanted.chainID()
	if f.services, err = c.services(ctx, e.Release, seen.pods); err != nil {
		return f, err
	}
	f.lookups = c.lookUp(ctx, f.services, s.wanted.Bootstrap["--domain"])
	f.logins = c.logins(ctx, seen.pods)
	f.nodes = c.askNodes(ctx, seen.pods)
	f.senders, f.sendersErr = c.senders(ctx, seen.pods, e.SignerToken)
	return f, nil
}

// services reads the Services and who stands behind them.
func (c *Cluster) services(ctx context.Context, release string, pods []core.Pod) ([]service, error) {
	list, err := c.api.CoreV1().Services(c.namespace).List(ctx, meta.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + release})
	if err != nil {
		return nil, c.explain("list the Services", err)
	}
	var out []service
	for _, one := range list.Items {
		slicesOf, err := c.api.DiscoveryV1().EndpointSlices(c.namespace).List(ctx, meta.ListOptions{LabelSelector: discovery.LabelServiceName + "=" + one.Name})
		if err != nil {
			return nil, c.explain("list the addresses of Service "+one.Name, err)
		}
		out = append(out, serviceOf(one, slicesOf.Items, pods))
	}
	return out, nil
}

func serviceOf(one core.Service, addresses []discovery.EndpointSlice, pods []core.Pod) service {
	out := service{name: one.Name, wantsPods: len(one.Spec.Selector) > 0, isHeadless: one.Spec.ClusterIP == core.ClusterIPNone}
	for _, slice := range addresses {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				out.ready += len(endpoint.Addresses)
			}
		}
	}
	for _, pod := range pods {
		if !selects(one.Spec.Selector, pod.Labels) {
			continue
		}
		for _, port := range one.Spec.Ports {
			if name := port.Name; !offers(pod, port) && !slices.Contains(out.refused, name) {
				out.refused = append(out.refused, name)
			}
		}
	}
	return out
}

// offers says whether a pod has the port that a Service leads to. A number need
// not be declared.
func offers(pod core.Pod, port core.ServicePort) bool {
	if port.TargetPort.Type != intstr.String {
		return true
	}
	return slices.ContainsFunc(pod.Spec.Containers, func(one core.Container) bool {
		return slices.ContainsFunc(one.Ports, func(p core.ContainerPort) bool { return p.Name == port.TargetPort.StrVal })
	})
}

// logLines is how many of a container's last lines are looked at.
const logLines = 50

// logins looks into the last words of containers that do not work for a store's
// refusal.
func (c *Cluster) logins(ctx context.Context, pods []core.Pod) []login {
	var out []login
	for _, pod := range pods {
		if podReady(pod) || pod.Status.Phase == core.PodSucceeded {
			continue
		}
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if status.Ready && status.State.Running == nil {
				continue
			}
			text, err := c.log(ctx, pod.Name, status.Name, logLines, status.RestartCount > 0 && status.State.Running == nil)
			if err != nil {
				continue // a container that never ran has no log
			}
			if line := refusedLogin(text); line != "" {
				out = append(out, login{pod.Name, status.Name, line})
			}
		}
	}
	return out
}

// refusedLogin finds the last line in which PostgreSQL, Redis or a program of
// ours says that a login failed; it tells which, without the line itself.
func refusedLogin(log string) string {
	last := ""
	for line := range strings.Lines(log) {
		for _, known := range []struct{ sign, means string }{
			{"password authentication failed", "PostgreSQL does not accept the password"},
			{"28P01", "PostgreSQL does not accept the password"},
			{"no pg_hba.conf entry", "PostgreSQL does not accept connections of this user from here"},
			{"WRONGPASS", "Redis does not accept the password"},
			{"NOAUTH", "Redis wants a password"},
			{"NOPERM", "Redis does not allow the user this command"},
		} {
			if strings.Contains(line, known.sign) {
				last = known.means
			}
		}
	}
	return last
}

func (c *Cluster) log(ctx context.Context, pod, container string, lines int64, previous bool) (string, error) {
	const most = 1 << 20 // bytes
	limit := int64(most)
	stream, err := c.api.CoreV1().Pods(c.namespace).GetLogs(pod, &core.PodLogOptions{
		Container: container, TailLines: &lines, LimitBytes: &limit, Previous: previous, Timestamps: true,
	}).Stream(ctx)
	if err != nil {
		return "", c.explain("read the log of "+pod, err)
	}
	defer stream.Close()
	text, err := io.ReadAll(io.LimitReader(stream, most))
	if err != nil {
		return "", fmt.Errorf("read the log of %s: %w", pod, err)
	}
	return string(text), nil
}

// askNodes asks all nodes of the chain.
func (c *Cluster) askNodes(ctx context.Context, pods []core.Pod) []node {
	var out []node
	for _, pod := range pods {
		isRPC := pod.Labels["app.kubernetes.io/name"] == rpcName
		if pod.Labels[nodeLabel] == "" && !isRPC {
			continue
		}
		state, err := c.nodes.ask(ctx, pod.Name)
		out = append(out, node{name: pod.Name, validator: !isRPC, state: state, err: err})
	}
	return out
}

// signerPort is the signer's, as the chart has it.
const signerPort = 3000

// senders reads the signer's accounts, and what the chain says of each.
func (c *Cluster) senders(ctx context.Context, pods []core.Pod, token secret.String) ([]sender, error) {
	signer, rpc := readyPod(pods, "signer"), readyPod(pods, rpcName)
	if signer == "" {
		return nil, errors.New("no signer is ready")
	}
	var out []sender
	err := c.forward(ctx, signer, signerPort, func(url string) error {
		var err error
		out, err = askSigner(ctx, url, token)
		return err
	})
	if err != nil || rpc == "" || len(out) == 0 {
		return out, err
	}
	return out, c.forward(ctx, rpc, besuPort, func(url string) error { return chainCounts(ctx, url, out) })
}

func readyPod(pods []core.Pod, component string) string {
	for _, pod := range pods {
		if pod.Labels["app.kubernetes.io/name"] == component && podReady(pod) {
			return pod.Name
		}
	}
	return ""
}

// maxReport bounds what is read of the signer's answer, in bytes.
const maxReport = 16 << 20

func askSigner(ctx context.Context, url string, token secret.String) ([]sender, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/senders", nil)
	if err != nil {
		return nil, err
	}
	if token.Reveal() != "" {
		request.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	response, err := (&http.Client{Timeout: askWithin}).Do(request)
	if err != nil {
		return nil, errors.New("the signer does not answer")
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the signer answers with status %d", response.StatusCode)
	}
	var list struct {
		Items []sender `json:"items"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxReport)).Decode(&list); err != nil {
		return nil, fmt.Errorf("the signer's answer: %w", err)
	}
	return list.Items, nil
}

// chainCounts asks a node for the mined transactions of the accounts.
func chainCounts(ctx context.Context, url string, senders []sender) error {
	client, err := nodeclient.New(nodeclient.Config{URL: secret.New(url), Timeout: askWithin})
	if err != nil {
		return err
	}
	defer client.Close()
	accounts := make([]common.Address, len(senders))
	for i, one := range senders {
		accounts[i] = common.HexToAddress(one.Address)
	}
	for i, nonces := range client.LatestNonces(ctx, accounts) {
		if nonces.Err == nil {
			senders[i].chain, senders[i].chainKnown = nonces.Latest, true
		}
	}
	return nil
}
