package gateway

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// HostAlias says what a request means by the host it was sent to, so that its
// path need not say it. What it leaves empty the path says.
type HostAlias struct {
	// Domain is a host name without port; "*" stands for any text: *.rpc.example.org.
	Domain string
	// Project is the id of a project.
	Project string
	// Architecture is "evm", or empty.
	Architecture string
	// Chain is a chain id or the alias of a network.
	Chain string
}

// routes finds the project and the network of a request.
type routes struct {
	projects []*project
	aliases  []HostAlias
}

// maxSegments is a path in full: /<project>/evm/<chain id>.
const maxSegments = 3

// find resolves a host and a path. The network is nil when neither names one
// and the project has several. Accepted are
//
//	/  /<project>  /<project>/evm  /<project>/evm/<chain id>  /<project>/<chain id or alias>
//
// and the same without <project> where the host names it or there is only one.
func (r *routes) find(host, path string) (*project, *Network, *jsonrpc.Error) {
	var parts [maxSegments]string
	segments, ok := split(parts[:0], path)
	if !ok {
		return nil, nil, r.unknownPath()
	}
	alias := r.alias(host)
	p, segments := r.project(alias.Project, segments)
	if p == nil {
		return nil, nil, r.unknownPath()
	}
	if len(segments) > 0 && segments[0] == "evm" {
		segments = segments[1:]
	} else if len(segments) > 1 {
		return nil, nil, p.unknownNetwork()
	}
	chain := alias.Chain
	switch len(segments) {
	case 0:
	case 1:
		chain = segments[0]
	default:
		return nil, nil, p.unknownNetwork()
	}
	if chain == "" {
		return p, p.only(), nil
	}
	if n := p.network(chain); n != nil {
		return p, n, nil
	}
	return nil, nil, p.unknownNetwork()
}

// split cuts a path into at most three names. Slashes at its ends do not count.
func split(into []string, path string) ([]string, bool) {
	for rest := strings.Trim(path, "/"); rest != ""; {
		if len(into) == cap(into) {
			return nil, false
		}
		name, tail, _ := strings.Cut(rest, "/")
		into, rest = append(into, name), tail
	}
	return into, true
}

// alias is the first rule that means a host.
func (r *routes) alias(host string) HostAlias {
	if len(r.aliases) == 0 {
		return HostAlias{}
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	for _, a := range r.aliases {
		if matchesDomain(a.Domain, strings.ToLower(host)) {
			return a
		}
	}
	return HostAlias{}
}

// matchesDomain compares a host with a pattern that may hold asterisks.
func matchesDomain(pattern, host string) bool {
	before, after, isWild := strings.Cut(strings.ToLower(pattern), "*")
	if !isWild {
		return host == before
	}
	rest, ok := strings.CutPrefix(host, before)
	if !ok {
		return false
	}
	for i := 0; i <= len(rest); i++ {
		if matchesDomain(after, rest[i:]) {
			return true
		}
	}
	return false
}

// project takes the project's name from the segments, unless the host has named
// it or there is only one.
func (r *routes) project(byHost string, segments []string) (*project, []string) {
	if len(segments) > 0 {
		for _, p := range r.projects {
			if p.id == segments[0] && (byHost == "" || byHost == p.id) {
				return p, segments[1:]
			}
		}
	}
	for _, p := range r.projects {
		if p.id == byHost {
			return p, segments
		}
	}
	if byHost == "" && len(r.projects) == 1 {
		return r.projects[0], segments
	}
	return nil, nil
}

// only is the project's network if it has no other.
func (p *project) only() *Network {
	if len(p.networks) == 1 {
		return p.networks[0]
	}
	return nil
}

// network finds a network by its chain id or its alias. A chain id that is not
// known yet can be any.
func (p *project) network(name string) *Network {
	id, err := strconv.ParseUint(name, 10, 64)
	for _, n := range p.networks {
		if n.cfg.Alias != "" && n.cfg.Alias == name {
			return n
		}
		if err == nil && (n.chainID() == id || n.chainID() == 0 && len(p.networks) == 1) {
			return n
		}
	}
	return nil
}

// networkID finds the network that a request names in its body, as
// "networkId":"evm:1".
func (p *project) networkID(body []byte) (*Network, *jsonrpc.Error) {
	text := strings.Trim(string(jsonrpc.Member(body, "networkId")), `"`)
	if text == "" {
		return nil, jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "which network? "+p.paths())
	}
	if n := p.network(strings.TrimPrefix(text, "evm:")); n != nil {
		return n, nil
	}
	return nil, p.unknownNetwork()
}

func (r *routes) unknownPath() *jsonrpc.Error {
	if len(r.projects) == 1 {
		return r.projects[0].unknownNetwork()
	}
	return jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "there is no such project: paths are /<project>/evm/<chain id>")
}

func (p *project) unknownNetwork() *jsonrpc.Error {
	return jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "there is no such network: "+p.paths())
}

// paths names the paths of a project, some of them if there are many.
func (p *project) paths() string {
	const most = 8
	var names []string
	for _, n := range p.networks {
		if id := n.chainID(); id != 0 {
			names = append(names, "/"+p.id+"/evm/"+strconv.FormatUint(id, 10))
		}
	}
	switch {
	case len(names) == 0:
		return "paths are /" + p.id + "/evm/<chain id>"
	case len(names) > most:
		return fmt.Sprintf("this project serves %d networks, such as %s", len(names), names[0])
	default:
		return "this project serves " + strings.Join(names, ", ")
	}
}

// validate reports names that stand twice and aliases that lead nowhere.
func (r *routes) validate() error {
	var errs []error
	if len(r.projects) == 0 {
		errs = append(errs, errors.New("projects: at least one is needed"))
	}
	ids := map[string]bool{}
	for _, p := range r.projects {
		if ids[p.id] {
			errs = append(errs, fmt.Errorf("project %q: stands twice", p.id))
		}
		ids[p.id] = true
		errs = append(errs, p.validate())
	}
	for _, a := range r.aliases {
		if err := a.validate(ids); err != nil {
			errs = append(errs, fmt.Errorf("alias of host %q: %w", a.Domain, err))
		}
	}
	return errors.Join(errs...)
}

func (p *project) validate() error {
	var errs []error
	if len(p.networks) == 0 {
		errs = append(errs, fmt.Errorf("project %q: at least one network is needed", p.id))
	}
	names := map[string]bool{}
	for _, n := range p.networks {
		if n.cfg.ChainID == 0 && len(p.networks) > 1 {
			errs = append(errs, fmt.Errorf("project %q: with several networks, each needs its chain id", p.id))
			continue
		}
		for _, name := range []string{strconv.FormatUint(n.cfg.ChainID, 10), n.cfg.Alias} {
			if name != "" && names[name] {
				errs = append(errs, fmt.Errorf("project %q: two networks are called %s", p.id, name))
			}
			names[name] = true
		}
	}
	return errors.Join(errs...)
}

func (a HostAlias) validate(projects map[string]bool) error {
	var errs []error
	if a.Domain == "" {
		errs = append(errs, errors.New("the domain is missing"))
	}
	if a.Project != "" && !projects[a.Project] {
		errs = append(errs, fmt.Errorf("there is no project %q", a.Project))
	}
	if a.Architecture != "" && a.Architecture != "evm" {
		errs = append(errs, fmt.Errorf("architecture %q: must be evm", a.Architecture))
	}
	return errors.Join(errs...)
}
