package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/deploy"
)

type copySelfCmd struct {
	To string `arg:"" help:"Where this program is written to." placeholder:"FILE"`
}

// run makes a copy that runs in any image: the program needs no library.
func (c *copySelfCmd) run() (err error) {
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	from, err := os.Open(own)
	if err != nil {
		return fmt.Errorf("read this program: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	const executable = 0o755
	to, err := os.OpenFile(c.To, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, executable)
	if err != nil {
		return fmt.Errorf("write the copy: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if _, err := io.Copy(to, from); err != nil {
		return fmt.Errorf("write the copy: %w", err)
	}
	return nil
}

type idleCmd struct{}

// run does nothing until it is ended.
func (*idleCmd) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

type snapshotCmd struct {
	releaseFlags

	Class string `help:"VolumeSnapshotClass. Default: that of the volumes' driver." placeholder:"NAME"`
	Keep  int    `default:"7" help:"How many usable snapshots of each volume are kept."`
}

func (c *snapshotCmd) run(ctx context.Context, stdout io.Writer) error {
	if c.Keep < 1 {
		return errors.New("--keep: must be at least 1")
	}
	cluster, err := c.connect(ctx)
	if err != nil {
		return err
	}
	report, err := cluster.Snapshot(ctx, deploy.SnapshotRequest{Release: c.Release, Class: c.Class, Keep: c.Keep})
	shown := c.show(stdout, report, func(w io.Writer) {
		fmt.Fprintf(w, "Asked for %d snapshots: %s.\n", len(report.Made), strings.Join(report.Made, ", "))
		if len(report.Deleted) > 0 {
			fmt.Fprintf(w, "Deleted %d: %s.\n", len(report.Deleted), strings.Join(report.Deleted, ", "))
		}
	})
	return errors.Join(err, shown)
}

type rollCmd struct {
	releaseFlags

	Timeout time.Duration `default:"15m" help:"How long to wait until all are taken."`
}

func (c *rollCmd) run(ctx context.Context, stdout, stderr io.Writer) error {
	cluster, err := c.connect(ctx)
	if err != nil {
		return err
	}
	if err := cluster.Roll(ctx, c.Release, c.Timeout, c.tell(stderr)); err != nil {
		return err
	}
	return c.show(stdout, map[string]string{"release": c.Release, "namespace": c.Namespace}, func(w io.Writer) {
		fmt.Fprintf(w, "All validators of release %s in namespace %s are of their newest template.\n", c.Release, c.Namespace)
	})
}
