package deploy

import (
	core "k8s.io/api/core/v1"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// placement is what of a pod says on which machines it may be.
type placement struct {
	NodeSelector map[string]string `json:"nodeSelector"`
	Affinity     *core.Affinity    `json:"affinity"`
	Tolerations  []core.Toleration `json:"tolerations"`
}

// fits says whether the scheduler may put the pod on a machine, by its labels and
// taints; its load is not looked at. A term of affinity that nobody can read
// fits nowhere, as for the scheduler.
func (p placement) fits(machine *core.Node) bool {
	if machine.Spec.Unschedulable {
		return false
	}
	matches, err := nodeaffinity.NewRequiredNodeAffinity(p.NodeSelector, p.Affinity).Match(machine)
	if err != nil || !matches {
		return false
	}
	_, repelled := scheduling.FindMatchingUntoleratedTaint(klog.Background(), machine.Spec.Taints, p.Tolerations, keepsPodsAway, false)
	return !repelled
}

// keepsPodsAway leaves out taints that only ask for another machine.
func keepsPodsAway(taint *core.Taint) bool {
	return taint.Effect == core.TaintEffectNoSchedule || taint.Effect == core.TaintEffectNoExecute
}
