package clustertest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Limits of starting and stopping.
const (
	readyWithin = 60 * time.Second
	stopWithin  = 3 * time.Second // an API server with open watches lingers for a minute
	lookEvery   = 50 * time.Millisecond
)

// controlPlane is an etcd, a kube-apiserver and a kube-controller-manager that
// this process started.
type controlPlane struct {
	dir        string
	kubeconfig string
	server     string // URL of the API server
	pki        pki
	started    []program
}

// program is a process; ended is closed when it has ended.
type program struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// audience says who reaches the API server.
type audience struct {
	address     string
	flags       []string // of the API server
	controllers string
}

// thisMachine is for tests alone: no pods, so no accounts of theirs either. No
// machine reports that it lives, so nobody may conclude that all are dead.
func thisMachine() audience {
	return audience{address: "127.0.0.1", controllers: "*,-node-lifecycle-controller", flags: []string{
		"--bind-address=127.0.0.1", "--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount",
	}}
}

func startControlPlane(programs string, by audience) (*controlPlane, error) {
	programs, err := filepath.Abs(programs)
	if err != nil {
		return nil, fmt.Errorf("find the programs: %w", err)
	}
	dir, err := os.MkdirTemp("", "slipway-cluster-*")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	p := &controlPlane{dir: dir}
	if err := p.start(programs, by); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *controlPlane) start(programs string, by audience) error {
	pki, err := writePKI(filepath.Join(p.dir, "pki"))
	if err != nil {
		return err
	}
	p.pki = pki
	ports, err := freePorts(4)
	if err != nil {
		return err
	}
	etcd, peers, secure := ports[0], ports[1], ports[2]
	etcdURL := "http://127.0.0.1:" + etcd
	peersURL := "http://127.0.0.1:" + peers
	if err := p.run(filepath.Join(programs, "etcd"),
		"--name=test", "--data-dir="+filepath.Join(p.dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL,
		"--listen-peer-urls="+peersURL, "--initial-advertise-peer-urls="+peersURL, "--initial-cluster=test="+peersURL); err != nil {
		return err
	}
	if err := p.run(filepath.Join(programs, "kube-apiserver"), append([]string{
		"--etcd-servers=" + etcdURL, "--advertise-address=" + by.address, "--secure-port=" + secure,
		"--service-cluster-ip-range=" + serviceRange, "--profiling=false",
		"--tls-cert-file=" + pki.serving.cert, "--tls-private-key-file=" + pki.serving.key, "--client-ca-file=" + pki.ca,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + pki.serving.cert, "--service-account-signing-key-file=" + pki.serving.key,
		"--kubelet-client-certificate=" + pki.admin.cert, "--kubelet-client-key=" + pki.admin.key,
		"--kubelet-preferred-address-types=InternalIP", "--authorization-mode=RBAC",
	}, by.flags...)...); err != nil {
		return err
	}
	server := "https://127.0.0.1:" + secure
	p.server = server
	p.kubeconfig = filepath.Join(p.dir, "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"test",
"clusters":[{"name":"test","cluster":{"server":%q,"certificate-authority":%q}}],
"users":[{"name":"test","user":{"client-certificate":%q,"client-key":%q}}],
"contexts":[{"name":"test","context":{"cluster":"test","user":"test"}}]}`, server, pki.ca, pki.admin.cert, pki.admin.key)
	if err := os.WriteFile(p.kubeconfig, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	if err := p.waitReady(server, pki); err != nil {
		return err
	}
	if err := p.define(filepath.Join(programs, "crds")); err != nil {
		return err
	}
	return p.run(filepath.Join(programs, "kube-controller-manager"), "--controllers="+by.controllers,
		"--kubeconfig="+p.kubeconfig, "--bind-address=127.0.0.1", "--secure-port="+ports[3], "--leader-elect=false", "--profiling=false",
		"--authentication-kubeconfig="+p.kubeconfig, "--authorization-kubeconfig="+p.kubeconfig,
		"--service-account-private-key-file="+pki.serving.key, "--root-ca-file="+pki.ca)
}

// run starts a program that ends with this process.
func (p *controlPlane) run(path string, args ...string) error {
	log, err := os.Create(filepath.Join(p.dir, filepath.Base(path)+".log"))
	if err != nil {
		return fmt.Errorf("make a log: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(context.Background(), path, args...) //nolint:gosec // the folder of programs is what the variable is for
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s (make cluster-tools builds it): %w", path, err)
	}
	ended := make(chan struct{})
	go func() { // ends with the program, for which stop waits
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	p.started = append(p.started, program{cmd: cmd, ended: ended})
	return nil
}

func (p *controlPlane) waitReady(server string, pki pki) error {
	authority, err := os.ReadFile(pki.ca)
	if err != nil {
		return fmt.Errorf("read the authority: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	certificate, err := tls.LoadX509KeyPair(pki.admin.cert, pki.admin.key)
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}}
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	for {
		err := ask(ctx, client, server+"/readyz")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API server is not ready after %s: %w\n%s", readyWithin, err, p.lastWords("kube-apiserver"))
		case <-p.started[0].ended:
			return fmt.Errorf("etcd has ended:\n%s", p.lastWords("etcd"))
		case <-p.started[1].ended:
			return fmt.Errorf("the API server has ended:\n%s", p.lastWords("kube-apiserver"))
		case <-time.After(lookEvery):
		}
	}
}

func ask(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(string(body))
	}
	return err
}

func (p *controlPlane) lastWords(program string) string {
	const enough = 2000
	log, err := os.ReadFile(filepath.Join(p.dir, program+".log"))
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-enough):])
}

// stop ends the programs, the last started first, and removes their folder.
func (p *controlPlane) stop() {
	for i := len(p.started) - 1; i >= 0; i-- {
		_ = p.started[i].cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.started[i].ended:
		case <-time.After(stopWithin):
			_ = p.started[i].cmd.Process.Kill()
			<-p.started[i].ended
		}
	}
	_ = os.RemoveAll(p.dir) //nolint:gosec // made by startControlPlane
}

// freePorts are ports of 127.0.0.1 that nobody uses now.
func freePorts(count int) ([]string, error) {
	var out []string
	var listen net.ListenConfig
	for range count {
		listener, err := listen.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // all at the end, so that no port comes twice
		address, ok := listener.Addr().(*net.TCPAddr)
		if !ok {
			return nil, errors.New("find a free port: no TCP address")
		}
		out = append(out, strconv.Itoa(address.Port))
	}
	return out, nil
}
