package awskms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/slipwayhq/slipway/internal/signing"
)

// Retries of one call, within its timeout.
const (
	maxAttempts = 4
	maxBackoff  = time.Second
)

var errNoRegion = errors.New("no region: set region or AWS_REGION")

// newClient makes a client. In the SDK's adaptive mode a token bucket follows
// what KMS lets through: throttling lowers the rate of all keys of the client,
// success raises it again.
func newClient(ctx context.Context, cfg Config) (*kms.Client, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer {
			return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
				o.StandardOptions = append(o.StandardOptions, func(o *retry.StandardOptions) {
					o.MaxAttempts, o.MaxBackoff = maxAttempts, maxBackoff
				})
			})
		}),
	}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(cfg.Profile))
	}
	if cfg.FIPS {
		options = append(options, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	if loaded.Region == "" {
		return nil, errNoRegion
	}
	if cfg.RoleARN != "" {
		loaded.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(loaded), cfg.RoleARN, func(o *stscreds.AssumeRoleOptions) {
			if cfg.ExternalID != "" {
				o.ExternalID = aws.String(cfg.ExternalID)
			}
		}))
	}
	return kms.NewFromConfig(loaded, func(o *kms.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
	}), nil
}

// permanent are the codes of KMS after which the key will not sign before
// somebody has acted, in words for that person. All others may pass: throttling,
// timeouts, faults, credentials that have expired.
func permanent(code string) string {
	switch code {
	case "DisabledException":
		return "the key is disabled"
	case "KMSInvalidStateException":
		return "the key's state forbids it (its deletion may be pending)"
	case "NotFoundException":
		return "there is no such key in this account and region"
	case "AccessDeniedException":
		return "the IAM or key policy forbids it"
	case "InvalidKeyUsageException":
		return "the key is not for signing, or not with ECDSA_SHA_256"
	case "UnsupportedOperationException":
		return "the key does not support it"
	case "InvalidArnException", "ValidationException":
		return "the key's name is malformed"
	case "AlreadyExistsException":
		return "the alias exists already"
	case "TagException", "InvalidAliasNameException":
		return "the tags or the alias are malformed"
	}
	return ""
}

// classify turns an error of the SDK into one of package signing. ctx is the
// caller's: its end is no fault of KMS.
func classify(ctx context.Context, ref signing.KeyRef, timeout time.Duration, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", ref, context.Cause(ctx))
	}
	var api smithy.APIError
	switch {
	case errors.Is(err, errNoRegion):
		return &signing.PermanentError{Key: ref, Reason: errNoRegion.Error(), Err: err}
	case innermost(err) != kms.ServiceID && innermost(err) != "":
		return &signing.UnavailableError{Key: ref, Reason: "no AWS credentials (" + innermost(err) + " refused or failed)", Err: err}
	case errors.As(err, &api):
		if reason := permanent(api.ErrorCode()); reason != "" {
			return &signing.PermanentError{Key: ref, Reason: reason, Err: err}
		}
		return &signing.UnavailableError{Key: ref, Reason: "KMS answered " + printable(api.ErrorCode()), Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &signing.UnavailableError{Key: ref, Reason: fmt.Sprintf("no result from KMS within %s", timeout), Err: err}
	}
	return &signing.UnavailableError{Key: ref, Reason: "KMS cannot be asked (network or credentials)", Err: err}
}

// innermost is the service that failed: the credentials of a call to KMS may
// come from a call to another service, whose refusal says nothing of the key.
func innermost(err error) string {
	service := ""
	var operation *smithy.OperationError
	for errors.As(err, &operation) {
		service, err = operation.Service(), operation.Err
	}
	return service
}

// printable lets only what looks like an error code into a message.
func printable(code string) string {
	for _, c := range code {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return "an unknown error"
		}
	}
	if code == "" || len(code) > 64 {
		return "an unknown error"
	}
	return code
}
