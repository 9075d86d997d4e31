package deploy

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// atBlock answers for every node.
type atBlock uint64

func (b atBlock) ask(context.Context, string) (nodeState, error) {
	return nodeState{Height: uint64(b), Peers: 3}, nil
}

// TestRoll_WhatAnotherToolHasChanged runs against client-go's imitation of the API,
// in which a pod that is deleted is there again at once, of the newest template.
func TestRoll_WhatAnotherToolHasChanged(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"app.kubernetes.io/instance": "atk"}
	pod := func(name, revision string) *core.Pod {
		with := map[string]string{apps.ControllerRevisionHashLabelKey: revision, "app.kubernetes.io/instance": "atk"}
		return &core.Pod{
			ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "ns", Labels: with},
			Status:     core.PodStatus{Phase: core.PodRunning, Conditions: []core.PodCondition{{Type: core.PodReady, Status: core.ConditionTrue}}},
		}
	}
	var objects []runtime.Object
	for i := range 4 {
		name := fmt.Sprintf("%s-%d", validatorName, i)
		objects = append(objects, &apps.StatefulSet{ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "ns", Labels: labels}, Status: apps.StatefulSetStatus{UpdateRevision: "new"}}, pod(name+"-0", "old"))
	}
	api := fake.NewClientset(objects...)
	var deleted []string
	api.PrependReactor("delete", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		name := action.(clienttesting.DeleteAction).GetName() //nolint:forcetypeassert // the verb says so
		deleted = append(deleted, name)
		return true, nil, api.Tracker().Update(core.SchemeGroupVersion.WithResource("pods"), pod(name, "new"), "ns")
	})
	c := &Cluster{namespace: "ns", api: api, nodes: atBlock(7), poll: time.Millisecond}
	require.NoError(t, c.Roll(t.Context(), "atk", time.Minute, func(Event) {}))
	require.Equal(t, []string{"besu-node-validator-0-0", "besu-node-validator-1-0", "besu-node-validator-2-0", "besu-node-validator-3-0"}, deleted)
	require.NoError(t, c.Roll(t.Context(), "atk", time.Minute, func(Event) {}), "nothing is left to do")
	require.Len(t, deleted, 4)
	require.ErrorContains(t, c.Roll(t.Context(), "other", time.Minute, func(Event) {}), "has no validators")
}
