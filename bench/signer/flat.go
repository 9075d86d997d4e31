package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/bench/internal/proc"
)

// flatEvery is how often a long run shows its memory.
const flatEvery = 10 * time.Second

// flatLimit bounds a long run: runLimit, and what it takes at half the speed aimed at.
func flatLimit(transactions int) time.Duration {
	return runLimit + time.Duration(transactions)*2*time.Millisecond
}

// startShowing begins showMemory; what it returns ends it and waits for it.
func (s *stack) startShowing(ctx context.Context, out io.Writer) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.showMemory(ctx, out)
	}()
	return func() {
		cancel()
		<-done
	}
}

// showMemory prints how much memory the signer takes while the transactions of a
// run get finished, and at the end the sizes of the tables. It ends with ctx.
func (s *stack) showMemory(ctx context.Context, out io.Writer) {
	const columns = "%9s %9s %11s %10s %10s\n"
	fmt.Fprintf(out, columns, "second", "finished", "finished/s", "signer MB", "tables MB")
	ticker := time.NewTicker(flatEvery)
	defer ticker.Stop()
	started, last := time.Now(), progress{}
	for isOver := false; !isOver; {
		select {
		case <-ctx.Done():
			isOver = true
		case <-ticker.C:
		}
		p, err := readProgress(context.WithoutCancel(ctx), s.postgres.server.DSN().Reveal())
		if err != nil {
			fmt.Fprintln(out, err)
			continue
		}
		rate := "-"
		if !isOver {
			rate = fmt.Sprintf("%.0f", float64(p.finished-last.finished)/flatEvery.Seconds())
		}
		var size int64
		for _, t := range p.tables {
			size += t.Bytes
		}
		fmt.Fprintf(out, columns, fmt.Sprintf("%.0f", time.Since(started).Seconds()), fmt.Sprint(p.finished), rate, megabytes(proc.RSS(s.signer.PID())), megabytes(size))
		last = p
	}
	fmt.Fprintln(out, last.sizes())
}

// sizes says in one line what the tables take, for each finished transaction.
func (p progress) sizes() string {
	var parts []string
	for _, t := range p.tables {
		parts = append(parts, fmt.Sprintf("%s %d", t.Name, t.Bytes/max(1, p.finished)))
	}
	return "bytes on the disk for each transaction, indexes included: " + strings.Join(parts, ", ")
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.0f", float64(bytes)/(1<<20)) }
