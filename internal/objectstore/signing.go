package objectstore

import (
	"context"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const acceptEncoding = "Accept-Encoding"

// unsignedEncoding keeps Accept-Encoding out of signatures. The SDK signs it, and
// proxies in front of stores, Google's among them, change it on the way.
func unsignedEncoding(stack *middleware.Stack) error {
	var value string
	take := middleware.FinalizeMiddlewareFunc("TakeAcceptEncoding", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if request, ok := in.Request.(*smithyhttp.Request); ok {
			value = request.Header.Get(acceptEncoding)
			request.Header.Del(acceptEncoding)
		}
		return next.HandleFinalize(ctx, in)
	})
	giveBack := middleware.FinalizeMiddlewareFunc("GiveBackAcceptEncoding", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if request, ok := in.Request.(*smithyhttp.Request); ok && value != "" {
			request.Header.Set(acceptEncoding, value)
		}
		return next.HandleFinalize(ctx, in)
	})
	if err := stack.Finalize.Insert(take, "Signing", middleware.Before); err != nil {
		return err
	}
	return stack.Finalize.Insert(giveBack, "Signing", middleware.After)
}
