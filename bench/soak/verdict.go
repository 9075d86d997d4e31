package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/bench/internal/figures"
)

// sample is what the gateway holds at one moment.
type sample struct{ rss, heap, goroutines, files float64 }

const mebibyte = 1 << 20

// measure is one column of samples, and how much it may grow by chance.
type measure struct {
	name  string
	of    func(sample) float64
	slack float64
}

func measures() []measure {
	return []measure{
		{"resident memory", func(s sample) float64 { return s.rss / mebibyte }, 16},
		{"heap", func(s sample) float64 { return s.heap / mebibyte }, 16},
		{"goroutines", func(s sample) float64 { return s.goroutines }, 60},
		{"open files", func(s sample) float64 { return s.files }, 40},
	}
}

// maxGrowth is how much more the last quarter may hold than the second; the first
// one warms up.
const maxGrowth = 1.15

// isFlat compares the medians of the second and the last quarter.
func (m measure) isFlat(samples []sample) (early, late float64, isFlat bool) {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = m.of(s)
	}
	quarter := len(values) / 4
	early = figures.Median(slices.Clone(values[quarter : 2*quarter]))
	late = figures.Median(slices.Clone(values[len(values)-quarter:]))
	return early, late, late <= early*maxGrowth+m.slack
}

// maxErrors is the share of calls that may be answered with an error. One node
// is good all the time, but which one changes.
const maxErrors = 0.01

// judge lists everything that speaks against the gateway.
func judge(samples []sample, right, wrong, failed int) []string {
	var out []string
	if wrong > 0 {
		out = append(out, fmt.Sprintf("%d wrong answers", wrong))
	}
	if all := right + wrong + failed; all == 0 || float64(failed) > maxErrors*float64(all) {
		out = append(out, fmt.Sprintf("%d of %d calls failed", failed, all))
	}
	const least = 4 // a sample a quarter
	if len(samples) < least {
		return append(out, fmt.Sprintf("%d samples are too few", len(samples)))
	}
	for _, m := range measures() {
		if early, late, isFlat := m.isFlat(samples); !isFlat {
			out = append(out, fmt.Sprintf("%s grew from %.0f to %.0f", m.name, early, late))
		}
	}
	return out
}

var errVerdict = errors.New("the gateway did not pass")

// conclude prints the verdict; its error is errVerdict when it is a bad one.
func conclude(samples []sample, seen *tally, stdout io.Writer) error {
	right, wrong, failed := seen.counts()
	fmt.Fprintf(stdout, "\n%d right answers, %d wrong, %d errors\n", right, wrong, failed)
	fmt.Fprintf(stdout, "%d events were told to %d subscribers, whose connections ended %d times\n", seen.events, subscribers, seen.breaks)
	for _, kind := range slices.Sorted(maps.Keys(seen.errors)) {
		fmt.Fprintf(stdout, "  error: %s: %d\n", kind, seen.errors[kind])
	}
	for _, text := range seen.wrong {
		fmt.Fprintln(stdout, "  wrong:", text)
	}
	if len(samples) >= 4 {
		for _, m := range measures() {
			early, late, _ := m.isFlat(samples)
			fmt.Fprintf(stdout, "  %s: median of the second quarter %.0f, of the last %.0f\n", m.name, early, late)
		}
	}
	problems := judge(samples, right, wrong, failed)
	if len(problems) > 0 {
		fmt.Fprintln(stdout, "verdict: FAILED:", strings.Join(problems, "; "))
		return errVerdict
	}
	fmt.Fprintln(stdout, "verdict: passed")
	return nil
}

const (
	sampleEvery = 2 * time.Second
	rowEvery    = time.Minute
)

// watch takes samples until ctx ends and prints a row a minute.
func watch(ctx context.Context, url string, seen *tally, stdout io.Writer) ([]sample, error) {
	client := &http.Client{Timeout: sampleEvery, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var out []sample
	began, printed := time.Now(), time.Now()
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	fmt.Fprintf(stdout, "%8s %10s %7s %7s %8s %8s %10s %6s\n", "time", "right", "wrong", "errors", "RSS MiB", "heap MiB", "goroutines", "files")
	misses := 0
	for {
		select {
		case <-ctx.Done():
			return out, nil
		case <-ticker.C:
		}
		s, err := take(ctx, client, url)
		const maxMisses = 5
		if err != nil {
			if misses++; misses > maxMisses && ctx.Err() == nil {
				return out, fmt.Errorf("read the gateway's metrics: %w", err)
			}
			continue
		}
		misses = 0
		out = append(out, s)
		if time.Since(printed) >= rowEvery || len(out) == 1 {
			printed = time.Now()
			right, wrong, failed := seen.counts()
			fmt.Fprintf(stdout, "%8s %10d %7d %7d %8.0f %8.0f %10.0f %6.0f\n", time.Since(began).Truncate(time.Second), right, wrong, failed,
				s.rss/mebibyte, s.heap/mebibyte, s.goroutines, s.files)
		}
	}
}

// take reads one sample off the metrics page.
func take(ctx context.Context, client *http.Client, url string) (sample, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return sample{}, fmt.Errorf("make a request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return sample{}, fmt.Errorf("send a request: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return sample{}, fmt.Errorf("read the answer: %w", err)
	}
	return parseSample(string(text))
}

// parseSample finds the four figures in the text of a metrics page.
func parseSample(text string) (sample, error) {
	var s sample
	places := map[string]*float64{
		"process_resident_memory_bytes": &s.rss, "go_memstats_heap_inuse_bytes": &s.heap, "go_goroutines": &s.goroutines, "process_open_fds": &s.files,
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		place := places[name]
		if place == nil {
			continue
		}
		if _, err := fmt.Sscan(value, place); err != nil {
			return s, fmt.Errorf("%s is %q: %w", name, value, err)
		}
		delete(places, name)
	}
	if len(places) > 0 {
		return s, fmt.Errorf("missing: %s", slices.Sorted(maps.Keys(places)))
	}
	return s, nil
}
