package gateway

import (
	"context"
	"strconv"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/subscriptions"
)

// subscriber is what the calls of one message may do with the connection's
// subscriptions. They do it one after the other.
type subscriber struct {
	client *subscriptions.Client
	begun  int // subscriptions whose answer is not written yet
}

// announced is to be called when the answer is written: from then on the
// client knows the ids of what it is told.
func (s *subscriber) announced() {
	for ; s.begun > 0; s.begun-- {
		s.client.Announced()
	}
}

// subscribeStage begins and ends subscriptions.
type subscribeStage struct{}

// Wrap implements Stage.
func (subscribeStage) Wrap(next Handler) Handler {
	return func(ctx context.Context, call *Call) (*Result, error) {
		if call.Facts.Method.Kind != methods.Subscription {
			return next(ctx, call)
		}
		if call.Subscriber == nil {
			return nil, &DeniedError{Reason: call.Facts.Method.Hint}
		}
		if call.Method == "eth_unsubscribe" {
			return unsubscribe(call)
		}
		id, err := call.Subscriber.client.Subscribe(ctx, call.Params)
		if err != nil {
			return nil, err
		}
		call.Subscriber.begun++
		return &Result{Value: strconv.AppendQuote(nil, id), Source: FromGateway}, nil
	}
}

// unsubscribe answers as nodes do: true, or an error for an id that is not known.
func unsubscribe(call *Call) (*Result, error) {
	id, ok := methods.FirstString(call.Params)
	if !ok || !call.Subscriber.client.Unsubscribe(id) {
		return nil, jsonrpc.NewError(jsonrpc.CodeInvalidParams, "there is no such subscription")
	}
	return &Result{Value: []byte("true"), Source: FromGateway}, nil
}
