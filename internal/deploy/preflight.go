package deploy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipwayhq/slipway/internal/genesis"
	"github.com/slipwayhq/slipway/internal/network"
	"github.com/slipwayhq/slipway/internal/network/validators"
)

// ErrRefused says that preflight found what would break the chain or fail.
var ErrRefused = errors.New("refused before anything was changed")

// Refusal is a reason not to begin.
type Refusal struct {
	// Rule is its name, for --allow.
	Rule string `json:"rule"`
	What string `json:"what"`
	// Next is what to do about it.
	Next string `json:"next"`
}

// Refusals are all reasons not to begin.
type Refusals []Refusal

// Error lists them, one a line.
func (r Refusals) Error() string {
	lines := []string{ErrRefused.Error() + ":"}
	for _, one := range r {
		lines = append(lines, fmt.Sprintf("[%s] %s: %s", one.Rule, one.What, one.Next))
	}
	return strings.Join(lines, "\n")
}

// Is makes every list of refusals an ErrRefused.
func (r Refusals) Is(target error) bool { return target == ErrRefused }

// situation is all that preflight judges. What could not be found out is zero,
// and nothing is concluded from it.
type situation struct {
	wanted    chain
	installed *chain // of the running release; nil is none
	// genesis is the file that the nodes have or will find; nil is none yet.
	genesis *genesis.File
	// genesisHash is that of the network by its record, wantedHash that of the
	// ConfigMap which the wanted nodes mount.
	genesisHash, wantedHash string
	// machines are all of the cluster, by name.
	machines map[string]machine
	// chainSet are the validators by which the chain goes; nil is not known.
	chainSet []common.Address
	// leaving are the validators that the wanted release no longer has.
	leaving []leaving
	// placed has the machine of each validator that runs, by name.
	placed map[string]string
	// refused is what the API server says against the objects.
	refused Refusals
}

// machine is one of the cluster's, as far as placing validators goes.
type machine struct {
	zone            string // empty where it is not known
	takesValidators bool
}

// judge gives every reason not to begin, except those that are allowed.
func (s situation) judge(allowed []string) Refusals {
	all := slices.Clone(s.refused)
	for _, rule := range []func() Refusals{s.judgeGenesis, s.judgeStorage, s.judgeVersions, s.judgeQuorum, s.judgeSets, s.judgePlacement} {
		all = append(all, rule()...)
	}
	return slices.DeleteFunc(all, func(r Refusal) bool { return slices.Contains(allowed, r.Rule) })
}

// judgeGenesis looks for what would make another blockchain of the one there.
func (s situation) judgeGenesis() Refusals {
	const rule = "genesis"
	var out Refusals
	if s.installed != nil {
		for _, option := range slices.Sorted(maps.Keys(s.wanted.Bootstrap)) {
			was, had := s.installed.Bootstrap[option]
			if is := s.wanted.Bootstrap[option]; had && was != is {
				out = append(out, Refusal{
					rule, fmt.Sprintf("the network was made with %s=%s, and the values say %s", option, was, is),
					"give the old value again; another one needs another network, in another namespace",
				})
			}
		}
	}
	if s.genesis != nil && len(out) == 0 {
		out = append(out, s.judgeFile(rule)...)
	}
	if s.genesisHash != "" && s.wantedHash != "" && s.genesisHash != s.wantedHash {
		out = append(out, Refusal{
			rule, fmt.Sprintf("the network's genesis is %s, and ConfigMap %s has %s", s.genesisHash, s.wanted.Genesis, s.wantedHash),
			"no node would find its peers; put the network's own genesis back (`slipway bootstrap --dry-run` says what differs)",
		})
	}
	return out
}

// judgeFile compares the values with a genesis file that is there.
func (s situation) judgeFile(rule string) Refusals {
	bft, protocol := s.genesis.Config.QBFT, genesis.QBFT
	if s.genesis.Config.IBFT2 != nil {
		bft, protocol = s.genesis.Config.IBFT2, genesis.IBFT2
	}
	if bft == nil {
		return nil
	}
	has := map[string]string{
		"--chain-id":     strconv.FormatUint(uint64(s.genesis.Config.ChainID), 10),
		"--consensus":    string(protocol),
		"--block-period": strconv.FormatUint(uint64(bft.BlockPeriodSeconds), 10),
	}
	var out Refusals
	for _, option := range slices.Sorted(maps.Keys(has)) {
		if want, asked := s.wanted.Bootstrap[option]; asked && want != has[option] {
			out = append(out, Refusal{
				rule, fmt.Sprintf("the genesis in this namespace has %s=%s, and the values say %s", option, has[option], want),
				"give the network's own value; another network needs another namespace",
			})
		}
	}
	return out
}

// judgeStorage: Besu cannot read a database in the other format.
func (s situation) judgeStorage() Refusals {
	if s.installed == nil {
		return nil
	}
	var out Refusals
	for _, name := range slices.Sorted(maps.Keys(s.wanted.Storage)) {
		was, is := s.installed.Storage[name], s.wanted.Storage[name]
		if was != "" && is != "" && was != is {
			out = append(out, Refusal{
				"storage-format", fmt.Sprintf("the databases of %s are %s, and the values say %s", name, was, is),
				"set network.besu.dataStorageFormat back; a node changes its format only by loading the chain anew into an empty volume",
			})
		}
	}
	return out
}

// judgeVersions: a newer Besu may have rewritten the database.
func (s situation) judgeVersions() Refusals {
	if s.installed == nil {
		return nil
	}
	downgrades := make(map[string][]string) // the nodes of each
	for _, set := range slices.Sorted(maps.Keys(s.wanted.Besu)) {
		was, is := s.installed.Besu[set], s.wanted.Besu[set]
		if isOlder(is, was) {
			step := fmt.Sprintf("from %s back to %s", was, is)
			downgrades[step] = append(downgrades[step], set)
		}
	}
	var out Refusals
	for _, step := range slices.Sorted(maps.Keys(downgrades)) {
		out = append(out, Refusal{
			"besu-downgrade", fmt.Sprintf("Besu would go %s on %s", step, strings.Join(downgrades[step], ", ")),
			"an older Besu may not read what the newer one wrote; stay, or read Besu's release notes and then give --allow besu-downgrade",
		})
	}
	return out
}

// isOlder compares versions such as 25.10.0 number by number. What is not a
// version is not older than anything.
func isOlder(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		x, errX := strconv.Atoi(at(as, i))
		y, errY := strconv.Atoi(at(bs, i))
		switch {
		case errX != nil || errY != nil:
			return false
		case x != y:
			return x < y
		}
	}
	return false
}

func at(parts []string, i int) string {
	if i < len(parts) {
		part, _, _ := strings.Cut(parts[i], "-")
		return part
	}
	return "0"
}

// judgeSets: Kubernetes refuses these changes halfway through an upgrade.
func (s situation) judgeSets() Refusals {
	if s.installed == nil {
		return nil
	}
	var changed []string
	for _, set := range slices.Sorted(maps.Keys(s.wanted.Sets)) {
		if was, had := s.installed.Sets[set]; had && was != s.wanted.Sets[set] {
			changed = append(changed, set)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return Refusals{{
		"immutable", "volume claims, selector or service of " + strings.Join(changed, ", ") + " would change, which Kubernetes does not allow",
		"set the values of persistence and labels back; a larger volume is asked for at the claims themselves: kubectl edit pvc",
	}}
}

// judgePlacement: no machine may hold more validators than may fail.
func (s situation) judgePlacement() Refusals {
	const rule = "placement"
	n := s.wanted.Validators
	tolerated := validators.Tolerated(n)
	if tolerated == 0 {
		return nil // each validator is needed anyway
	}
	if len(s.placed) > 0 {
		on := make(map[string]int)
		for _, machine := range s.placed {
			on[machine]++
		}
		for _, machine := range slices.Sorted(maps.Keys(on)) {
			if machine != "" && on[machine] > tolerated {
				return Refusals{{
					rule, fmt.Sprintf("machine %s holds %d of %d validators, and the chain stops when more than %d are away", machine, on[machine], n, tolerated),
					"spread them (network.validator.topologySpread) and delete one of its pods; to try things, give --allow placement",
				}}
			}
		}
		return nil
	}
	if len(s.machines) == 0 {
		return nil
	}
	machines := 0
	for _, one := range s.machines {
		if one.takesValidators {
			machines++
		}
	}
	switch most := (n + max(machines, 1) - 1) / max(machines, 1); {
	case machines == 0:
		return Refusals{{
			rule, fmt.Sprintf("none of %d machines takes validators", len(s.machines)),
			"look at network.validator.nodeSelector, affinity and tolerations against the machines' labels and taints (kubectl describe nodes); if machines are made when they are needed, give --allow placement",
		}}
	case most > tolerated:
		return Refusals{{
			rule, fmt.Sprintf("%d machines take validators, so one would hold %d of %d, and the chain stops when more than %d are away", machines, most, n, tolerated),
			"add machines, or run fewer validators (--profile preview); to try things, or if machines are made when they are needed, give --allow placement",
		}}
	}
	return nil
}

// zoneNote tells what the loss of a zone would do. Three zones can never be
// enough, so it is said and not refused.
func (s situation) zoneNote() string {
	zones := make(map[string]int)
	for _, machine := range s.placed {
		if zone := s.machines[machine].zone; zone != "" {
			zones[zone]++
		}
	}
	tolerated := validators.Tolerated(s.wanted.Validators)
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		if tolerated > 0 && zones[zone] > tolerated {
			return fmt.Sprintf("zone %s holds %d of %d validators: without it the chain stops until it is back", zone, zones[zone], s.wanted.Validators)
		}
	}
	return ""
}

// situation gathers what preflight judges.
func (c *Cluster) situation(ctx context.Context, release string, wanted []Object, installed []Object) (situation, error) {
	var s situation
	var err error
	if s.wanted, err = chainOf(wanted); err != nil {
		return s, err
	}
	if installed != nil {
		was, err := chainOf(installed)
		if err != nil {
			return s, err
		}
		s.installed = &was
	}
	if err := c.gatherGenesis(ctx, &s); err != nil {
		return s, err
	}
	pods, err := c.pods(ctx, release)
	if err != nil {
		return s, err
	}
	if err := c.gatherLeaving(ctx, pods, &s); err != nil {
		return s, err
	}
	return s, c.gatherPlaces(ctx, pods, &s)
}

func (c *Cluster) gatherGenesis(ctx context.Context, s *situation) error {
	name := cmp.Or(s.wanted.Genesis, network.DefaultNames().GenesisConfigMap)
	configMap, err := c.api.CoreV1().ConfigMaps(c.namespace).Get(ctx, name, meta.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return c.explain("read ConfigMap "+name, err)
	}
	file, err := genesis.Parse([]byte(configMap.Data[network.GenesisKey]))
	if err != nil {
		return fmt.Errorf("ConfigMap %s: %w", name, err)
	}
	s.genesis, s.wantedHash = &file, configMap.Annotations[network.HashAnnotation]
	record, err := c.api.CoreV1().Secrets(c.namespace).Get(ctx, recordSecret, meta.GetOptions{})
	switch {
	case err == nil:
		s.genesisHash = record.Annotations[network.HashAnnotation]
	case apierrors.IsNotFound(err) || apierrors.IsForbidden(err):
	default:
		return c.explain("read Secret "+recordSecret, err)
	}
	if len(file.Missing()) > 0 {
		return nil // accounts lie elsewhere; the annotation is what there is
	}
	hash, err := file.Hash()
	if err != nil {
		return fmt.Errorf("ConfigMap %s: %w", name, err)
	}
	s.wantedHash = hash.Hex()
	return nil
}

// recordSecret is where the bootstrap writes down what the network is.
const recordSecret = "slipway-network"

// gatherPlaces looks where validators are and could be. Machines are not of the
// namespace, so not being allowed to see them is no failure.
func (c *Cluster) gatherPlaces(ctx context.Context, pods []core.Pod, s *situation) error {
	machines, err := c.api.CoreV1().Nodes().List(ctx, meta.ListOptions{})
	switch {
	case err == nil:
		s.machines = make(map[string]machine)
		for _, one := range machines.Items {
			s.machines[one.Name] = machine{zone: one.Labels[core.LabelTopologyZone], takesValidators: s.wanted.Placement.fits(&one)}
		}
	case !apierrors.IsForbidden(err):
		return c.explain("list the machines", err)
	}
	s.placed = make(map[string]string)
	for _, pod := range pods {
		if node := pod.Labels[nodeLabel]; node != "" && pod.Spec.NodeName != "" {
			s.placed[node] = pod.Spec.NodeName
		}
	}
	return nil
}

// pods are those of a release.
func (c *Cluster) pods(ctx context.Context, release string) ([]core.Pod, error) {
	list, err := c.api.CoreV1().Pods(c.namespace).List(ctx, meta.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + release})
	if err != nil {
		return nil, c.explain("list the pods", err)
	}
	return list.Items, nil
}

// MarshalJSON gives an empty list as one.
func (r Refusals) MarshalJSON() ([]byte, error) {
	return json.Marshal(append([]Refusal{}, r...))
}
