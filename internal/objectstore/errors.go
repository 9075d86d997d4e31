package objectstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// explain says what was being done, what the store or the way there answered,
// and what to look at. What the SDK says around it is of use to nobody.
func (s *Store) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	if next := s.next(err); next != "" {
		return fmt.Errorf("%s: %w; %s", doing, short(err), next)
	}
	return fmt.Errorf("%s: %w", doing, short(err))
}

// short takes the inmost error that still says something.
func short(err error) error {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return &refusal{answer}
	}
	var way *net.OpError
	if errors.As(err, &way) {
		return way
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return certificate
	}
	return err
}

// refusal is an answer of the store's.
type refusal struct{ smithy.APIError }

func (r *refusal) Error() string {
	if r.ErrorMessage() == "" {
		return r.ErrorCode()
	}
	return r.ErrorCode() + ": " + r.ErrorMessage()
}

func (r *refusal) Unwrap() error { return r.APIError }

func (s *Store) next(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return s.nextAfter(answer.ErrorCode())
	}
	var certificate *tls.CertificateVerificationError
	var way *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &certificate):
		return "the store's certificates are named by AWS_CA_BUNDLE"
	case errors.As(err, &dns), errors.As(err, &way):
		return "the store's address is AWS_ENDPOINT_URL_S3, and what may be reached is said by NetworkPolicies"
	case errors.Is(err, context.DeadlineExceeded):
		return "give it more time with --timeout"
	case strings.Contains(err.Error(), "get identity: "): // the SDK has no type for it
		return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the account a role"
	}
	return ""
}

// nextAfter knows the codes of S3.
func (s *Store) nextAfter(code string) string {
	switch code {
	case "NoSuchBucket":
		return "make the bucket " + s.bucket + ", or name another one"
	case "NoSuchKey":
		return "`slipway backup list` tells what is there"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "XAdminUserNotFound": // the last one is versitygw's
		return "the store does not take this key: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	case "AccessDenied", "Forbidden", "AllAccessDisabled":
		return "the key or role needs s3:ListBucket of the bucket " + s.bucket + ", and s3:GetObject, s3:PutObject, s3:AbortMultipartUpload and s3:DeleteObject of what is in it"
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException":
		return "the region is AWS_REGION, and that of the bucket may be another one"
	}
	return ""
}

// isThere says whether a bucket could not be made because it is there.
func isThere(err error) bool {
	var mine *types.BucketAlreadyOwnedByYou
	var exists *types.BucketAlreadyExists
	return errors.As(err, &mine) || errors.As(err, &exists)
}
