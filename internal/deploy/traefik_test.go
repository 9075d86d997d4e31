//go:build cluster && traefik

// Tests of Traefik itself against the real kube-apiserver: make traefik-test.

package deploy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// frontOnly is the gateway behind the controller, and nothing else.
const frontOnly = `
network: {enabled: false}
signer: {enabled: false}
portal: {enabled: false}
hasura: {enabled: false}
graph-node: {enabled: false}
ipfs: {enabled: false}
blockscout: {enabled: false}
dapp: {enabled: false}
observability: {enabled: false}
support: {postgresql: {enabled: false}, redis: {enabled: false}}
gateway: {redis: {enabled: false}, upstreams: [{id: a, endpoint: 'https://node.example'}], expose: {enabled: true}}
global: {expose: {controller: {enabled: true}}}
`

const gatewayHost = "gateway.k8s.orb.local"

func TestTraefik_ServesTheHostsOfTheRelease(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]string{
		"by its class":      "",
		"by an annotation":  "global: {expose: {controller: {clusterWide: false}}}",
		"as one of tenants": "support: {ingress: {service: {type: ClusterIP}}}\nglobal: {tenant: {enabled: true}, expose: {hosts: {gateway: gateway.k8s.orb.local}}}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFront(t, frontOnly, more)
			f.requireAnswer(t, "hello from gateway")
			require.Equal(t, http.StatusNotFound, f.get(t, "http", "signer.k8s.orb.local", "").StatusCode, "what is not exposed has no host")
			require.Equal(t, http.StatusNotFound, f.get(t, "http", "other.example", "").StatusCode)

			answer := f.get(t, "http", gatewayHost, "203.0.113.9")
			require.Equal(t, "127.0.0.1", answer.Header.Get("Saw-Forwarded-For"), "a caller does not say who it is")
			require.Equal(t, "switched", f.upgrade(t))

			require.Equal(t, http.StatusOK, f.status(t, "traefik", "/ping"))
			require.Equal(t, http.StatusOK, f.status(t, "traefik", "/metrics"))
			require.NotContains(t, f.log(), "forbidden", "the Role is enough")
		})
	}
}

func TestTraefik_TakesRequestsFromAllowedNetworksOnly(t *testing.T) {
	t.Parallel()
	f := newFront(t, frontOnly, "global: {expose: {allowedCIDRs: [192.0.2.0/24]}}")
	f.requireStatus(t, http.StatusForbidden)
	require.Equal(t, http.StatusForbidden, f.get(t, "http", gatewayHost, "192.0.2.7").StatusCode, "nor from one that says it is there")

	f = newFront(t, frontOnly, "global: {expose: {allowedCIDRs: [127.0.0.0/8]}}")
	f.requireAnswer(t, "hello from gateway")

	f = newFront(t, frontOnly, "support: {ingress: {trustedProxies: [127.0.0.1/32]}}\nglobal: {expose: {allowedCIDRs: [192.0.2.0/24]}}")
	f.requireStatus(t, http.StatusForbidden)
	require.Equal(t, http.StatusOK, f.get(t, "http", gatewayHost, "192.0.2.7").StatusCode, "a proxy that is trusted says it")
	require.Equal(t, http.StatusForbidden, f.get(t, "http", gatewayHost, "203.0.113.9").StatusCode)
}

func TestTraefik_HasTheCertificateOfTheSecret(t *testing.T) {
	t.Parallel()
	f := newFront(t, frontOnly, "global: {expose: {tls: {enabled: true}}}")
	certificate, key := selfSigned(t)
	_, err := f.world.admin.CoreV1().Secrets(f.world.namespace).Create(t.Context(), &core.Secret{
		ObjectMeta: meta.ObjectMeta{Name: "gateway-tls"}, Type: core.SecretTypeTLS,
		Data: map[string][]byte{core.TLSCertKey: certificate, core.TLSPrivateKeyKey: key},
	}, meta.CreateOptions{})
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certificate))
	f.roots = roots
	var last string
	require.Eventually(t, func() bool {
		answer, err := f.try(t.Context(), "https", gatewayHost, "")
		last = fmt.Sprint(err)
		if err == nil {
			last = answer.Status
		}
		return err == nil && answer.StatusCode == http.StatusOK
	}, time.Minute, 200*time.Millisecond, "%s", (*text)(&last))
	require.Equal(t, http.StatusMovedPermanently, f.get(t, "http", gatewayHost, "").StatusCode)
	require.Equal(t, "https://"+gatewayHost+"/", f.get(t, "http", gatewayHost, "").Header.Get("Location"), "at the port of the Service")
}

// text is one that is read when it is printed.
type text string

func (t *text) String() string { return string(*t) }

// front is a controller that runs with what the chart gives it.
type front struct {
	world  world
	ports  map[string]string // by entry point
	roots  *x509.CertPool
	mu     sync.Mutex
	output bytes.Buffer
}

func (f *front) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.output.Write(p)
}

func (f *front) log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.output.String()
}

func (f *front) String() string { return f.log() }

// newFront installs the chart and starts Traefik with its arguments, its file and the rights of its account.
func newFront(t *testing.T, texts ...string) *front {
	t.Helper()
	f := &front{world: newWorld(t), ports: make(map[string]string)}
	h := new(heard)
	_, err := f.world.Install(t.Context(), Request{Release: "slipway", Values: overlaid(t, texts...), Timeout: 2 * time.Minute, Tell: h.tell})
	require.NoError(t, err, h.text())
	f.serveGateway(t)
	r := f.world.stored(t)
	file := filepath.Join(t.TempDir(), "dynamic.yaml")
	require.NoError(t, os.WriteFile(file, []byte(find[core.ConfigMap](t, r, "ConfigMap", "traefik").Data["dynamic.yaml"]), 0o600))
	var args []string
	for _, flag := range traefikArgs(t, r) {
		name, value, _ := strings.Cut(flag, "=")
		point, isAddress := strings.CutSuffix(strings.TrimPrefix(name, "--entrypoints."), ".address")
		switch {
		case isAddress:
			f.ports[point] = freePort(t)
			value = "127.0.0.1:" + f.ports[point]
		case name == "--providers.file.filename":
			require.Equal(t, "/etc/traefik/dynamic/dynamic.yaml", value)
			value = file
		}
		args = append(args, name+"="+value)
	}
	ctx, stop := context.WithCancel(context.Background())
	program := exec.CommandContext(ctx, filepath.Join(os.Getenv("SLIPWAY_CLUSTER"), "traefik"), args...) //nolint:gosec // the test's own
	program.Env = []string{"KUBECONFIG=" + f.kubeconfig(t)}
	program.Dir = t.TempDir()
	program.Stdout, program.Stderr = f, f
	require.NoError(t, program.Start())
	t.Cleanup(func() {
		stop()
		_ = program.Wait() // it was killed
	})
	return f
}

func traefikArgs(t *testing.T, r rendered) []string {
	t.Helper()
	for _, p := range r.pods(t) {
		if p.owner.Name == "traefik" {
			return p.spec.Containers[0].Args
		}
	}
	require.Fail(t, "there is no controller")
	return nil
}

// kubeconfig has a token of the controller's account.
func (f *front) kubeconfig(t *testing.T) string {
	t.Helper()
	token, err := f.world.admin.CoreV1().ServiceAccounts(f.world.namespace).CreateToken(t.Context(), "traefik", &authentication.TokenRequest{}, meta.CreateOptions{})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(api.Config{
		CurrentContext: "test",
		Clusters:       map[string]*api.Cluster{"test": {Server: f.world.server.Config.Host, CertificateAuthorityData: f.world.server.Config.CAData, CertificateAuthority: f.world.server.Config.CAFile}},
		AuthInfos:      map[string]*api.AuthInfo{"traefik": {Token: token.Status.Token}},
		Contexts:       map[string]*api.Context{"test": {Cluster: "test", AuthInfo: "traefik", Namespace: f.world.namespace}},
	}, path))
	return path
}

// serveGateway plays the gateway's pod. Its address is one of this machine's: endpoints may not be on the loopback network.
func (f *front) serveGateway(t *testing.T) {
	t.Helper()
	var own string
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, address := range addresses {
		if at, isNet := address.(*net.IPNet); isNet && at.IP.To4() != nil && !at.IP.IsLoopback() {
			own = at.IP.String()
		}
	}
	require.NotEmpty(t, own, "this machine has no address besides the loopback one")
	listener, err := net.Listen("tcp", net.JoinHostPort(own, "0")) //nolint:noctx // a test's listener
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(playGateway)}}
	server.Start()
	t.Cleanup(server.Close)
	port := int32(listener.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert,gosec // of a listener for TCP
	name, protocol, isReady := "http", core.ProtocolTCP, true
	_, err = f.world.admin.DiscoveryV1().EndpointSlices(f.world.namespace).Create(t.Context(), &discovery.EndpointSlice{
		ObjectMeta:  meta.ObjectMeta{Name: "gateway-played", Labels: map[string]string{discovery.LabelServiceName: "gateway", discovery.LabelManagedBy: "test"}},
		AddressType: discovery.AddressTypeIPv4,
		Endpoints:   []discovery.Endpoint{{Addresses: []string{own}, Conditions: discovery.EndpointConditions{Ready: &isReady}}},
		Ports:       []discovery.EndpointPort{{Name: &name, Protocol: &protocol, Port: &port}},
	}, meta.CreateOptions{})
	require.NoError(t, err)
}

func playGateway(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "websocket" {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = connection.Close() }()
		_, _ = io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nswitched\n")
		return
	}
	w.Header().Set("Saw-Forwarded-For", r.Header.Get("X-Forwarded-For"))
	_, _ = io.WriteString(w, "hello from gateway")
}

// try asks once, without following where it is sent.
func (f *front) try(ctx context.Context, scheme, host, forwardedFor string) (*http.Response, error) {
	address := "127.0.0.1:" + f.ports[scheme]
	client := &http.Client{
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: f.roots, MinVersion: tls.VersionTLS12},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+host+"/", nil)
	if err != nil {
		return nil, err
	}
	if forwardedFor != "" {
		request.Header.Set("X-Forwarded-For", forwardedFor)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, err
}

func (f *front) get(t *testing.T, scheme, host, forwardedFor string) *http.Response {
	t.Helper()
	answer, err := f.try(t.Context(), scheme, host, forwardedFor)
	require.NoError(t, err, f.log())
	return answer
}

func (f *front) requireStatus(t *testing.T, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		answer, err := f.try(t.Context(), "http", gatewayHost, "")
		return err == nil && answer.StatusCode == want
	}, time.Minute, 200*time.Millisecond, "%s", f)
}

func (f *front) requireAnswer(t *testing.T, want string) {
	t.Helper()
	f.requireStatus(t, http.StatusOK)
	body, err := io.ReadAll(f.get(t, "http", gatewayHost, "").Body)
	require.NoError(t, err)
	require.Equal(t, want, string(body))
}

// status asks at an entry point without a host.
func (f *front) status(t *testing.T, point, path string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+f.ports[point]+path, nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

// upgrade opens a WebSocket as far as a proxy has to do with it, and gives what comes first.
func (f *front) upgrade(t *testing.T) string {
	t.Helper()
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", "127.0.0.1:"+f.ports["http"])
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	require.NoError(t, connection.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = fmt.Fprintf(connection, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", gatewayHost)
	require.NoError(t, err)
	reader := bufio.NewReader(connection)
	answer, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, answer.StatusCode)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's listener
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert // of a listener for TCP
}

// selfSigned makes a certificate for the gateway's host.
func selfSigned(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: gatewayHost}, DNSNames: []string{gatewayHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}
