package objectstore

import (
	"os"
	"testing"

	"github.com/slipwayhq/slipway/internal/objectstore/s3test"
)

var server s3test.Builder //nolint:gochecknoglobals // the tests of a binary share what was built

// TestMain keeps the settings of whoever runs the tests out of them.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "", "AWS_REGION": "",
		"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_ACCESS_KEY_ID": "", "AWS_CA_BUNDLE": "", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
