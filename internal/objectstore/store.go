// Package objectstore keeps files in a store with the API of S3. What it puts
// there it reads back, byte by byte, before it says that it is there; what it
// fetches is compared with what was put. A key is taken from wherever the SDK
// finds one: variables, a profile, or the role that a cloud gives to the
// account of a pod.
package objectstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/slipwayhq/slipway/internal/secret"
)

// Config says where the store is. What is empty is what the SDK finds:
// AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_CA_BUNDLE and so on,
// and then its shared files.
type Config struct {
	// Endpoint is an http or https URL.
	Endpoint string
	// Region is part of every signature, whether or not the store has regions.
	Region string
	// AccessKey and SecretKey are given together.
	AccessKey string
	SecretKey secret.String
	// CA are the certificates to trust, PEM, in place of the system's.
	CA []byte

	// Bucket must be there already.
	Bucket string
	// Prefix is a folder in it, "" being the bucket itself. Only what is directly
	// in it is seen.
	Prefix string
	// PathStyle puts the bucket into the path of URLs, and not into the host.
	PathStyle bool
	// Attempts at a request, the first included. 0 is 6: with the pauses between
	// them, which grow to 20 seconds, they take about half a minute.
	Attempts int
}

const (
	defaultAttempts = 6
	maxPause        = 20 * time.Second
	// answerTimeout is for the headers of an answer, once all is sent. Putting
	// parts together takes servers longest.
	answerTimeout = 2 * time.Minute
	// connectTimeout is for a connection, and for TLS again.
	connectTimeout = 10 * time.Second
	// defaultRegion is what servers without regions take.
	defaultRegion = "us-east-1"
)

// Store is a folder of a bucket.
type Store struct {
	client   *s3.Client
	bucket   string
	prefix   string // ends with a slash, if there is one
	region   string
	partSize int64
}

// Open asks nobody, but for credentials where a cloud gives them.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Bucket == "" {
		return nil, errors.New("the bucket is not named: --bucket")
	}
	if (cfg.AccessKey == "") != cfg.SecretKey.IsEmpty() {
		return nil, errors.New("an access key and its secret key go together")
	}
	loaded, err := config.LoadDefaultConfig(ctx, cfg.options()...)
	if err != nil {
		return nil, fmt.Errorf("settings of the object store: %w", err)
	}
	if loaded.Region == "" {
		loaded.Region = defaultRegion
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.UsePathStyle = cfg.PathStyle
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		// Checksums that are sent after the body are not for everybody who speaks
		// S3. Ours covers the whole way, there and back.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.APIOptions = append(o.APIOptions, unsignedEncoding)
	})
	if err := checkEndpoint(client.Options().BaseEndpoint); err != nil {
		return nil, err
	}
	prefix := strings.Trim(path.Clean("/"+cfg.Prefix), "/")
	if prefix != "" {
		prefix += "/"
	}
	return &Store{client: client, bucket: cfg.Bucket, prefix: prefix, region: loaded.Region, partSize: defaultPartSize}, nil
}

func (c Config) options() []func(*config.LoadOptions) error {
	out := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff = cmp.Or(c.Attempts, defaultAttempts), maxPause
			})
		}),
		config.WithHTTPClient(awshttp.NewBuildableClient().
			WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
			WithTransportOptions(func(t *http.Transport) {
				t.TLSHandshakeTimeout, t.ResponseHeaderTimeout = connectTimeout, answerTimeout
			})),
	}
	if c.Region != "" {
		out = append(out, config.WithRegion(c.Region))
	}
	if c.AccessKey != "" {
		out = append(out, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey.Reveal(), "")))
	}
	if len(c.CA) > 0 {
		out = append(out, config.WithCustomCABundle(bytes.NewReader(c.CA)))
	}
	return out
}

// checkEndpoint refuses what would show a password in every message.
func checkEndpoint(endpoint *string) error {
	if endpoint == nil {
		return nil
	}
	u, err := url.Parse(*endpoint)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("AWS_ENDPOINT_URL_S3: must be an http or https URL without user, such as https://s3.example.org")
	}
	return nil
}

// EnsureBucket makes the bucket unless it is there.
func (s *Store) EnsureBucket(ctx context.Context) error {
	input := &s3.CreateBucketInput{Bucket: &s.bucket}
	if s.region != defaultRegion {
		input.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(s.region)}
	}
	_, err := s.client.CreateBucket(ctx, input)
	if err == nil || isThere(err) {
		return nil
	}
	return s.explain("make the bucket", err)
}

func (s *Store) key(name string) *string { return aws.String(s.prefix + name) }
