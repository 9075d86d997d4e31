package deploy

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/slipwayhq/slipway/charts"
	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// whoCalls asks the signer's own code who a request is, by the rendered file.
func whoCalls(t *testing.T, r rendered, address string, headers ...string) (access.Caller, error) {
	t.Helper()
	known := loadSigner(t, r).App.Access
	known.APIKeys = false // those need a database
	if !known.IsSet() {
		return access.Caller{}, access.ErrMissing
	}
	by, err := access.New(known, nil, telemetry.NewFactory(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://signer.atk.svc.cluster.local:3000/", nil)
	request.RemoteAddr = address + ":40000"
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
	}
	return by.Authenticate(request)
}

func TestSigner_KnowsPortalByItsAddress(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	for _, address := range []string{"10.244.1.7", "172.20.3.4", "192.168.7.1", "100.64.9.9", "[fd00:10::7]"} {
		caller, err := whoCalls(t, r, address)
		require.NoError(t, err, address)
		require.Equal(t, "net:cluster", caller.Name)
		require.Equal(t, access.DefaultTenant, caller.Tenant)
		for role, may := range map[access.Role]bool{
			access.RoleRead: true, access.RoleSubmit: true, access.RoleWallets: true,
			access.RoleSign: false, access.RoleApprove: false, access.RoleOperate: false,
		} {
			require.Equal(t, may, caller.Has(role), role)
		}
	}
	for _, address := range []string{"203.0.113.9", "127.0.0.1", "[2001:db8::1]", "100.128.0.1", "172.32.0.1"} {
		_, err := whoCalls(t, r, address)
		require.ErrorIs(t, err, access.ErrMissing, address)
	}
	_, err := whoCalls(t, mustRender(t, "signer: {networks: {cidrs: [10.1.0.0/16]}}"), "10.2.0.1")
	require.ErrorIs(t, err, access.ErrMissing, "narrowed by one value")
	_, err = whoCalls(t, mustRender(t, "signer: {networks: {cidrs: []}}"), "10.2.0.1")
	require.ErrorIs(t, err, access.ErrMissing, "switched off by the same one")
}

// TestSigner_KnowsItsNameInEveryCluster is about the names under which callers of the
// release reach it.
func TestSigner_KnowsItsNameInEveryCluster(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "global: {clusterDomain: corp.example}")
	host := strings.TrimSuffix(strings.TrimPrefix(env(t, r, "portal", "BLOCKCHAIN_JSON_RPC_ENDPOINT"), "http://"), ":3000")
	require.Equal(t, "signer.atk.svc.corp.example", host)
	_, err := whoCalls(t, r, "10.1.1.1", "Host", host)
	require.NoError(t, err)
	_, err = whoCalls(t, r, "10.1.1.1", "Host", "signer.else.example")
	require.ErrorIs(t, err, access.ErrWebPage)
}

// TestSigner_TrustsNoIngressController is about what comes through a proxy, whose own
// address is private.
func TestSigner_TrustsNoIngressController(t *testing.T) {
	t.Parallel()
	exposures := []string{
		"signer: {expose: {enabled: true}}",
		"signer: {expose: {enabled: true}}\nglobal: {expose: {type: gateway}}",
		"signer: {expose: {enabled: true}}\nglobal: {expose: {type: route}}",
		"signer: {service: {type: LoadBalancer}}",
		"signer: {service: {type: NodePort}}",
		"global: {tenant: {enabled: true}, networkPolicy: {enabled: false}}",
		"signer: {expose: {enabled: true}, networks: {cidrs: [10.244.0.0/16]}}", // the controller's pods are in it
	}
	for _, text := range exposures {
		_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, text))
		var problems Problems
		require.ErrorAs(t, err, &problems, text)
		require.Equal(t, "signer.networks.cidrs", problems[0].Key, text)
		require.Contains(t, problems[0].What, "signer.networks.evenIfExposed", "what else would do")

		r := mustRenderValues(t, overlaid(t, text, "signer: {networks: {cidrs: []}}"))
		_, err = whoCalls(t, r, "10.1.1.1")
		require.ErrorIs(t, err, access.ErrMissing, text)

		// Said by somebody who knows: the signer still refuses what a proxy hands on.
		r = mustRenderValues(t, overlaid(t, text, "signer: {networks: {evenIfExposed: true}}"))
		_, err = whoCalls(t, r, "10.244.1.1")
		require.NoError(t, err, text)
		for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Host"} {
			_, err = whoCalls(t, r, "10.244.1.1", header, "203.0.113.9")
			require.ErrorIs(t, err, access.ErrProxied, header)
		}
		_, err = whoCalls(t, r, "10.244.1.1", "Host", "signer.k8s.orb.local")
		require.ErrorIs(t, err, access.ErrWebPage, "the host of an Ingress is not one of the cluster's")
	}
	// Networks that somebody writes down are theirs.
	own := mustRender(t, "signer: {expose: {enabled: true}, config: {access: {networks: [{name: mine, cidrs: [10.9.0.0/24], tenant: t, roles: [read]}]}}}")
	caller, err := whoCalls(t, own, "10.9.0.1")
	require.NoError(t, err)
	require.Equal(t, "net:mine", caller.Name)
}

func TestCallerNotes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                                nil,
		"signer: {networks: {cidrs: []}}": nil,
		"signer: {enabled: false}\nglobal: {endpoints: {signer: 'https://s.example'}}\nhasura: {actions: {existingSecret: mine}}": nil,
		"global: {networkPolicy: {enabled: false}}":                                                           {"no NetworkPolicy"},
		"signer: {expose: {enabled: true}, networks: {evenIfExposed: true}}":                                  {"is exposed: what"},
		"signer: {service: {type: NodePort}, networks: {evenIfExposed: true}}":                                {"NodePort"},
		"portal: {expose: {enabled: true}}":                                                                   {"Portal is exposed"},
		"portal: {expose: {enabled: true}}\nglobal: {networkPolicy: {enabled: false}, expose: {type: route}}": {"no NetworkPolicy", "Portal is exposed"},
	} {
		notes, err := callerNotes(mustRender(t, text).objects)
		require.NoError(t, err)
		require.Len(t, notes, len(want), text)
		for i, words := range want {
			require.Contains(t, notes[i], words, text)
		}
	}
}

// notesOf is what Helm prints after an installation.
func notesOf(t *testing.T, text string) string {
	t.Helper()
	umbrella, err := load(charts.Files, chartFolder)
	require.NoError(t, err)
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ClientOnly, install.DryRun, install.ReleaseName, install.Namespace = true, true, "slipway", "atk"
	version, err := chartutil.ParseKubeVersion(DefaultKubeVersion)
	require.NoError(t, err)
	install.KubeVersion = version
	release, err := install.RunWithContext(t.Context(), umbrella, values(t, text))
	require.NoError(t, err)
	return release.Info.Notes
}

func TestNotes_SayWhoIsLetIn(t *testing.T) {
	t.Parallel()
	plain := notesOf(t, "")
	require.Contains(t, plain, "10.0.0.0/8")
	require.NotContains(t, plain, "WARNING")
	require.Contains(t, notesOf(t, "signer: {networks: {cidrs: []}}"), "nothing without a key")
	for _, text := range []string{
		"global: {networkPolicy: {enabled: false}}",
		"signer: {expose: {enabled: true}, networks: {evenIfExposed: true}}",
		"portal: {expose: {enabled: true}}",
	} {
		require.Contains(t, notesOf(t, text), "WARNING", text)
	}
	require.False(t, slices.Contains(strings.Split(plain, "\n"), "<no value>"))
}

// TestSigner_KnowsItsFirstAccount: the chart hands on which phrase is meant.
func TestSigner_KnowsItsFirstAccount(t *testing.T) {
	t.Parallel()
	const address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
	require.Equal(t, address, loadSigner(t, mustRender(t, "signer: {mnemonic: {address: '"+address+"'}}")).App.Keys.FirstAddress)
	require.Empty(t, loadSigner(t, mustRender(t, "")).App.Keys.FirstAddress)
}
