package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/genesis"
	"github.com/slipwayhq/slipway/internal/network"
)

// The Secret that decides what the network is, and its only key.
const (
	recordName = "slipway-network"
	recordKey  = "network.json"
)

// ErrDrift says that the network is there and is not the one that was asked
// for, or that an object is not what the network's record gives.
var ErrDrift = errors.New("the network differs")

// Request says what network is wanted.
type Request struct {
	Spec                 network.Spec // its namespace is that of the Cluster
	Validators, RPCNodes int
	// Keys are to be used for a new network; nil draws them.
	Keys   *network.Keys
	Labels map[string]string // of every object that is made
	// DryRun asks the API server about every write and makes none.
	DryRun bool
}

// Report is what a run found and did.
type Report struct {
	GenesisHash common.Hash
	New         bool     // this run decided what the network is
	Made        []string // objects
	Kept        int      // objects that were there and are right
	Drift       []string
	Notes       []string
}

// run is one run of Bootstrap.
type run struct {
	*Cluster
	request Request
	report  Report
}

// Bootstrap makes the Secrets that charts ask for, then the network, or
// completes it, or finds that nothing is left to do. It overwrites nothing but
// the list of static nodes, to which it only adds. With ErrDrift the report
// says what differs.
func (c *Cluster) Bootstrap(ctx context.Context, request Request) (Report, error) {
	request.Spec.Names.Namespace = c.namespace
	r := &run{Cluster: c, request: request}
	if err := r.ensureSecrets(ctx); err != nil {
		return r.report, err
	}
	material, err := r.decide(ctx)
	if err != nil {
		return r.report, err
	}
	r.report.GenesisHash = material.Hash
	if len(r.report.Drift) > 0 {
		return r.report, r.drifted("nothing of the network was changed")
	}
	if err := r.complete(ctx, material); err != nil {
		return r.report, err
	}
	if len(r.report.Drift) > 0 {
		return r.report, r.drifted("objects that differ were left alone")
	}
	return r.report, nil
}

// Secrets makes the Secrets that charts ask for, and no network. Of the request it
// uses labels and dry run.
func (c *Cluster) Secrets(ctx context.Context, request Request) (Report, error) {
	r := &run{Cluster: c, request: request}
	return r.report, r.ensureSecrets(ctx)
}

func (r *run) drifted(what string) error {
	return fmt.Errorf("%w: %s; %s", ErrDrift, strings.Join(r.report.Drift, "; "), what)
}

// decide gives the material of the network that is there, or makes one.
func (r *run) decide(ctx context.Context) (network.Material, error) {
	record, found, err := r.readRecord(ctx)
	if err != nil {
		return network.Material{}, err
	}
	if !found {
		var strangers []string
		if strangers, err = r.strangers(ctx); err != nil {
			return network.Material{}, err
		}
		// Another run may have begun between the two looks.
		if record, found, err = r.readRecord(ctx); err != nil {
			return network.Material{}, err
		}
		if !found && len(strangers) > 0 {
			return network.Material{}, fmt.Errorf("there is no Secret %s, but there is %s: the material of a network that this program did not make, or whose record was deleted; "+
				"bring the Secret back from a backup, or delete what is there and with it that network, or use another namespace", recordName, strings.Join(strangers, ", "))
		}
	}
	if found {
		return r.existing(ctx, record)
	}
	material, made, err := r.begin(ctx)
	if err != nil || made {
		return material, err
	}
	if record, found, err = r.readRecord(ctx); err != nil {
		return network.Material{}, err
	}
	if !found {
		return network.Material{}, fmt.Errorf("the Secret %s came and went: is somebody deleting it? run this again", recordName)
	}
	return r.existing(ctx, record)
}

func (r *run) readRecord(ctx context.Context) (network.Record, bool, error) {
	data, found, err := r.data(ctx, network.Secret, recordName)
	if err != nil || !found {
		return network.Record{}, false, err
	}
	record, err := network.ParseRecord([]byte(data[recordKey]))
	if err != nil {
		return network.Record{}, false, fmt.Errorf("secret %s: %w", recordName, err)
	}
	return record, true, nil
}

// strangers are objects that a network without a record cannot have.
func (r *run) strangers(ctx context.Context) ([]string, error) {
	names := r.request.Spec.Names
	var out []string
	for name, kind := range map[string]network.Kind{
		names.GenesisConfigMap: network.ConfigMap,
		network.PrivateKeyObject(names.Node(network.Validator, 0)): network.Secret,
		network.PrivateKeyObject(names.FaucetPrefix):               network.Secret,
	} {
		_, found, err := r.data(ctx, kind, name)
		if err != nil {
			return nil, err
		}
		if found {
			out = append(out, fmt.Sprintf("%s %s", kind, name))
		}
	}
	slices.Sort(out)
	return out, nil
}

// begin draws the keys and makes the record, in one create. made is false where
// somebody else's was first; then its keys are forgotten.
func (r *run) begin(ctx context.Context) (material network.Material, made bool, err error) {
	keys := r.request.Keys
	if keys == nil {
		drawn, err := network.NewKeys(r.request.Validators, r.request.RPCNodes)
		if err != nil {
			return network.Material{}, false, err
		}
		keys = &drawn
	}
	if material, err = network.Derive(r.request.Spec, *keys); err != nil {
		return network.Material{}, false, err
	}
	record, err := material.RecordWithKeys()
	if err != nil {
		return network.Material{}, false, err
	}
	text, err := json.Marshal(record)
	if err != nil {
		return network.Material{}, false, errors.New("write the network's record")
	}
	made, err = r.create(ctx, network.Object{
		Kind: network.Secret, Name: recordName, Data: map[string]string{recordKey: string(text)},
		Annotations: map[string]string{network.HashAnnotation: material.Hash.Hex()}, Immutable: true,
	}, r.request.Labels, r.request.DryRun)
	if made {
		r.report.New = true
		r.report.Made = append(r.report.Made, "Secret "+recordName)
	}
	return material, made, err
}

// existing derives the material of a record, and notes how it differs from what
// is wanted.
func (r *run) existing(ctx context.Context, record network.Record) (network.Material, error) {
	if len(r.request.Spec.Alloc) == 0 && len(record.Alloc) > 0 {
		alloc, err := r.readAlloc(ctx, slices.Sorted(maps.Keys(record.Alloc)))
		if err != nil {
			return network.Material{}, err
		}
		r.request.Spec.Alloc = alloc
	}
	wanted, err := r.request.Spec.Record()
	if err != nil {
		return network.Material{}, err
	}
	keys, err := record.KeysOf()
	if err != nil {
		return network.Material{}, err
	}
	if differences := record.Differences(wanted); len(differences) > 0 {
		r.report.Drift = differences
		return network.Material{Hash: record.GenesisHash}, nil
	}
	if given := r.request.Keys; given != nil && !sameKeys(*given, keys) {
		r.report.Drift = []string{"the given keys are not those of the network"}
		return network.Material{Hash: record.GenesisHash}, nil
	}
	spec, err := record.Spec(r.request.Spec.Alloc)
	if err != nil {
		return network.Material{}, err
	}
	spec.ABIs, spec.Subgraph = r.request.Spec.ABIs, r.request.Spec.Subgraph
	material, err := network.Derive(spec, keys)
	if err != nil {
		return network.Material{}, err
	}
	if material.Hash != record.GenesisHash {
		return network.Material{}, fmt.Errorf("this version of slipway makes the genesis %s of the network's record, whose genesis is %s: use the version that made it", material.Hash, record.GenesisHash)
	}
	return material, nil
}

// sameKeys compares the genesis' validators and the faucet. More keys than the
// record has are of nodes that were added later.
func sameKeys(given, is network.Keys) bool {
	if len(given.Validators) < len(is.Validators) || given.Faucet.Address() != is.Faucet.Address() {
		return false
	}
	return slices.Equal(genesis.Addresses(given.Validators[:len(is.Validators)]), genesis.Addresses(is.Validators))
}

func (r *run) readAlloc(ctx context.Context, addresses []string) (genesis.Alloc, error) {
	out := make(genesis.Alloc, len(addresses))
	for _, text := range addresses {
		address := common.HexToAddress(text)
		account, found, err := r.account(ctx, address)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, fmt.Errorf("the network's genesis has the account %s, but there is no ConfigMap %s: run this again with the same --allocations", text, network.AllocObject(address))
		}
		out[address] = account
	}
	return out, nil
}

// complete makes every object that is missing. The genesis is the last.
func (r *run) complete(ctx context.Context, material network.Material) error {
	objects, err := material.Objects()
	if err != nil {
		return err
	}
	last := objects[len(objects)-1]
	for _, object := range objects[:len(objects)-2] {
		if err := r.ensure(ctx, object); err != nil {
			return err
		}
	}
	later, err := r.laterNodes(ctx, material)
	if err != nil {
		return err
	}
	if err := r.ensureStaticNodes(ctx, material, later); err != nil {
		return err
	}
	if err := checkGenesis(material); err != nil {
		return err
	}
	return r.ensure(ctx, last)
}

// checkGenesis looks once more, from the text, whether the genesis file is that
// of the keys: with another one the chain would never make a block.
func checkGenesis(material network.Material) error {
	text, err := material.Genesis.JSON()
	if err != nil {
		return err
	}
	found, err := network.VerifyGenesis(text, network.Claims{
		Validators: genesis.Addresses(material.Keys.Validators), Hash: &material.Hash, ChainID: material.Spec.Params.ChainID,
	})
	if err != nil {
		return err
	}
	if len(found.Differences) > 0 {
		return fmt.Errorf("the genesis file is not that of the keys: %s", strings.Join(found.Differences, "; "))
	}
	return nil
}

// ensure makes an object that is missing, and compares one that is there.
func (r *run) ensure(ctx context.Context, object network.Object) error {
	data, found, err := r.data(ctx, object.Kind, object.Name)
	if err != nil {
		return err
	}
	if !found {
		made, err := r.create(ctx, object, r.request.Labels, r.request.DryRun)
		if err != nil {
			return err
		}
		if made {
			r.report.Made = append(r.report.Made, fmt.Sprintf("%s %s", object.Kind, object.Name))
			return nil
		}
		if data, found, err = r.data(ctx, object.Kind, object.Name); err != nil {
			return err
		}
	}
	if !found || !maps.Equal(data, object.Data) {
		r.report.Drift = append(r.report.Drift, fmt.Sprintf("%s %s is not what the network's record gives", object.Kind, object.Name))
		return nil
	}
	r.report.Kept++
	return nil
}
