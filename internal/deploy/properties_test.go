package deploy

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	psapi "k8s.io/pod-security-admission/api"
	psadmission "k8s.io/pod-security-admission/policy"
)

func TestRendering_IsTheSameTwice(t *testing.T) {
	t.Parallel()
	first, second := mustRender(t, everything), mustRender(t, everything)
	require.Equal(t, first.text(), second.text())
}

func TestRendering_HasNoClusterInIt(t *testing.T) {
	t.Parallel()
	umbrella := mustLoad(t)
	for _, c := range append(umbrella.Dependencies(), umbrella) {
		for _, file := range c.Templates {
			for _, forbidden := range []string{"lookup ", "rand", "now ", "genPrivateKey", "genCA", "uuidv4", "htpasswd", "bcrypt"} {
				require.NotContains(t, string(file.Data), "{{ "+forbidden, "%s: what is rendered must not depend on when and where", file.Name)
			}
		}
	}
}

func TestPods_AreRestricted(t *testing.T) {
	t.Parallel()
	evaluator, err := psadmission.NewEvaluator(psadmission.DefaultChecks(), nil)
	require.NoError(t, err)
	for name, r := range bases(t) {
		for _, p := range r.pods(t) {
			for _, result := range evaluator.EvaluatePod(psapi.LevelVersion{Level: psapi.LevelRestricted, Version: psapi.LatestVersion()}, &p.ObjectMeta, &p.spec) {
				require.True(t, result.Allowed, "%s: %s %s: %s %s", name, p.owner.Kind, p.owner.Name, result.ForbiddenReason, result.ForbiddenDetail)
			}
			for _, c := range p.containers() {
				require.NotNil(t, c.SecurityContext.ReadOnlyRootFilesystem, "%s %s", p.owner.Name, c.Name)
				require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, "%s %s", p.owner.Name, c.Name)
				require.NotEmpty(t, c.Resources.Requests, "%s %s", p.owner.Name, c.Name)
				require.NotEmpty(t, c.Resources.Limits.Memory(), "%s %s", p.owner.Name, c.Name)
			}
			require.NotNil(t, p.spec.AutomountServiceAccountToken, p.owner.Name)
			asksAPIServer := slices.Contains([]string{"bootstrap-1", "alloy", "kube-state-metrics", "metrics-server", "reloader", "snapshots", "traefik"}, p.owner.Name)
			require.Equal(t, asksAPIServer, *p.spec.AutomountServiceAccountToken, p.owner.Name)
			require.False(t, *p.spec.EnableServiceLinks, p.owner.Name)
		}
	}
}

func TestPods_HaveNoUserIDsOnOpenShift(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "global: {securityContexts: {pod: {runAsUser: null, runAsGroup: null, fsGroup: null}}}")
	require.False(t, r.says("runAsUser:"))
	require.False(t, r.says("runAsGroup:"))
	require.False(t, r.says("fsGroup:"))
	require.True(t, r.says("runAsNonRoot: true"))
}

func TestPods_HaveProbesOfTheRightKind(t *testing.T) {
	t.Parallel()
	for _, p := range renderedOnce(t, everything, ownIngress).pods(t) {
		if p.owner.Kind == "Job" || p.owner.Kind == "CronJob" || p.owner.Name == "image-prepull" {
			continue // nobody asks them for anything
		}
		for _, c := range p.spec.Containers {
			require.NotNil(t, c.LivenessProbe, "%s %s", p.owner.Name, c.Name)
			require.NotNil(t, c.ReadinessProbe, "%s %s", p.owner.Name, c.Name)
			if get := c.LivenessProbe.HTTPGet; get != nil {
				require.NotContains(t, strings.ToLower(get.Path), "ready", "%s: a process that lives must not be ended because others are away", p.owner.Name)
			}
		}
	}
}

func TestImages_ComeFromTheRegistry(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?/[a-z0-9./_-]+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$`)
	for name, r := range bases(t) {
		for _, p := range r.pods(t) {
			for _, c := range p.containers() {
				require.Regexp(t, pinned, c.Image, "%s: %s", name, p.owner.Name)
				require.NotContains(t, c.Image, ":latest", p.owner.Name)
				require.NotContains(t, c.Image, "bitnami", p.owner.Name)
				require.NotEmpty(t, c.ImagePullPolicy, p.owner.Name)
			}
		}
	}
	r := mustRenderValues(t, overlaid(t, everything, `global: {imageRegistry: "mirror.example:5000", imagePullSecrets: [pull]}`))
	for _, p := range r.pods(t) {
		require.Equal(t, []corev1.LocalObjectReference{{Name: "pull"}}, p.spec.ImagePullSecrets, p.owner.Name)
		for _, c := range p.containers() {
			require.True(t, strings.HasPrefix(c.Image, "mirror.example:5000/"), "%s: %s", p.owner.Name, c.Image)
		}
	}
}

func TestLabels_AreOnEveryObjectPodAndClaim(t *testing.T) {
	t.Parallel()
	r := renderedOnce(t, everything, ownIngress, peered, classes)
	for i, o := range r.objects {
		metadata, _ := r.parsed[i]["metadata"].(map[string]any)
		labels, _ := metadata["labels"].(map[string]any)
		require.Equal(t, "chain", labels["team"], "%s %s", o.Kind, o.Name)
		require.Equal(t, "slipway", labels["app.kubernetes.io/instance"], "%s %s", o.Kind, o.Name)
		require.Equal(t, namespaceOf(o), o.Namespace, "%s %s", o.Kind, o.Name)
		spec, _ := r.parsed[i]["spec"].(map[string]any)
		claims, _ := spec["volumeClaimTemplates"].([]any)
		for _, claim := range claims {
			require.Contains(t, fmt.Sprint(claim), "team:chain", o.Name)
		}
	}
	for _, p := range r.pods(t) {
		require.Equal(t, "chain", p.Labels["team"], p.owner.Name)
	}
}

// namespaceOf is where an object must be: "" for those of the whole cluster.
func namespaceOf(o Object) string {
	switch {
	case slices.Contains([]string{"ClusterRole", "ClusterRoleBinding", "APIService", "IngressClass", "StorageClass", "VolumeSnapshotClass"}, o.Kind):
		return ""
	case o.Kind == "RoleBinding" && strings.HasSuffix(o.Name, "metrics-server"):
		return "kube-system"
	}
	return "atk"
}

func TestChainID_ComesFromOnePlace(t *testing.T) {
	t.Parallel()
	for _, chain := range []string{"1337", "18446744073709551615"} {
		r := mustRenderValues(t, overlaid(t, everything, fmt.Sprintf("global: {chainId: %q}", chain)))
		require.False(t, r.says("53771311147"))
		require.NotRegexp(t, `[0-9]e\+[0-9]`, r.text(), "a number lost its digits")
		require.True(t, r.says("--chain-id="+chain))
		require.Equal(t, chain, env(t, r, "gateway", "CHAIN_ID"))
		require.Equal(t, chain, env(t, r, "signer", "SLIPWAY_CHAIN_ID"))
		require.Equal(t, chain, env(t, r, "portal", "BLOCKCHAIN_NETWORK_ID"))
		require.True(t, r.says("http://gateway.atk.svc.cluster.local:4000/evm/"+chain))
	}
}

func TestChainName_ComesFromOnePlace(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, overlaid(t, everything, `global: {chainName: "Bank Ledger"}`))
	for _, at := range [][2]string{{"portal", "BLOCKCHAIN_NETWORK_NAME"}, {"blockscout", "NETWORK"}, {"blockscout", "SUBNETWORK"}, {"blockscout-frontend", "NEXT_PUBLIC_NETWORK_NAME"}, {"blockscout-frontend", "NEXT_PUBLIC_NETWORK_SHORT_NAME"}} {
		require.Equal(t, "Bank Ledger", env(t, r, at[0], at[1]), at)
	}
	require.Equal(t, "bank-ledger", loadGateway(t, r).App.Projects[0].Networks[0].Alias)
	for i, o := range r.objects {
		eachText(r.parsed[i], o.Kind+" "+o.Name, func(path, text string) {
			require.NotRegexp(t, `\b(ATK|alias: atk)\b`, text, path)
		})
	}
}

// TestDefault_IsTheWholeStack: without a word, everything is there that a component of
// the table needs, and what belongs to a whole cluster is not.
func TestDefault_IsTheWholeStack(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	for name := range components(t) {
		asked := slices.Contains([]string{"object-store", "metrics-server", "signer-backup", "traefik", "reloader"}, name)
		found := slices.ContainsFunc(r.pods(t), func(p pod) bool { return p.Labels["app.kubernetes.io/name"] == name })
		require.Equal(t, !asked, found, name)
	}
}

// env is a variable of the first container of a workload's pods.
func env(t *testing.T, r rendered, owner, name string) string {
	t.Helper()
	for _, p := range r.pods(t) {
		if p.owner.Name != owner {
			continue
		}
		for _, e := range p.spec.Containers[0].Env {
			if e.Name == name {
				if from := e.ValueFrom; from != nil {
					return from.SecretKeyRef.Name + "/" + from.SecretKeyRef.Key
				}
				return e.Value
			}
		}
	}
	require.Failf(t, "missing", "variable %s of %s", name, owner)
	return ""
}

// aURL finds addresses in any text.
var aURL = regexp.MustCompile(`\b(https?|wss?|rediss?|postgres(?:ql)?|grpc)://[^\s"'<>,\]}]+`)

func TestURLs_LeadToServicesThatAreThere(t *testing.T) {
	t.Parallel()
	for name, r := range bases(t) {
		services := all[corev1.Service](t, r, "Service")
		for i, o := range r.objects {
			eachText(r.parsed[i], o.Kind+" "+o.Name, func(path, text string) {
				for _, found := range aURL.FindAllString(text, -1) {
					u, err := url.Parse(found)
					if err != nil || u.Hostname() == "" || strings.Contains(u.Host, "$") || !isInCluster(u.Hostname()) {
						continue
					}
					require.True(t, leads(services, u.Hostname(), u.Port()), "%s: %s: %s leads nowhere", name, path, found)
				}
			})
		}
		for _, p := range r.pods(t) {
			for _, c := range p.containers() {
				variables := make(map[string]string)
				for _, e := range c.Env {
					variables[e.Name] = e.Value
				}
				if host := variables["PGHOST"]; host != "" && isInCluster(host) {
					require.True(t, leads(services, host, variables["PGPORT"]), "%s: %s", name, p.owner.Name)
				}
				if host, port, _ := strings.Cut(variables["REDIS_ADDRESS"], ":"); host != "" && isInCluster(host) {
					require.True(t, leads(services, host, port), "%s: %s", name, p.owner.Name)
				}
			}
		}
	}
}

// isInCluster says whether a name is one of the cluster's.
func isInCluster(host string) bool {
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".svc") || strings.Contains(host, ".svc.")
}

// leads says whether a name of the cluster is a Service with the port: a
// Service's own, or that of a pod behind one without an address.
func leads(services map[string]corev1.Service, host, port string) bool {
	labels := strings.Split(strings.TrimSuffix(host, ".svc.cluster.local"), ".")
	for i, label := range labels[:min(2, len(labels))] {
		service, found := services[label]
		if !found || (i == 1 && service.Spec.ClusterIP != corev1.ClusterIPNone) {
			continue
		}
		for _, p := range service.Spec.Ports {
			if fmt.Sprint(p.Port) == port {
				return true
			}
		}
	}
	return false
}

func TestServices_SelectPodsThatListen(t *testing.T) {
	t.Parallel()
	for name, r := range bases(t) {
		pods := r.pods(t)
		for _, service := range all[corev1.Service](t, r, "Service") {
			var selected int
			for _, p := range pods {
				if !p.isSelected(service.Spec.Selector) {
					continue
				}
				selected++
				for _, port := range service.Spec.Ports {
					require.True(t, p.listens(port.TargetPort.StrVal), "%s: Service %s: pods of %s have no port %s", name, service.Name, p.owner.Name, port.TargetPort.String())
				}
			}
			require.Positive(t, selected, "%s: Service %s selects no pod", name, service.Name)
		}
	}
}

func (p pod) listens(name string) bool {
	for _, c := range p.spec.Containers {
		for _, port := range c.Ports {
			if port.Name == name {
				return true
			}
		}
	}
	return false
}
