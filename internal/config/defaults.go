package config

// Inherited is a section of defaults. It holds nothing itself: what it says is
// put into the sections that inherit it before they are read.
type Inherited struct{}

// inherit gives every network and node of the projects what their section
// leaves out and the project's networkDefaults, integrity or upstreamDefaults say.
func inherit(root *node, s schema) {
	projects := root.get("projects")
	if projects == nil || projects.form != list {
		return
	}
	for _, project := range projects.items {
		if project.form != section {
			continue
		}
		project.setItems("networks", networkDefaults(project, s), "Network", s)
		project.setItems("upstreams", project.get("upstreamDefaults"), "Upstream", s)
	}
}

// networkDefaults is what networks inherit: the section of that name, and the
// project's integrity.
func networkDefaults(project *node, s schema) *node {
	base, integrity := project.get("networkDefaults"), project.get("integrity")
	if integrity == nil {
		return base
	}
	if base == nil {
		base = &node{}
	}
	return inherited(base, &node{form: section, fields: []field{{key: "integrity", at: integrity.at, value: integrity}}}, "Network", s)
}

// setItems lets each item of a list inherit. The project's own fields are
// replaced, not changed: an alias may share what they hold.
func (n *node) setItems(key string, base *node, blockName string, s schema) {
	if base == nil {
		return
	}
	fields := make([]field, len(n.fields))
	for i, f := range n.fields {
		if f.key == key && f.value.form == list {
			items := *f.value
			items.items = make([]*node, len(f.value.items))
			for j, item := range f.value.items {
				items.items[j] = inherited(item, base, blockName, s)
			}
			f.value = &items
		}
		fields[i] = f
	}
	n.fields = fields
}

// inherited is a section with what it leaves out taken from another one, and so
// on in the sections below it. Lists and single values are taken whole or not
// at all; so is a rule that stands alone for a list.
func inherited(own, base *node, blockName string, s schema) *node {
	if own.form == empty {
		return base
	}
	if own.form != section || base.form != section {
		return own
	}
	out := *own
	out.fields = append([]field(nil), own.fields...)
	for _, f := range base.fields {
		i := out.index(f.key)
		if i < 0 {
			out.fields = append(out.fields, f)
			continue
		}
		k, _ := s.find(blockName, f.key)
		if !k.kind.list || out.fields[i].value.form == empty {
			out.fields[i].value = inherited(out.fields[i].value, f.value, k.kind.base, s)
		}
	}
	return &out
}

func (n *node) index(key string) int {
	for i, f := range n.fields {
		if f.key == key {
			return i
		}
	}
	return -1
}

// get is what stands at a key of a section, or nil.
func (n *node) get(key string) *node {
	if i := n.index(key); i >= 0 {
		return n.fields[i].value
	}
	return nil
}
