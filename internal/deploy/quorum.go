package deploy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	core "k8s.io/api/core/v1"

	"github.com/slipwayhq/slipway/internal/network/validators"
)

// leaving is a validator of which a change takes the pod away.
type leaving struct {
	name    string
	address common.Address // zero is not known
}

// judgeQuorum: a validator that is gone counts until it is voted out. So one after
// the other could go without a quorum ever seeming in danger, and the chain would
// stop at last.
func (s situation) judgeQuorum() Refusals {
	if len(s.leaving) == 0 {
		return nil
	}
	const rule = "quorum"
	last := s.leaving[len(s.leaving)-1].name
	next := "vote them out first, the last one first: slipway network validator remove " + last
	if s.chainSet == nil {
		return Refusals{{
			rule, fmt.Sprintf("%s would go, and no validator says whether it has been voted out", names(s.leaving)),
			next + "; if that was done: --allow quorum",
		}}
	}
	var voting []leaving
	inSet := make(map[common.Address]bool)
	for _, one := range s.chainSet {
		inSet[one] = true
	}
	for _, one := range s.leaving {
		if inSet[one.address] || one.address == (common.Address{}) {
			voting = append(voting, one)
		}
	}
	if len(voting) == 0 {
		return nil
	}
	all := len(s.chainSet)
	return Refusals{{
		rule, fmt.Sprintf("%s would go without being voted out: of %d validators %d would be left, and %d must agree on every block", names(voting), all, all-len(voting), validators.Quorum(all)),
		next,
	}}
}

func names(list []leaving) string {
	out := make([]string, 0, len(list))
	for _, one := range list {
		out = append(out, one.name)
	}
	return strings.Join(out, ", ")
}

// validatorCount is how many validators there may be: a revision that did not get
// to its end may have made more than the installed one names.
func validatorCount(installed chain, pods []core.Pod) int {
	count := installed.Validators
	for _, pod := range pods {
		name := pod.Labels[nodeLabel]
		if ordinal, err := strconv.Atoi(strings.TrimPrefix(name, validatorName+"-")); err == nil && isValidator(name) {
			count = max(count, ordinal+1)
		}
	}
	return count
}

// gatherLeaving finds the validators that a change takes away, and asks those that
// run for the chain's set.
func (c *Cluster) gatherLeaving(ctx context.Context, pods []core.Pod, s *situation) error {
	if s.installed == nil {
		return nil
	}
	for i := s.wanted.Validators; i < validatorCount(*s.installed, pods); i++ {
		one := leaving{name: fmt.Sprintf("%s-%d", validatorName, i)}
		var err error
		if one.address, err = c.NodeAddress(ctx, one.name); err != nil && !errors.Is(err, errNoAddress) {
			return err
		}
		s.leaving = append(s.leaving, one)
	}
	if len(s.leaving) == 0 {
		return nil
	}
	var running []core.Pod
	for _, pod := range pods {
		if pod.Status.Phase == core.PodRunning {
			running = append(running, pod)
		}
	}
	s.chainSet = chainSet(c.askNodes(ctx, running), s.wanted.chainID())
	return nil
}
