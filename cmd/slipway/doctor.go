package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/slipwayhq/slipway/internal/deploy"
	"github.com/slipwayhq/slipway/internal/secret"
)

type doctorCmd struct {
	releaseFlags

	SignerTokenFile string `help:"File with a token for the signer's API, if it asks for one." placeholder:"FILE"`
}

func (c *doctorCmd) run(ctx context.Context, stdout io.Writer) error {
	token, err := readToken(c.SignerTokenFile)
	if err != nil {
		return err
	}
	cluster, err := c.connect(ctx)
	if err != nil {
		return err
	}
	findings, err := cluster.Doctor(ctx, deploy.Examination{Release: c.Release, SignerToken: token})
	if err != nil {
		return err
	}
	if err := c.show(stdout, findings, func(w io.Writer) { printFindings(w, findings) }); err != nil {
		return err
	}
	if deploy.Worst(findings) == deploy.Broken {
		return exitError{fmt.Errorf("something is broken in release %s", c.Release), exitDiffers}
	}
	return nil
}

func readToken(path string) (secret.String, error) {
	if path == "" {
		return secret.String{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return secret.String{}, fmt.Errorf("token of the signer: %w", err)
	}
	return secret.New(strings.TrimSpace(string(text))), nil
}

func printFindings(w io.Writer, findings []deploy.Finding) {
	for _, one := range findings {
		fmt.Fprintf(w, "%-8s %-9s %s\n", one.Severity, one.Check, one.What)
		if one.Next != "" {
			fmt.Fprintf(w, "%18s → %s\n", "", one.Next)
		}
	}
}

type bundleCmd struct {
	releaseFlags

	To              string `help:"File to write. Default: slipway-support-NAMESPACE.tar.gz." placeholder:"FILE"`
	SignerTokenFile string `help:"File with a token for the signer's API, if it asks for one." placeholder:"FILE"`
}

func (c *bundleCmd) run(ctx context.Context, stdout io.Writer) error {
	token, err := readToken(c.SignerTokenFile)
	if err != nil {
		return err
	}
	cluster, err := c.connect(ctx)
	if err != nil {
		return err
	}
	path := cmp.Or(c.To, "slipway-support-"+c.Namespace+".tar.gz")
	// What no redaction can know may still be in it: it is for its owner first.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	err = cluster.SupportBundle(ctx, deploy.Examination{Release: c.Release, SignerToken: token}, file)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	fmt.Fprintf(stdout, "%s has objects, events, logs and findings. Values of Secrets are taken out; look through it before you give it away.\n", path)
	return nil
}
