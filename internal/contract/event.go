package contract

import (
	"reflect"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// event is something a contract logs. Its indexed parameters stand in topics, the
// others in the data.
type event struct {
	Method
}

// topic is the first topic of its logs.
func (e event) topic() common.Hash { return crypto.Keccak256Hash([]byte(e.Signature())) }

// layout says which parameters are indexed; the signature does not.
func (e event) layout() (indexed int, places string) {
	var out strings.Builder
	for _, p := range e.parameters {
		if p.Indexed {
			indexed++
			out.WriteByte('i')
		} else {
			out.WriteByte('d')
		}
	}
	return indexed, out.String()
}

// addEvent keeps an event that logs can be decoded with. Others are no reason to
// refuse an ABI: nothing is encoded with them. Anonymous ones cannot be recognised.
func (a *ABI) addEvent(f fragment) {
	name, rest := word(f.Name)
	args, err := arguments(f.Inputs)
	values, arrays := extent(f.Inputs)
	// Lists in lists are left out: see isDecodable; of logs there can be many.
	if err != nil || name == "" || rest != "" || f.Anonymous || values > 64 || arrays > 1 {
		return
	}
	a.events = append(a.events, event{Method{name: f.Name, parameters: f.Inputs, arguments: args}})
}

// Events lists the events as signatures with the names of parameters, to be kept
// with a transaction. Parse reads them again.
func (a ABI) Events() []string {
	out := make([]string, len(a.events))
	for i, e := range a.events {
		out[i] = "event " + e.name + named(e.parameters)
	}
	return out
}

// Log is what a contract logged.
type Log struct {
	Name      string `json:"name"`
	Signature string `json:"signature"`
	// Arguments are in the order of the declaration.
	Arguments []LogArgument `json:"arguments"`
}

// LogArgument is a decoded argument of an event.
type LogArgument struct {
	Value
	Indexed bool `json:"indexed"`
	// IsHash says that Value is the Keccak-256 hash of the argument, which is all that
	// a topic has of texts, bytes, lists and tuples.
	IsHash bool `json:"isHash,omitempty"`
}

// maxLogData bounds the data of a log that is decoded.
const maxLogData = 4 << 10

// Logged decodes a log. It is nil for one that no event explains, or that two
// explain in different ways.
func (a ABI) Logged(topics []common.Hash, data []byte) *Log {
	if len(topics) == 0 || len(data) > maxLogData {
		return nil
	}
	var found *Log
	var foundPlaces string
	for _, e := range a.events {
		indexed, places := e.layout()
		if e.topic() != topics[0] || indexed != len(topics)-1 || found != nil && places == foundPlaces {
			continue
		}
		args, ok := e.decode(topics[1:], data)
		if !ok {
			continue
		}
		if found != nil {
			return nil
		}
		found, foundPlaces = &Log{e.name, e.Signature(), args}, places
	}
	return found
}

func (e event) decode(topics []common.Hash, data []byte) ([]LogArgument, bool) {
	var inData abi.Arguments
	for i, p := range e.parameters {
		if !p.Indexed {
			inData = append(inData, e.arguments[i])
		}
	}
	if len(inData) == 0 && len(data) > 0 {
		return nil, false
	}
	values, err := inData.Unpack(data)
	if err != nil || len(values) != len(inData) {
		return nil, false
	}
	out := make([]LogArgument, len(e.parameters)) // a list also where it is empty
	for i, p := range e.parameters {
		arg := LogArgument{Value: Value{Name: p.Name, Type: p.canonical()}, Indexed: p.Indexed}
		switch t := e.arguments[i]; {
		case !p.Indexed:
			arg.Value.Value, values = show(reflect.ValueOf(values[0]), t.Type), values[1:]
		case isHashed(t.Type):
			arg.Value.Value, arg.IsHash, topics = topics[0].Hex(), true, topics[1:]
		default:
			one, err := abi.Arguments{t}.Unpack(topics[0][:])
			if err != nil || len(one) != 1 {
				return nil, false
			}
			arg.Value.Value, topics = show(reflect.ValueOf(one[0]), t.Type), topics[1:]
		}
		out[i] = arg
	}
	return out, true
}

// isHashed says whether a topic holds the hash of such a value, not the value.
func isHashed(t abi.Type) bool {
	switch t.T {
	case abi.StringTy, abi.BytesTy, abi.SliceTy, abi.ArrayTy, abi.TupleTy:
		return true
	default:
		return false
	}
}
