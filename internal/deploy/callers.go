package deploy

import (
	"fmt"
	"slices"

	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// exposing are the kinds of objects by which a component is reached from outside.
// The chart names each after the component.
func exposing() []string { return []string{"Ingress", "HTTPRoute", "Route", "VirtualService"} }

// callerNotes tell who may reach, beyond the pods of the release, a signer that
// knows callers by their address.
func callerNotes(objects []Object) ([]string, error) {
	var open bool
	var service string
	for _, o := range objects {
		var err error
		switch {
		case o.Name == "signer" && o.Kind == "ConfigMap":
			open, err = letsNetworksIn(o)
		case o.Name == "signer" && o.Kind == "Service":
			service, err = serviceType(o)
		}
		if err != nil {
			return nil, err
		}
	}
	if !open {
		return nil, nil
	}
	has := func(name string, kinds ...string) bool {
		return slices.ContainsFunc(objects, func(o Object) bool { return o.Name == name && slices.Contains(kinds, o.Kind) })
	}
	var out []string
	if !has("signer", "NetworkPolicy") {
		out = append(out, "the signer takes transactions without a key from every private address, and no NetworkPolicy keeps other pods of the cluster away")
	}
	if has("signer", exposing()...) {
		out = append(out, "the signer takes transactions without a key from every private address, and is exposed: what reaches it through a proxy that adds no X-Forwarded-For counts as private")
	}
	if service != "" && service != string(core.ServiceTypeClusterIP) {
		out = append(out, fmt.Sprintf("the signer takes transactions without a key from every private address, and its Service is a %s: machines hand its callers on under their own address", service))
	}
	if has("portal", exposing()...) {
		out = append(out, "Portal is exposed, asks nobody who they are, and the signer takes transactions from it without a key: who reaches it sends transactions")
	}
	return out, nil
}

// letsNetworksIn says whether a signer's file has networks whose callers need no key.
func letsNetworksIn(configMap Object) (bool, error) {
	var read core.ConfigMap
	if err := yaml.Unmarshal([]byte(configMap.Text), &read); err != nil {
		return false, fmt.Errorf("read ConfigMap %s: %w", configMap.Name, err)
	}
	var file struct {
		Access struct {
			Networks []any `json:"networks"`
		} `json:"access"`
	}
	if err := yaml.Unmarshal([]byte(read.Data["signer.yaml"]), &file); err != nil {
		return false, fmt.Errorf("read signer.yaml in ConfigMap %s: %w", configMap.Name, err)
	}
	return len(file.Access.Networks) > 0, nil
}

func serviceType(o Object) (string, error) {
	var read core.Service
	if err := yaml.Unmarshal([]byte(o.Text), &read); err != nil {
		return "", fmt.Errorf("read Service %s: %w", o.Name, err)
	}
	return string(read.Spec.Type), nil
}

// nextForCallers is what to do about each of them.
const nextForCallers = "set signer.networks.cidrs to [] and give callers keys (`signer keys create`), or keep who is not meant to away"

func judgeCallers(f facts) []Finding {
	var out []Finding
	for _, note := range f.callers {
		out = append(out, Finding{Severity: Warning, What: note, Next: nextForCallers})
	}
	return out
}
