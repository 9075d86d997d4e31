package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/strictjson"
)

// ABI is what is known of a contract.
type ABI struct {
	methods     []Method
	constructor *Method
	errors      []Method
	events      []event
}

// Method is something that takes arguments: a function, a constructor or an
// error.
type Method struct {
	name       string
	parameters []parameter
	arguments  abi.Arguments
}

// Signature is the canonical form, such as "transfer(address,uint256)".
func (m Method) Signature() string { return m.name + canonical(m.parameters) }

// selector is the first four bytes of calldata or of revert data.
func (m Method) selector() [4]byte { return [4]byte(crypto.Keccak256([]byte(m.Signature()))) }

// fragment is one entry of an ABI in JSON. What else compilers print there
// plays no part in the encoding.
type fragment struct {
	Type   string      `json:"type"`
	Name   string      `json:"name"`
	Inputs []parameter `json:"inputs"`
	// Anonymous events do not log which event they are.
	Anonymous bool `json:"anonymous"`
}

// maxFragments bounds an ABI. The largest contracts have a few hundred.
const maxFragments = 2000

// Parse reads an ABI: a list of fragments, or one of them. A fragment is an
// object as compilers print it, or a text such as "transfer(address,uint256)".
// Its errors are *strictjson.Error with a pointer below at.
func Parse(text json.RawMessage, at string) (ABI, error) {
	if !strings.HasPrefix(strings.TrimSpace(string(text)), "[") {
		var out ABI
		return out, out.add(text, at)
	}
	var list []json.RawMessage
	if json.Unmarshal(text, &list) != nil {
		return ABI{}, &strictjson.Error{Pointer: at, Reason: "must be a list of ABI fragments"}
	}
	if len(list) > maxFragments {
		return ABI{}, &strictjson.Error{Pointer: at, Reason: fmt.Sprintf("has more than %d fragments", maxFragments)}
	}
	var out ABI
	for i, text := range list {
		if err := out.add(text, strictjson.Index(at, i)); err != nil {
			return ABI{}, err
		}
	}
	return out, nil
}

func (a *ABI) add(text json.RawMessage, at string) error {
	f, err := readFragment(text)
	if err == nil {
		err = a.take(f)
	}
	if err != nil {
		return &strictjson.Error{Pointer: at, Reason: err.Error()}
	}
	return nil
}

func readFragment(text json.RawMessage) (fragment, error) {
	var signature string
	if json.Unmarshal(text, &signature) == nil {
		return parseSignature(signature)
	}
	var f fragment
	if err := json.Unmarshal(text, &f); err != nil {
		return f, errors.New("must be an ABI fragment: an object as compilers print it, or a signature")
	}
	if f.Type == "" {
		f.Type = "function" // the specification's default
	}
	return f, nil
}

func (a *ABI) take(f fragment) error {
	if f.Type != "function" && f.Type != "constructor" && f.Type != "error" {
		if f.Type == "event" {
			a.addEvent(f)
			return nil
		}
		if f.Type == "fallback" || f.Type == "receive" {
			return nil
		}
		return fmt.Errorf("unknown type of fragment %q", shorten(f.Type))
	}
	args, err := arguments(f.Inputs)
	if err != nil {
		return err
	}
	m := Method{name: f.Name, parameters: f.Inputs, arguments: args}
	if name, rest := word(f.Name); f.Type != "constructor" && (name == "" || rest != "") {
		return errors.New("the name is missing or is no identifier")
	}
	switch {
	case f.Type == "error":
		if isDecodable(f.Inputs) {
			a.errors = append(a.errors, m)
		}
	case f.Type == "function":
		a.methods = append(a.methods, m)
	case a.constructor != nil:
		return errors.New("there is another constructor already")
	default:
		m.name = ""
		a.constructor = &m
	}
	return nil
}

// isDecodable says whether revert data of an error may be decoded. Offsets in
// hostile data may all point to one place, so that a few bytes stand for lists
// of lists without end.
func isDecodable(list []parameter) bool {
	values, arrays := extent(list)
	return values <= 64 && arrays <= 3
}

// Method finds a function by its name or, where that is not enough, by its
// signature. A signature needs no ABI. Its errors are made for the caller.
func (a ABI) Method(name string) (Method, error) {
	if strings.Contains(name, "(") {
		f, err := parseSignature(name)
		if err != nil {
			return Method{}, err
		}
		args, err := arguments(f.Inputs)
		if err != nil {
			return Method{}, err
		}
		m := Method{name: f.Name, parameters: f.Inputs, arguments: args}
		for _, known := range a.methods { // it may know the names of the parameters
			if known.Signature() == m.Signature() {
				return known, nil
			}
		}
		if len(a.methods) > 0 || f.Type != "function" {
			return Method{}, fmt.Errorf("the ABI has no function %s", shorten(m.Signature()))
		}
		return m, nil
	}
	var found []Method
	names := []string{}
	for _, m := range a.methods {
		names = append(names, m.name)
		if m.name == name {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Method{}, noSuch(name, names)
	default:
		return Method{}, fmt.Errorf("the ABI has %d functions %q: give the signature, such as %q", len(found), shorten(name), shorten(found[0].Signature()))
	}
}

func noSuch(name string, known []string) error {
	if len(known) == 0 {
		return errors.New(`needs an ABI with the function, or must be a signature such as "transfer(address,uint256)"`)
	}
	if near := strictjson.Nearest(name, known); near != "" {
		return fmt.Errorf("the ABI has no function %q; did you mean %q?", shorten(name), shorten(near))
	}
	return fmt.Errorf("the ABI has no function %q", shorten(name))
}

// Only returns the function of an ABI that has no other.
func (a ABI) Only() (Method, bool) {
	if len(a.methods) != 1 {
		return Method{}, false
	}
	return a.methods[0], true
}

// Constructor returns the constructor; without one it takes no arguments.
func (a ABI) Constructor() Method {
	if a.constructor == nil {
		return Method{}
	}
	return *a.constructor
}

// Errors lists the custom errors as signatures with the names of parameters, to
// be kept with a transaction. Parse reads them again.
func (a ABI) Errors() []string {
	out := make([]string, len(a.errors))
	for i, e := range a.errors {
		out[i] = "error " + e.name + named(e.parameters)
	}
	return out
}

// named is a list of parameters with their names.
func named(list []parameter) string {
	parts := make([]string, len(list))
	for i, p := range list {
		base, arrays := p.split()
		if base == "tuple" {
			base = named(p.Components)
		}
		parts[i] = base + arrays
		if p.Indexed {
			parts[i] += " indexed"
		}
		if name, rest := word(p.Name); name != "" && rest == "" && !isKeyword(name) {
			parts[i] += " " + name
		}
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func isKeyword(name string) bool {
	switch name {
	case "indexed", "memory", "calldata", "storage", "payable":
		return true
	default:
		return false
	}
}
