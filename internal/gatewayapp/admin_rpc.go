package gatewayapp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/sharedstate"
)

// adminMethods are the methods of the admin endpoint. Those that eRPC has too
// have its names.
func (a *App) adminMethods() map[string]gateway.AdminMethod {
	return map[string]gateway.AdminMethod{
		"erpc_taxonomy":         a.adminTaxonomy,
		"erpc_project":          a.adminProject,
		"erpc_config":           a.adminConfig,
		"erpc_cordonUpstream":   a.adminCordon,
		"erpc_uncordonUpstream": a.adminUncordon,
		"erpc_listCordoned":     a.adminCordoned,
		"slipway_upstreams":     a.adminUpstreams,
		"slipway_purgeCache":    a.adminPurge,
	}
}

// selection is the parameter of most admin methods: what they are about. Empty
// fields mean everything.
type selection struct {
	// Project is the id of a project.
	Project string `json:"project"`
	// Network is one of its networks, as evm:<chain id> or by its alias.
	Network string `json:"network"`
	// Upstream is the id of a node.
	Upstream string `json:"upstream"`
	// Method is a pattern of methods.
	Method string `json:"method"`
	// Params are those of a call that is to be explained.
	Params json.RawMessage `json:"params"`
	// Reason is why, in the operator's words.
	Reason string `json:"reason"`
}

// readSelection takes the parameter as an object or as the only element of an
// array, or nothing.
func readSelection(params json.RawMessage) (selection, error) {
	var s selection
	if len(params) > 0 && params[0] == '[' {
		params = jsonrpc.Element(params, 0)
	}
	if len(params) == 0 || string(params) == "null" {
		return s, nil
	}
	if err := json.Unmarshal(params, &s); err != nil {
		return s, jsonrpc.NewError(jsonrpc.CodeInvalidParams, "the parameter must be an object with project, network, upstream, method, params and reason, each of which may be left out")
	}
	return s, nil
}

// chosen lists the networks that a selection means. That it means none is told.
func (s selection) chosen(networks []*network) ([]*network, error) {
	out := slices.DeleteFunc(slices.Clone(networks), func(n *network) bool {
		return !isMeant(s.Project, n.project) || !isMeant(s.Network, n.cfg.name()) && !isMeant(s.Network, n.cfg.Alias)
	})
	if len(out) == 0 {
		return nil, jsonrpc.NewError(jsonrpc.CodeInvalidParams, "there is no such project or network")
	}
	return out, nil
}

// taxonomy names what is served.
type taxonomy struct {
	Projects []taxonomyProject `json:"projects"`
}

type taxonomyProject struct {
	ID       string            `json:"id"`
	Networks []taxonomyNetwork `json:"networks"`
}

type taxonomyNetwork struct {
	ID        string             `json:"id"`
	Alias     string             `json:"alias,omitempty"`
	Upstreams []taxonomyUpstream `json:"upstreams"`
}

type taxonomyUpstream struct {
	ID string `json:"id"`
}

func (a *App) adminTaxonomy(context.Context, json.RawMessage) (any, error) {
	var out taxonomy
	for _, n := range a.site.Load().networks {
		if last := len(out.Projects) - 1; last < 0 || out.Projects[last].ID != n.project {
			out.Projects = append(out.Projects, taxonomyProject{ID: n.project})
		}
		of := taxonomyNetwork{ID: n.cfg.name(), Alias: n.cfg.Alias}
		for _, u := range n.pool.Upstreams() {
			of.Upstreams = append(of.Upstreams, taxonomyUpstream{ID: string(u.ID())})
		}
		p := &out.Projects[len(out.Projects)-1]
		p.Networks = append(p.Networks, of)
	}
	return out, nil
}

// adminProject tells the state of a project's networks and nodes.
func (a *App) adminProject(_ context.Context, params json.RawMessage) (any, error) {
	var id string
	if json.Unmarshal(jsonrpc.Element(params, 0), &id) != nil {
		id = ""
	}
	s, err := readSelection(params)
	if id != "" {
		s, err = selection{Project: id}, nil
	}
	if err != nil {
		return nil, err
	}
	networks, err := s.chosen(a.site.Load().networks)
	if err != nil {
		return nil, err
	}
	out := make([]gateway.NetworkHealth, len(networks))
	for i, n := range networks {
		out[i] = n.health()
	}
	return map[string]any{"networks": out}, nil
}

// adminConfig is the configuration in force, as YAML, without secrets.
func (a *App) adminConfig(context.Context, json.RawMessage) (any, error) {
	return map[string]string{"yaml": a.site.Load().cfg.Document}, nil
}

// adminUpstreams explains the order of the nodes for a call.
func (a *App) adminUpstreams(_ context.Context, params json.RawMessage) (any, error) {
	s, err := readSelection(params)
	if err != nil {
		return nil, err
	}
	networks, err := s.chosen(a.site.Load().networks)
	if err != nil {
		return nil, err
	}
	return explain(networks, s.Method, s.Params), nil
}

// changed is the answer to a cordon and to its lifting: which nodes, and for
// whom it holds already.
type changed struct {
	Upstreams []string          `json:"upstreams"`
	Reach     sharedstate.Reach `json:"reach"`
}

// adminCordon takes nodes out of use, for all methods or those of a pattern.
func (a *App) adminCordon(ctx context.Context, params json.RawMessage) (any, error) {
	return a.changeCordons(params, func(s selection, place string) sharedstate.Reach {
		return a.shared.Cordon(ctx, sharedstate.Cordon{Upstream: place, Method: s.Method, Reason: s.Reason})
	})
}

// adminUncordon lets nodes in again.
func (a *App) adminUncordon(ctx context.Context, params json.RawMessage) (any, error) {
	return a.changeCordons(params, func(s selection, place string) sharedstate.Reach {
		return a.shared.Uncordon(ctx, place, s.Method)
	})
}

func (a *App) changeCordons(params json.RawMessage, change func(selection, string) sharedstate.Reach) (any, error) {
	s, err := readSelection(params)
	if err != nil {
		return nil, err
	}
	if s.Upstream == "" {
		return nil, jsonrpc.NewError(jsonrpc.CodeInvalidParams, "upstream: which node?")
	}
	if s.Method != "" {
		if _, err := methods.ParsePattern(s.Method); err != nil {
			return nil, jsonrpc.NewError(jsonrpc.CodeInvalidParams, "method: "+err.Error())
		}
	}
	networks, err := s.chosen(a.site.Load().networks)
	if err != nil {
		return nil, err
	}
	out := changed{Upstreams: []string{}}
	for _, n := range networks {
		for _, u := range n.pool.Upstreams() {
			if string(u.ID()) == s.Upstream {
				out.Reach = change(s, n.place(u.ID()))
				out.Upstreams = append(out.Upstreams, n.place(u.ID()))
			}
		}
	}
	if len(out.Upstreams) == 0 {
		return nil, jsonrpc.NewError(jsonrpc.CodeInvalidParams, "there is no such upstream")
	}
	return out, nil
}

// adminCordoned lists what is out of use.
func (a *App) adminCordoned(context.Context, json.RawMessage) (any, error) {
	return a.shared.Cordons(), nil
}

// purged is the answer to a purge: how many entries went here and in Redis, and
// for whose memories it holds.
type purged struct {
	Purged int               `json:"purged"`
	Reach  sharedstate.Reach `json:"reach"`
}

// adminPurge removes what is kept of a project, a network or some methods, here
// and in Redis, and has the other gateways remove it from their memories.
func (a *App) adminPurge(ctx context.Context, params json.RawMessage) (any, error) {
	s, err := readSelection(params)
	if err != nil {
		return nil, err
	}
	selector := cache.Selector{Project: s.Project, Network: s.Network, Method: methods.AnyMethod()}
	if s.Method != "" {
		if selector.Method, err = methods.ParsePattern(s.Method); err != nil {
			return nil, jsonrpc.NewError(jsonrpc.CodeInvalidParams, "method: "+err.Error())
		}
	}
	store := a.site.Load().stores.store
	if store == nil {
		return purged{Reach: sharedstate.InMemory}, nil
	}
	n, err := store.Purge(ctx, selector)
	if err != nil {
		return nil, fmt.Errorf("purge the cache: %w", err)
	}
	// Told after Redis is empty: what others keep from then on is new.
	reach := a.shared.Purge(ctx, sharedstate.Purge{Project: s.Project, Network: s.Network, Method: s.Method})
	return purged{n, reach}, nil
}
