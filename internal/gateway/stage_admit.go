package gateway

import (
	"context"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// admitStage ends what may not pass: methods that the gateway refuses on
// principle, and the namespaces of operators. It also finds the method's row.
type admitStage struct {
	catalogue *methods.Catalogue
	denied    map[string]bool // namespaces
}

func newAdmitStage(catalogue *methods.Catalogue, namespaces []string) *admitStage {
	s := &admitStage{catalogue: catalogue, denied: map[string]bool{}}
	for _, n := range namespaces {
		s.denied[n] = true
	}
	return s
}

func (s *admitStage) Wrap(next Handler) Handler {
	return func(ctx context.Context, call *Call) (*Result, error) {
		call.Facts.Method = s.catalogue.Find(call.Method)
		if s.denied[methods.Namespace(call.Method)] {
			return nil, &DeniedError{Reason: "the namespace " + methods.Namespace(call.Method) + " is closed at this gateway"}
		}
		if call.Facts.Method.Kind == methods.Refused {
			return nil, &DeniedError{Reason: call.Facts.Method.Hint}
		}
		return next(ctx, call)
	}
}

// DeniedError says that a method may not pass, and why.
type DeniedError struct{ Reason string }

// Error implements error.
func (e *DeniedError) Error() string { return "method not allowed: " + e.Reason }

// wire is the error as the client sees it: for clients, a method that may not
// be called is one that is not there.
func (e *DeniedError) wire() *jsonrpc.Error {
	return jsonrpc.NewError(jsonrpc.CodeMethodNotFound, e.Error())
}
