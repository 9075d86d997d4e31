package deploy

import (
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// Names that the chart gives, and that commands look for.
const (
	validatorName = "besu-node-validator"
	rpcName       = "besu-node-rpc"
	nodeLabel     = "slipway.io/node"
)

// chain is what of an installation decides whether its blockchain goes on.
type chain struct {
	// Bootstrap has the options of the bootstrap job: the network's genesis
	// follows from them, --chain-id and so on, without those of counts.
	Bootstrap map[string]string
	// Genesis is the ConfigMap from which the nodes' genesis file is made.
	Genesis string
	// Storage is the storage format, by the name of the nodes' ConfigMap.
	Storage map[string]string
	// Besu is the image's tag, by the name of the StatefulSet.
	Besu map[string]string
	// Validators counts them.
	Validators int
	// Placement says on which machines they may be.
	Placement placement
	// Sets are the parts of StatefulSets that Kubernetes never lets change.
	Sets map[string]string
}

// workload is as much of a workload as the commands look at.
type workload struct {
	Spec struct {
		Replicas             *int           `json:"replicas"`
		ServiceName          string         `json:"serviceName"`
		PodManagementPolicy  string         `json:"podManagementPolicy"`
		Selector             any            `json:"selector"`
		VolumeClaimTemplates any            `json:"volumeClaimTemplates"`
		Template             podTemplate    `json:"template"`
		JobTemplate          map[string]any `json:"jobTemplate"`
	} `json:"spec"`
	Data map[string]string `json:"data"`
}

type podTemplate struct {
	Spec podSpec `json:"spec"`
}

type podSpec struct {
	InitContainers []container `json:"initContainers"`
	Containers     []container `json:"containers"`
	placement
}

type container struct {
	Name  string   `json:"name"`
	Image string   `json:"image"`
	Args  []string `json:"args"`
}

// isOfTheGenesis says whether an option of the bootstrap job must stay. Nodes
// come and go, and no block knows them; labels are only those of what it makes.
func isOfTheGenesis(option string) bool {
	return option != "--validators" && option != "--rpc-nodes" && option != "--labels"
}

// chainOf reads the chain out of rendered objects.
func chainOf(objects []Object) (chain, error) {
	out := chain{Bootstrap: map[string]string{}, Storage: map[string]string{}, Besu: map[string]string{}, Sets: map[string]string{}}
	for _, o := range objects {
		var w workload
		switch o.Kind {
		case "Job", "StatefulSet", "ConfigMap":
			if err := yaml.Unmarshal([]byte(o.Text), &w); err != nil {
				return chain{}, err
			}
		}
		switch {
		case o.Kind == "Job" && strings.HasPrefix(o.Name, "bootstrap-"):
			out.bootstrap(w.Spec.Template.Spec)
		case o.Kind == "StatefulSet":
			fixed, err := yaml.Marshal([]any{w.Spec.ServiceName, w.Spec.PodManagementPolicy, w.Spec.Selector, w.Spec.VolumeClaimTemplates})
			if err != nil {
				return chain{}, err
			}
			out.Sets[o.Name] = string(fixed)
			if o.Name == rpcName || isValidator(o.Name) {
				out.node(o.Name, w.Spec.Template.Spec)
			}
		case o.Kind == "ConfigMap" && (o.Name == validatorName || o.Name == rpcName):
			out.Storage[o.Name] = setting(w.Data["config.toml"], "data-storage-format")
		}
	}
	return out, nil
}

// isValidator says whether a StatefulSet is that of a validator.
func isValidator(set string) bool {
	ordinal, found := strings.CutPrefix(set, validatorName+"-")
	_, err := strconv.Atoi(ordinal)
	return found && err == nil
}

// chainID is that of the values; 0 is not known.
func (c *chain) chainID() uint64 {
	id, err := strconv.ParseUint(c.Bootstrap["--chain-id"], 10, 64)
	if err != nil {
		return 0
	}
	return id
}

func (c *chain) bootstrap(pod podSpec) {
	for _, one := range pod.Containers {
		for _, arg := range one.Args {
			name, value, isOption := strings.Cut(arg, "=")
			if isOption && isOfTheGenesis(name) {
				c.Bootstrap[name] = value
			}
		}
	}
}

func (c *chain) node(set string, pod podSpec) {
	if isValidator(set) {
		c.Validators++
		c.Placement = pod.placement
	}
	for _, one := range pod.Containers {
		if one.Name == "besu" {
			c.Besu[set] = tagOf(one.Image)
		}
	}
	for _, one := range pod.InitContainers {
		for _, arg := range one.Args {
			if name, found := strings.CutPrefix(arg, "--genesis-configmap-name="); found {
				c.Genesis = name
			}
		}
	}
}

// setting is a setting of a config.toml as the chart writes it: key="value".
func setting(toml, key string) string {
	for line := range strings.Lines(toml) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if found && strings.TrimSpace(name) == key {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// tagOf is the tag of an image, without a digest.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	slash := strings.LastIndexByte(image, '/')
	if colon := strings.LastIndexByte(image, ':'); colon > slash {
		return image[colon+1:]
	}
	return ""
}
