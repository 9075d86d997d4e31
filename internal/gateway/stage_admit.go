package gateway

import (
	"context"
	"strings"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// admitStage ends what may not pass: methods that the gateway refuses on
// principle, those that the project or the client may not call, and the
// namespaces of operators. It also finds the method's row.
type admitStage struct {
	catalogue *methods.Catalogue
	filter    auth.MethodFilter
	closed    map[string]bool // namespaces
}

func newAdmitStage(catalogue *methods.Catalogue, project ProjectConfig) (*admitStage, error) {
	s := &admitStage{catalogue: catalogue, closed: map[string]bool{}}
	for _, namespace := range project.DeniedNamespaces {
		if !opens(project.AllowMethods, namespace) {
			s.closed[namespace] = true
		}
	}
	var err error
	s.filter, err = auth.NewMethodFilter(project.AllowMethods, project.IgnoreMethods)
	return s, err //nolint:wrapcheck // names the setting
}

// opens says whether the patterns name a namespace, as debug_* does, or a method
// in it. That of all methods, "*", opens none: nobody means admin_* by it.
func opens(patterns []string, namespace string) bool {
	for _, pattern := range patterns {
		for glob := range strings.SplitSeq(pattern, "|") {
			if strings.HasPrefix(strings.TrimSpace(glob), namespace+"_") {
				return true
			}
		}
	}
	return false
}

func (s *admitStage) Wrap(next Handler) Handler {
	return func(ctx context.Context, call *Call) (*Result, error) {
		call.Facts.Method = s.catalogue.Find(call.Method)
		switch {
		case s.closed[methods.Namespace(call.Method)]:
			return nil, &DeniedError{Reason: "the namespace " + methods.Namespace(call.Method) + " is closed at this gateway"}
		case call.Facts.Method.Kind == methods.Refused:
			return nil, &DeniedError{Reason: call.Facts.Method.Hint}
		case !s.filter.Permits(call.Method):
			return nil, &DeniedError{Reason: "it is not served here"}
		case !call.Client.permits(call.Method):
			return nil, &DeniedError{Reason: "these credentials do not permit it"}
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
