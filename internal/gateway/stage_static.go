package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// StaticResponse is an answer that is the same for ever, given without a node.
type StaticResponse struct {
	Method string
	// Params is the JSON array with which the method must be called; nil is none.
	Params []byte
	// Result is a JSON value; Error is answered where it is not nil.
	Result []byte
	Error  *jsonrpc.Error
}

func (r StaticResponse) validate() error {
	switch {
	case r.Method == "":
		return errors.New("static response: a method is needed")
	case r.Params != nil && !jsonrpc.Valid(r.Params):
		return fmt.Errorf("static response to %s: the parameters are no JSON", r.Method)
	case (r.Result == nil) == (r.Error == nil):
		return fmt.Errorf("static response to %s: a result or an error is needed", r.Method)
	case r.Result != nil && !jsonrpc.Valid(r.Result):
		return fmt.Errorf("static response to %s: the result is no JSON", r.Method)
	default:
		return nil
	}
}

// staticStage answers what the operator has fixed. Calls with the same meaning,
// up to white space and the case of hex digits, have the same answer.
type staticStage struct {
	answers map[cache.Key]*Result
	methods map[string]bool
}

func newStaticStage(list []StaticResponse) *staticStage {
	s := &staticStage{answers: map[cache.Key]*Result{}, methods: map[string]bool{}}
	for _, r := range list {
		result := &Result{Value: r.Result, Source: FromGateway}
		if r.Error != nil {
			text, err := json.Marshal(r.Error)
			if err != nil {
				continue // validate has seen the data, which alone could fail
			}
			result = &Result{Error: text, Source: FromGateway}
		}
		s.methods[r.Method] = true
		s.answers[staticKey(r.Method, r.Params)] = result
	}
	return s
}

func staticKey(method string, params []byte) cache.Key {
	if params == nil {
		params = []byte("[]")
	}
	return cache.NewKey("", 0, "", method, params)
}

func (s *staticStage) Wrap(next Handler) Handler {
	if len(s.methods) == 0 {
		return next
	}
	return func(ctx context.Context, call *Call) (*Result, error) {
		if s.methods[call.Method] {
			if result := s.answers[staticKey(call.Method, call.Params)]; result != nil {
				return result, nil
			}
		}
		return next(ctx, call)
	}
}
