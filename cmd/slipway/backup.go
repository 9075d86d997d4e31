package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/slipwayhq/slipway/internal/objectstore"
)

// backupCmd is about copies in a store with the API of S3. Its address and key
// are where every program for S3 looks for them.
type backupCmd struct {
	Push   backupPushCmd   `cmd:"" help:"Put a copy there, and read it back."`
	List   backupListCmd   `cmd:"" help:"Print what is there."`
	Verify backupVerifyCmd `cmd:"" help:"Read a copy, and compare it with what was put."`
	Fetch  backupFetchCmd  `cmd:"" help:"Bring a copy back, and compare it with what was put."`
}

func (c *backupCmd) do(ctx context.Context, command string, stdout io.Writer) error {
	switch verb := strings.Fields(command)[1]; verb {
	case "push":
		return c.Push.run(ctx, stdout)
	case "list":
		return c.List.run(ctx, stdout)
	case "verify":
		return c.Verify.run(ctx, stdout)
	default:
		return c.Fetch.run(ctx, stdout)
	}
}

// bucketFlags say where copies are. The rest stands in the variables of the AWS
// SDK: AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY, AWS_CA_BUNDLE, AWS_PROFILE.
type bucketFlags struct {
	Bucket    string        `required:"" help:"The bucket. Address and key stand in AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_CA_BUNDLE, or in a profile." placeholder:"BUCKET"`
	Prefix    string        `help:"Folder in the bucket, of this installation alone." placeholder:"PREFIX"`
	PathStyle bool          `default:"true" negatable:"" help:"Put the bucket into the path of URLs. With --no-path-style it is part of the host."`
	Timeout   time.Duration `default:"1h" help:"How long everything may take, repetitions included."`
}

// with opens the store, and does something with it in time.
func (b bucketFlags) with(ctx context.Context, do func(context.Context, *objectstore.Store) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.Timeout)
	defer cancel()
	store, err := objectstore.Open(ctx, objectstore.Config{Bucket: b.Bucket, Prefix: b.Prefix, PathStyle: b.PathStyle})
	if err != nil {
		return err
	}
	return do(ctx, store)
}

type backupPushCmd struct {
	bucketFlags

	File       string `arg:"" help:"The copy, or a pattern such as 'signer-*.dump', of which the last one by name is taken."`
	Keep       int    `help:"How many that fit the pattern are left there. 0 removes none." placeholder:"N"`
	MakeBucket bool   `help:"Make the bucket, if it is not there."`
}

func (c *backupPushCmd) run(ctx context.Context, stdout io.Writer) error {
	pattern := filepath.Base(c.File)
	if c.Keep < 0 || (c.Keep > 0 && !strings.ContainsAny(pattern, "*?[")) {
		return errors.New("--keep: goes with a pattern of names, such as 'signer-*.dump', and is not negative")
	}
	file, err := lastFile(c.File)
	if err != nil {
		return err
	}
	return c.with(ctx, func(ctx context.Context, store *objectstore.Store) error {
		if c.MakeBucket {
			if err := store.EnsureBucket(ctx); err != nil {
				return err
			}
		}
		pushed, err := store.Push(ctx, file)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %d bytes are there, and were read back; SHA-256 %s\n", pushed.Name, pushed.Size, pushed.SHA256)
		if c.Keep == 0 {
			return nil
		}
		gone, err := store.Prune(ctx, pattern, c.Keep, pushed.Name)
		for _, one := range gone {
			fmt.Fprintf(stdout, "%s: removed, since %d are kept\n", one.Name, c.Keep)
		}
		if err != nil {
			return fmt.Errorf("the copy is there, and old ones could not be removed: %w", err)
		}
		return nil
	})
}

// lastFile is the last one that fits, by name.
func lastFile(pattern string) (string, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return "", fmt.Errorf("%q is no pattern of names: %w", pattern, err)
	}
	if len(files) == 0 {
		return "", fmt.Errorf("no file fits %s", pattern)
	}
	return slices.Max(files), nil
}

type backupListCmd struct {
	bucketFlags

	Output string `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

func (c *backupListCmd) run(ctx context.Context, stdout io.Writer) error {
	return c.with(ctx, func(ctx context.Context, store *objectstore.Store) error {
		copies, err := store.List(ctx, "")
		if err != nil {
			return err
		}
		return releaseFlags{Output: c.Output}.show(stdout, copies, func(w io.Writer) {
			table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, one := range copies {
				fmt.Fprintf(table, "%s\t%d bytes\t%s\n", one.Name, one.Size, one.Modified.Format(time.RFC3339))
			}
			_ = table.Flush() // as with every print
		})
	})
}

type backupVerifyCmd struct {
	bucketFlags

	Name string `arg:"" help:"Its name, as list prints it."`
}

func (c *backupVerifyCmd) run(ctx context.Context, stdout io.Writer) error {
	return c.with(ctx, func(ctx context.Context, store *objectstore.Store) error {
		found, err := store.Verify(ctx, c.Name)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %d bytes, SHA-256 %s, as it was put\n", found.Name, found.Size, found.SHA256)
		return nil
	})
}

type backupFetchCmd struct {
	bucketFlags

	Name string `arg:"" help:"Its name, as list prints it."`
	To   string `help:"File to write, which must not be there. Default: the name, in this folder." placeholder:"FILE"`
}

func (c *backupFetchCmd) run(ctx context.Context, stdout io.Writer) error {
	to := c.To
	if to == "" {
		to = filepath.Base(c.Name)
	}
	return c.with(ctx, func(ctx context.Context, store *objectstore.Store) error {
		fetched, err := store.Fetch(ctx, c.Name, to)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %d bytes, SHA-256 %s, as it was put\n", to, fetched.Size, fetched.SHA256)
		return nil
	})
}
