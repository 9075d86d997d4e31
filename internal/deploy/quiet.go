package deploy

import "k8s.io/klog/v2"

// Quiet keeps off standard error what Kubernetes' client logs by itself, such as a
// port-forward whose pod goes away: what matters of it is an error that is
// returned, too. The log is that of the whole process, so this is for a main.
func Quiet() { klog.SetLogger(klog.New(nil)) }
