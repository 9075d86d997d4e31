package clustertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// nodeName is the only machine.
const nodeName = "node-0"

// Files of the machine's programs, in its folder.
const (
	containerdFile = "containerd.toml"
	socketFile     = "containerd.sock"
	networkFile    = "cni/10-bridge.conflist"
	kubeletFile    = "kubelet.yaml"
	coreFile       = "Corefile"
)

// containerdConfig: restrict_oom_score_adj, because a root without
// CAP_SYS_RESOURCE may not lower the score, and no pod would start.
const containerdConfig = `version = 2
root = "DIR/containerd/root"
state = "DIR/containerd/state"
[grpc]
  address = "DIR/containerd.sock"
[ttrpc]
  address = "DIR/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "PAUSE"
  stream_server_address = "127.0.0.1"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "DIR/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
`

// networkConfig: pods are ports of one bridge. It enforces no NetworkPolicy.
const networkConfig = `{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "promiscMode": true,
   "ipam": {"type": "host-local", "dataDir": "DIR/addresses", "ranges": [[{"subnet": "PODS"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
`

// kubeletConfig never evicts and never takes images away: neither could come again.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://DIR/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: CGROUP
failSwapOn: false
address: 0.0.0.0
readOnlyPort: 0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: AUTHORITY}
authorization: {mode: AlwaysAllow}
clusterDomain: cluster.local
clusterDNS: [NODE]
resolvConf: /dev/null
enforceNodeAllocatable: []
evictionHard: {memory.available: 1Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 5s
podLogsDir: DIR/podlogs
`

// coreConfig answers names of the cluster and no others.
const coreConfig = `.:53 {
  bind NODE
  errors
  kubernetes cluster.local in-addr.arpa {
    endpoint SERVER
    tls CERT KEY AUTHORITY
  }
  cache 5
}
`

func (n *node) writeFiles() error {
	fill := strings.NewReplacer("DIR", n.dir, "PAUSE", PauseImage, "PODS", podRange, "NODE", nodeAddress, "CGROUP", n.config.Cgroup,
		"SERVER", n.server, "CERT", n.pki.admin.cert, "KEY", n.pki.admin.key, "AUTHORITY", n.pki.ca)
	for name, text := range map[string]string{
		containerdFile: containerdConfig, networkFile: networkConfig, kubeletFile: kubeletConfig, coreFile: coreConfig,
	} {
		path := n.file(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		if err := os.WriteFile(path, []byte(fill.Replace(text)), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
