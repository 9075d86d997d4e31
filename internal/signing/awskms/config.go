package awskms

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Config describes one key in AWS KMS and the way to it. Credentials come from
// the SDK's default chain: environment, shared files, web identity (IRSA), pod
// identity, instance metadata.
type Config struct {
	// KeyID is the key: its id, its ARN, or an alias such as alias/signer. An
	// alias is looked up at the start; the key it names then stays in use.
	KeyID string `yaml:"keyId"`
	// Region is the AWS region. Empty means that of the environment (AWS_REGION)
	// or of the shared configuration.
	Region string `yaml:"region"`
	// Endpoint replaces the region's address, for a VPC endpoint.
	Endpoint string `yaml:"endpoint"`
	// Profile is a profile of the shared configuration files.
	Profile string `yaml:"profile"`
	// RoleARN is a role to assume with the credentials found.
	RoleARN string `yaml:"roleArn"`
	// ExternalID is sent with roleArn where the role asks for it.
	ExternalID string `yaml:"externalId"`
	// FIPS uses the region's FIPS 140 endpoint.
	FIPS bool `yaml:"fips"`
	// Timeout bounds one signature with its retries. Default: 10s.
	Timeout time.Duration `yaml:"timeout"`
}

// defaultTimeout bounds a signature; in its own region KMS takes 5 to 20 ms.
const defaultTimeout = 10 * time.Second

// Validate reports all problems at once; it calls nobody.
func (c Config) Validate() error {
	if c.KeyID == "" {
		return errors.Join(errors.New("keyId: is missing"), c.ValidateAccount())
	}
	return c.ValidateAccount()
}

// ValidateAccount is Validate where no key is named.
func (c Config) ValidateAccount() error {
	var errs []error
	if c.ExternalID != "" && c.RoleARN == "" {
		errs = append(errs, errors.New("externalId: goes with roleArn only"))
	}
	if c.Endpoint != "" {
		if u, err := url.Parse(c.Endpoint); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil {
			errs = append(errs, errors.New("endpoint: must be an http or https URL without user"))
		}
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("timeout: %s is negative", c.Timeout))
	}
	return errors.Join(errs...)
}

// account is what keys have in common that share a quota, and so a client.
func (c Config) account() Config {
	c.KeyID, c.Timeout = "", 0
	return c
}
