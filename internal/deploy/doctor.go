package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/network/validators"
)

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	OK      Severity = "ok"
	Warning Severity = "warning"
	Broken  Severity = "broken"
	// Unknown: what the check needs could not be found out.
	Unknown Severity = "unknown"
)

// Finding is what a check says.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	// Next is what to do about it.
	Next string `json:"next,omitempty"`
}

// inspection is one judgement over the facts. No finding means that all is well.
type inspection struct {
	name  string
	judge func(facts) []Finding
}

// inspections are all that doctor looks at, in the order in which causes come
// before what follows from them.
func inspections() []inspection {
	return []inspection{
		{"release", judgeRelease},
		{"pods", judgePods},
		{"dns", judgeDNS},
		{"ports", judgePorts},
		{"auth", judgeAuth},
		{"nodes", judgeNodes},
		{"chain-id", judgeChainID},
		{"genesis", judgeGenesis},
		{"peers", judgePeers},
		{"quorum", judgeQuorum},
		{"height", judgeHeight},
		{"nonces", judgeNonces},
		{"callers", judgeCallers},
	}
}

// diagnose runs all checks. A check without a finding is told as well.
func diagnose(f facts) []Finding {
	var out []Finding
	for _, one := range inspections() {
		found := one.judge(f)
		if len(found) == 0 {
			found = []Finding{{Severity: OK, What: "nothing found"}}
		}
		for _, finding := range found {
			finding.Check = one.name
			out = append(out, finding)
		}
	}
	return out
}

func judgeRelease(f facts) []Finding {
	switch f.state {
	case Deployed:
		return nil
	case Stuck:
		return []Finding{{Severity: Broken, What: "a revision was begun and did not end", Next: "if nobody is at it, run the operation again with --recover"}}
	case Failed:
		return []Finding{{Severity: Broken, What: "the newest revision failed", Next: "mend what the other checks find, then `slipway upgrade` again; or `slipway rollback`"}}
	default:
		return []Finding{{Severity: Broken, What: "there is no such release here", Next: "slipway install, or name another with --release and --namespace"}}
	}
}

func judgePods(f facts) []Finding {
	var out []Finding
	for _, one := range f.waiting {
		out = append(out, Finding{Severity: Broken, What: one.String(), Next: nextForPod(one.Why)})
	}
	return out
}

// nextForMissing: the job of each revision makes what is missing, keys from the
// network's record included.
const nextForMissing = "if a Secret or ConfigMap of the bootstrap is missing, its job makes it again: slipway upgrade with the same values and --set network.bootstrap.podAnnotations.again=yes; " +
	"your own ones you make yourself, and a disk that another machine holds comes free when the pod there has ended"

// nextForPod says what to do about the reason of a pod.
func nextForPod(why string) string {
	for _, known := range []struct{ sign, next string }{
		{"cannot be pulled", "check the image's name, global.imageRegistry and global.imagePullSecrets; `slipway images list` shows all"},
		{"no machine takes it", "add machines or room, or loosen nodeSelector, tolerations and topologySpread; for a volume see kubectl describe pvc"},
		{"CreateContainerConfigError", nextForMissing},
		{"cannot be mounted", nextForMissing},
		{"wait-for-postgresql", "PostgreSQL does not answer or does not let it in: kubectl logs POD -c wait-for-postgresql"},
		{"wait-for-redis", "Redis does not answer or does not let it in: kubectl logs POD -c wait-for-redis"},
		{"wait-for-object-store", "the object store does not answer: kubectl logs POD -c wait-for-object-store"},
		{"ends again and again", "kubectl logs --previous POD says why; `slipway support-bundle` has it too"},
		{"OOMKilled", "raise resources.limits.memory"},
		{"has failed", "kubectl logs job/NAME says why; the next `slipway upgrade` tries again"},
	} {
		if strings.Contains(why, known.sign) {
			return known.next
		}
	}
	return "kubectl describe pod POD shows its events"
}

func judgeDNS(f facts) []Finding {
	var out []Finding
	for _, one := range f.lookups {
		if one.err != nil {
			out = append(out, Finding{
				Severity: Broken, What: fmt.Sprintf("%s: %s", one.name, one.err),
				Next: "check CoreDNS (kubectl --namespace kube-system get pods -l k8s-app=kube-dns), global.clusterDomain, and that NetworkPolicies let DNS through",
			})
		}
	}
	if len(f.lookups) == 0 {
		return []Finding{{Severity: Unknown, What: "the cluster's names cannot be looked up from here", Next: "run doctor in a pod of the cluster"}}
	}
	return out
}

func judgePorts(f facts) []Finding {
	var out []Finding
	for _, one := range f.services {
		switch {
		case one.wantsPods && one.ready == 0:
			out = append(out, Finding{Severity: Broken, What: "Service " + one.name + " has nobody behind it who is ready", Next: "see what check pods says about its pods"})
		case len(one.refused) > 0:
			out = append(out, Finding{
				Severity: Broken, What: fmt.Sprintf("Service %s leads to ports that its pods do not have: %s", one.name, strings.Join(one.refused, ", ")),
				Next: "somebody has changed the Service or the pods; `slipway upgrade` with the same values puts them right",
			})
		}
	}
	return out
}

func judgeAuth(f facts) []Finding {
	var out []Finding
	for _, one := range f.logins {
		out = append(out, Finding{
			Severity: Broken, What: fmt.Sprintf("%s (%s) is not let in: %s", one.pod, one.container, one.line),
			Next: "the password in its Secret is not that of the server: set the server's password to the Secret's, or global.datastores.*.existingSecret to the right one, and restart the pod",
		})
	}
	return out
}

func judgeNodes(f facts) []Finding {
	var out []Finding
	for _, one := range f.nodes {
		if one.err != nil {
			out = append(out, Finding{Severity: Broken, What: fmt.Sprintf("%s does not answer: %s", one.name, one.err), Next: "kubectl logs " + one.name})
		}
	}
	return out
}

func judgeChainID(f facts) []Finding {
	var out []Finding
	for _, one := range f.answering() {
		if f.wantChainID != 0 && one.state.ChainID != f.wantChainID {
			out = append(out, Finding{
				Severity: Broken, What: fmt.Sprintf("%s has chain id %d, and the values say %d", one.name, one.state.ChainID, f.wantChainID),
				Next: "set global.chainId to the chain's own id, or look into the genesis the node was started with",
			})
		}
	}
	return out
}

func judgeGenesis(f facts) []Finding {
	by := make(map[string][]string)
	for _, one := range f.answering() {
		hash := one.state.Genesis.Hex()
		by[hash] = append(by[hash], one.name)
	}
	var out []Finding
	if len(by) > 1 {
		var groups []string
		for _, hash := range slices.Sorted(maps.Keys(by)) {
			groups = append(groups, strings.Join(by[hash], ", ")+" have "+hash)
		}
		out = append(out, Finding{
			Severity: Broken, What: "the nodes have different genesis blocks: " + strings.Join(groups, "; "),
			Next: "nodes with another genesis than the network's must start anew: delete their volume claim and pod, one after the other",
		})
	}
	for _, hash := range slices.Sorted(maps.Keys(by)) {
		if f.genesisHash != "" && hash != f.genesisHash {
			out = append(out, Finding{
				Severity: Broken, What: fmt.Sprintf("%s have genesis %s, and the network's material has %s", strings.Join(by[hash], ", "), hash, f.genesisHash),
				Next: "`slipway bootstrap --dry-run` says what of the material was changed",
			})
		}
	}
	return out
}

func judgePeers(f facts) []Finding {
	var out []Finding
	for _, one := range f.answering() {
		others := len(f.nodes) - 1
		switch {
		case one.state.Peers == 0 && others > 0:
			out = append(out, Finding{Severity: Broken, What: one.name + " has no peer", Next: "check port 30303 (TCP and UDP) between the nodes, the NetworkPolicies, and the names in ConfigMap besu-static-nodes"})
		case one.state.Peers < others:
			out = append(out, Finding{Severity: Warning, What: fmt.Sprintf("%s has %d peers of %d other nodes", one.name, one.state.Peers, others), Next: "give it a minute after a start; then see which nodes are away"})
		}
	}
	return out
}

// judgeQuorum counts validators that answer and have a peer, against the set
// that the chain itself has.
func judgeQuorum(f facts) []Finding {
	set := chainSet(f.nodes, f.wantChainID)
	var size, working int
	var out []Finding
	for _, one := range f.nodes {
		isIn := slices.Contains(set, one.state.Address)
		switch {
		case !one.validator:
		case set == nil:
			size++
		case one.err == nil && one.state.Address != (common.Address{}) && !isIn:
			out = append(out, Finding{
				Severity: Warning, What: one.name + " runs as a validator and is not in the chain's set",
				Next: "if it is to be one: " + addValidator(f.release, f.namespace, strings.TrimSuffix(one.name, "-0")),
			})
		case one.err == nil && (one.state.Peers > 0 || len(set) == 1):
			working++
		}
	}
	size = max(size, len(set))
	quorum := validators.Quorum(size)
	switch {
	case size == 0:
		return []Finding{{Severity: Unknown, What: "no node tells who the validators are"}}
	case working < quorum:
		out = append(out, Finding{
			Severity: Broken, What: fmt.Sprintf("quorum is lost: %d of %d validators work, and %d must agree", working, size, quorum),
			Next: "bring validators back (checks pods, nodes, peers): the chain goes on by itself with the next one. Never delete volumes or keys meanwhile",
		})
	case working < size:
		out = append(out, Finding{Severity: Warning, What: fmt.Sprintf("%d of %d validators work; the chain stops below %d", working, size, quorum), Next: "bring the others back before anything else is changed"})
	}
	return out
}

// farBehind is how many blocks a node may lag before it is told.
const farBehind = 10

func judgeHeight(f facts) []Finding {
	var highest uint64
	for _, one := range f.answering() {
		highest = max(highest, one.state.Height)
	}
	var out []Finding
	for _, one := range f.answering() {
		if one.state.Height+farBehind < highest {
			out = append(out, Finding{Severity: Warning, What: fmt.Sprintf("%s is at block %d, others at %d", one.name, one.state.Height, highest), Next: "it is catching up, or has no peer to learn from: look again in a minute"})
		}
	}
	return out
}

func judgeNonces(f facts) []Finding {
	if f.sendersErr != nil {
		return []Finding{{Severity: Unknown, What: "the signer's accounts could not be read: " + f.sendersErr.Error(), Next: "give --signer-token-file with a token that may read, if the signer asks for one"}}
	}
	var out []Finding
	for _, one := range f.senders {
		switch {
		case one.chainKnown && one.chain > one.NextNonce:
			out = append(out, Finding{
				Severity: Broken, What: fmt.Sprintf("%s: the chain has %d transactions of it, and the signer has given out %d nonces: somebody else sends with its key", one.Address, one.chain, one.NextNonce),
				Next: "stop whoever else uses the key; the signer takes the chain's count over by itself",
			})
		case one.chainKnown && one.chain < one.LowWater:
			out = append(out, Finding{
				Severity: Broken, What: fmt.Sprintf("%s: the signer counts %d transactions as final, and the chain has %d: this is another chain, or one from a backup", one.Address, one.LowWater, one.chain),
				Next: "check that the nodes' volumes and the signer's database are of the same network and time",
			})
		case one.State != "active":
			out = append(out, Finding{Severity: Warning, What: fmt.Sprintf("%s is %s: %s", one.Address, one.State, one.Reason), Next: "POST /v1/senders/" + one.Address + "/resume when the reason is gone"})
		case one.chainKnown && one.Open > 0 && one.chain == one.LowWater && one.NextNonce > one.chain:
			out = append(out, Finding{
				Severity: Warning, What: fmt.Sprintf("%s: nonce %d is the next one the chain wants, and %d later ones wait behind it", one.Address, one.chain, one.Open-1),
				Next: "normal for the time of a block; if it stays, look at that transaction: GET /v1/transactions?from=" + one.Address,
			})
		}
	}
	return out
}

// Worst is the worst severity of findings.
func Worst(findings []Finding) Severity {
	for _, severity := range []Severity{Broken, Warning, Unknown} {
		if slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == severity }) {
			return severity
		}
	}
	return OK
}

// gatherWithin bounds all of doctor's questions.
const gatherWithin = 2 * time.Minute
